"""`/c/<token>`: a card's public page, with its face and the ways into a phone.

The token in the address is all that protects the page: it is never cached, indexed, or sent
on as a referrer. Pictures and colours belong to the template, not to the card, so they have
addresses of their own that every card of the programme shares and browsers may keep.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
)
from sqlmodel import Session, col, select
from werkzeug.wrappers import Response as WsgiResponse

from walletsvc.cards.models import Card
from walletsvc.certificates.models import Origin
from walletsvc.certificates.states import State, state
from walletsvc.core.errors import NotFound, Refused, TooManyTries, Unavailable
from walletsvc.google.saving import Saver
from walletsvc.ledger.queries import balance, explain
from walletsvc.passes import content, images
from walletsvc.passes.models import TemplateImage, TemplateVersion, Wallet
from walletsvc.passes.schemas import Description
from walletsvc.passes.service import Subject, find_by_link
from walletsvc.people.sessions import service as sessions
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.storefront import consents, face, terms
from walletsvc.storefront.account import blueprint as account
from walletsvc.storefront.account import cookies, overview
from walletsvc.storefront.account.answering import answer
from walletsvc.storefront.account.visiting import visitor
from walletsvc.storefront.join import blueprint as joining
from walletsvc.storefront.platforms import is_machine, platform
from walletsvc.web import csrf, pages
from walletsvc.web.context import Deps
from walletsvc.web.i18n import language

_PRIVATE: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_SOON: Final = 10  # seconds
_FOREVER: Final = "public, max-age=31536000, immutable"


def create(deps: Deps, saver: Saver | None = None) -> Blueprint:
    """The blueprint; the app must have `web.i18n` installed. It brings the shared frame along.

    Without a `saver` no card goes into Google Wallet.
    """
    blueprint = Blueprint("storefront", __name__, template_folder="templates")
    blueprint.record_once(lambda state: pages.install(cast("Flask", state.app)))
    _add_pages_with_forms(blueprint, deps)

    _card_page(blueprint, deps, saver)
    _into_google_wallet(blueprint, saver)

    @blueprint.get("/look/<digest>/card.css")
    def card_colours(digest: str) -> Response:
        with deps.database.read_tx() as session:
            colours = Description.model_validate(_version(session, digest).description).colours
        css = (
            f".card{{--card:{colours.background};--ink:{colours.foreground};"
            f"--label:{colours.label}}}\n"
        )
        return _lasting(css.encode(), "text/css; charset=utf-8")

    @blueprint.get("/look/<digest>/<any(icon, logo, strip):kind>@<int:density>x.png")
    def card_image(digest: str, kind: str, density: int) -> Response:
        if density not in images.DENSITIES:
            abort(404)
        with deps.database.read_tx() as session:
            version = _version(session, digest)
            image = session.get(TemplateImage, (version.id, kind, density))
        if image is None:
            abort(404)
        return _lasting(image.png, "image/png")

    return blueprint


def _add_pages_with_forms(blueprint: Blueprint, deps: Deps) -> None:
    https = deps.settings.base_url.startswith("https://")
    blueprint.record_once(lambda state: csrf.install(cast("Flask", state.app), https=https))
    for part in (joining, terms, consents, account):
        part.add_to(blueprint, deps)


def _card_page(blueprint: Blueprint, deps: Deps, saver: Saver | None) -> None:
    """`/c/<token>`: its face for everybody with the link, all of it for the holder."""

    @blueprint.get("/c/<token>")
    def card_page(token: str) -> Response:
        now = deps.clock()
        with deps.database.write_tx() if cookies.tokens() else deps.database.read_tx() as session:
            page = _page(session, token, deps, saver)
            found = visitor(session, token, now) if page else None
            if page is not None and found is not None:
                sessions.note_seen(session, found.login.id, now)
                overview.add(session, found, page, now)
        if page is None:
            return _private(render_template("storefront/unknown_card.html"), 404)
        if found is None:
            return _private(render_template("storefront/card.html", **page))
        return answer(render_template("storefront/account/overview.html", **page), script=True)


def _into_google_wallet(blueprint: Blueprint, saver: Saver | None) -> None:
    """`/g/<token>`: the click on the button, which only a person makes."""

    @blueprint.get("/g/<token>")
    def into_google_wallet(token: str) -> Response:
        purpose = request.headers.get("Sec-Purpose") or request.headers.get("Purpose", "")
        machine = request.method == "HEAD" or is_machine(request.user_agent.string, purpose)
        if saver is None or machine:
            return _private(redirect(f"/c/{token}", 302))
        try:
            return _private(redirect(saver.link(token), 303))
        except NotFound:
            return _private(render_template("storefront/unknown_card.html"), 404)
        except Refused:  # the card's page says why
            return _private(redirect(f"/c/{token}", 303))
        except (Unavailable, TooManyTries) as error:
            often = isinstance(error, TooManyTries)
            page = render_template("storefront/google_later.html", token=token, often=often)
            response = _private(page, error.status)
            response.headers["Retry-After"] = str(error.data.get("retry_after", _SOON))
            return response


def _private(page: str | WsgiResponse, status: int | None = None) -> Response:
    """An answer under a card's token."""
    response = make_response(page) if status is None else make_response(page, status)
    response.headers.update(_PRIVATE)
    return response


def _page(session: Session, token: str, deps: Deps, saver: Saver | None) -> dict[str, Any] | None:
    """What the page's template needs; None when there is nothing to show."""
    subject = find_by_link(session, token)
    pass_ = subject.passes.get(Wallet.APPLE) if subject else None
    rendered = _rendered(session, subject, pass_.id, deps.clock()) if subject and pass_ else None
    if subject is None or rendered is None:
        return None
    version = session.get_one(TemplateVersion, rendered.version_id)
    description = Description.model_validate(version.description)
    kinds = session.exec(
        select(TemplateImage.kind).where(
            TemplateImage.version_id == version.id, TemplateImage.density == images.SOURCE
        )
    )
    standing = _state(session, subject, rendered.content, deps.clock())
    return {
        "face": face.compose(
            description,
            _for_all(session, subject, rendered.content),
            language(),
            deps.settings.base_url,
        ),
        "style": description.style.value,
        "state": standing,
        "look": f"/look/{version.digest.hex()}",
        "pictures": set(kinds),
        "platform": platform(request.user_agent.string),
        "account_url": f"/c/{token}/login" if subject.card else None,
        "needs_code": subject.card is not None and not _static(session, subject.card),
        "pass_url": f"/p/{token}.pkpass",
        "google_url": f"/g/{token}" if saver and saver.takes(session, subject) else None,
        "just_joined": request.args.get("new") == "1" and standing == "open",
        "phone_code": face.qr(f"{deps.settings.base_url}/c/{token}"),
    }


def _rendered(
    session: Session, subject: Subject, pass_id: int, now: datetime
) -> content.Rendered | None:
    """What the face says at this moment, which is what the reasons for the balance come to: a pass
    in a phone may be behind by as long as the job that writes off what has ended."""
    if subject.card is None:
        return content.render(session, [pass_id]).get(pass_id)
    there = explain(session, subject.card.account_id).settled(now)
    return content.at_balance(session, pass_id, there.balance)


def _for_all(session: Session, subject: Subject, shown: dict[str, Any]) -> dict[str, Any]:
    """What whoever has the link may see: the number, and never a code of the moment."""
    if subject.card is None or _static(session, subject.card):
        return shown
    return {**shown, "barcode": subject.card.number}


def _static(session: Session, card: Card) -> bool:
    return session.get_one(Programme, card.programme_id).code_policy is CodePolicy.STATIC


def _state(session: Session, subject: Subject, shown: dict[str, Any], now: datetime) -> str:
    """`open`, or why the card is of no use any more: `closed`, `expired`, or `owed`.

    An `owed` one has expired, but was paid for: what is left on it can be had back.
    """
    certificate = subject.certificate
    if certificate is not None and state(certificate, now) is State.EXPIRED:
        # Its pass is voided as well, once the nightly job has noted the end.
        left = certificate.origin is Origin.PAID and balance(session, certificate.account_id)
        return "owed" if left else "expired"
    return "closed" if shown.get("voided") else "open"


def _version(session: Session, digest: str) -> TemplateVersion:
    """A version by its digest; equal digests mean equal looks, whichever template has them."""
    try:
        wanted = bytes.fromhex(digest)
    except ValueError:
        abort(404)
    version = session.exec(
        select(TemplateVersion).where(col(TemplateVersion.digest) == wanted).limit(1)
    ).first()
    if version is None:
        abort(404)
    return version


def _lasting(body: bytes, content_type: str) -> Response:
    response = Response(body, content_type=content_type)
    response.headers["Cache-Control"] = _FOREVER
    return response
