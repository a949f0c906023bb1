"""The pages behind a log-in: purchases, certificates, settings, and the code of the moment.

The address carries the card's token, the cookie who is logged in: neither opens anything without
the other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from flask import Blueprint, Response, render_template, request
from sqlmodel import Session

from walletsvc.cards.codes.service import current_code
from walletsvc.certificates.keeping import service as keeping
from walletsvc.core.errors import Conflict, InputError, Refused, TooManyTries
from walletsvc.enrolment.account.language import set_language
from walletsvc.messaging.proving.rules import address_subject
from walletsvc.people.sessions import service as sessions
from walletsvc.storage import limits
from walletsvc.storage.limits import Limit
from walletsvc.storefront import brand as brands
from walletsvc.storefront.account import certificates, overview, purchases, settings
from walletsvc.storefront.account.answering import answer, go, say, stale
from walletsvc.storefront.account.log_in import LogIn
from walletsvc.storefront.account.phone import PhoneChange
from walletsvc.storefront.account.visiting import Visitor, visitor
from walletsvc.storefront.join.wording import patience
from walletsvc.web import csrf
from walletsvc.web.context import Deps
from walletsvc.web.i18n import translated as _

_Build = Callable[[Session, Visitor], dict[str, Any]]
_CODES_PER_PLACE: Final = Limit("certificate-keep-place", 30, keeping.PER_PERSON.window)


def add_to(blueprint: Blueprint, deps: Deps) -> None:
    """Give the blueprint the pages of an account."""
    LogIn(deps).add_to(blueprint)
    PhoneChange(deps).add_to(blueprint)
    _Account(deps).add_to(blueprint)


class _Account:
    """The views of one web process."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def add_to(self, blueprint: Blueprint) -> None:
        for rule, view, method in (
            ("/c/<token>/code.svg", self.code, "GET"),
            ("/c/<token>/purchases", self.purchases, "GET"),
            ("/c/<token>/purchases/<purchase>", self.purchase, "GET"),
            ("/c/<token>/certificates", self.certificates, "GET"),
            ("/c/<token>/certificates", self.keep, "POST"),
            ("/c/<token>/certificates/remove", self.remove, "POST"),
            ("/c/<token>/settings", self.settings, "GET"),
            ("/c/<token>/settings/advertising", self.advertising, "POST"),
            ("/c/<token>/settings/data", self.data, "POST"),
            ("/c/<token>/settings/language", self.language, "POST"),
            ("/c/<token>/devices", self.devices, "POST"),
        ):
            endpoint = f"account_{view.__name__}_{method.lower()}"
            blueprint.add_url_rule(rule, endpoint, view, methods=[method])

    def code(self, token: str) -> Response:
        """The code of the moment as a picture, and how many seconds it lasts."""
        now = self._deps.clock()
        with self._deps.database.write_tx() as tx:
            found = visitor(tx, token, now)
            if found is None or found.card.closed_at is not None:
                return answer(Response("", 401, content_type="text/plain"))
            shown = current_code(tx, found.card, found.programme, now)
        response = answer(Response(overview.drawing(shown), content_type="image/svg+xml"))
        response.headers["X-Code-Seconds"] = str(overview.seconds(shown, now))
        return response

    def purchases(self, token: str) -> Response:
        """The list, newest first."""
        before = request.args.get("before", "")
        return self._show(
            token, "purchases.html", lambda tx, found: purchases.listed(tx, found, before)
        )

    def purchase(self, token: str, purchase: str) -> Response:
        """One of them."""
        return self._show(
            token, "receipt.html", lambda tx, found: purchases.receipt(tx, found, purchase)
        )

    def certificates(self, token: str) -> Response:
        """Those that are kept here."""
        return self._certificates(token)

    def keep(self, token: str) -> Response:
        """Keep one more, by its code."""
        if not csrf.fresh():
            return self._certificates(token, notice=stale(), status=400)
        now = self._deps.clock()
        with self._deps.database.read_tx() as tx:
            found = visitor(tx, token, now)
        if found is None:
            return go(f"/c/{token}/login")
        counted = [
            (keeping.PER_PERSON, str(found.person.id)),
            (_CODES_PER_PLACE, address_subject(request.remote_addr or "")),
        ]
        typed = request.form.get("code", "")[:64].replace("\0", "")
        try:
            limits.take(self._deps.database, counted, now)
            with self._deps.database.write_tx() as tx:
                keeping.keep(tx, found.person, typed, now)
        except TooManyTries as error:
            return self._certificates(token, notice=patience(error), status=429)
        except Refused:
            told = _("There is no room for more: remove those that are used up.")
            return self._certificates(token, error=told, status=422)
        except InputError:
            told = _("We know no gift card with this code. Check it, or ask at the till.")
            return self._certificates(token, error=told, status=400)
        limits.give_back(self._deps.database, counted, now)
        say("added")
        return go(f"{found.base}/certificates")

    def remove(self, token: str) -> Response:
        """Keep one no longer."""

        def change(tx: Session, found: Visitor, _now: datetime) -> None:
            keeping.drop(tx, found.person.id, request.form.get("certificate", "")[:40])

        return self._change(token, "certificates", "removed", change)

    def settings(self, token: str) -> Response:
        """Consents, language, phones, devices."""
        return self._settings(token)

    def advertising(self, token: str) -> Response:
        """Which ways for news are agreed to."""
        return self._change(
            token,
            "settings",
            "consents",
            lambda tx, found, now: settings.change_advertising(tx, found, request.form, now),
        )

    def data(self, token: str) -> Response:
        """Whether data processing is agreed to."""
        return self._change(
            token,
            "settings",
            "consents",
            lambda tx, found, now: settings.change_data(tx, found, request.form, now),
        )

    def language(self, token: str) -> Response:
        """The language of messages and of the pass; the page then speaks it too."""
        wanted = request.form.get("language", "")[:8]
        return self._change(
            token,
            "settings",
            "language",
            lambda tx, found, now: set_language(tx, found.person.id, wanted, now),
            query=f"?lang={wanted}" if wanted in settings.languages() else "",
        )

    def devices(self, token: str) -> Response:
        """Log out another device, or all others."""
        wanted = request.form.get("device", "")[:40]

        def change(tx: Session, found: Visitor, now: datetime) -> None:
            if wanted == "others":
                sessions.close_all(tx, found.person.id, now, but=found.login.id)
            else:
                sessions.close(tx, found.person.id, wanted, now)

        said = "devices" if wanted == "others" else "device"
        return self._change(token, "settings", said, change)

    def _change(
        self,
        token: str,
        page: str,
        said: str,
        change: Callable[[Session, Visitor, datetime], None],
        *,
        query: str = "",
    ) -> Response:
        """Do it for whoever is logged in, in one transaction, and go back to the page."""
        if not csrf.fresh():
            if page == "certificates":
                return self._certificates(token, notice=stale(), status=400)
            return self._settings(token, notice=stale(), status=400)
        now = self._deps.clock()
        try:
            with self._deps.database.write_tx() as tx:
                found = visitor(tx, token, now)
                if found is None:
                    return go(f"/c/{token}/login")
                change(tx, found, now)
        except (InputError, Conflict):
            notice = _("This text has changed: please read it and choose again.")
            return self._settings(token, notice=notice, status=409)
        say(said)
        return go(f"{found.base}/{page}{query}")

    def _certificates(
        self, token: str, *, notice: str = "", error: str = "", status: int = 200
    ) -> Response:
        def build(tx: Session, found: Visitor) -> dict[str, Any]:
            page = certificates.listed(tx, found, self._deps.clock())
            return page | {"notice": notice, "error": error}

        return self._show(token, "certificates.html", build, status=status)

    def _settings(self, token: str, *, notice: str = "", status: int = 200) -> Response:
        def build(tx: Session, found: Visitor) -> dict[str, Any]:
            return settings.page(tx, found, self._deps.clock()) | {"notice": notice}

        return self._show(token, "settings.html", build, status=status)

    def _show(self, token: str, template: str, build: _Build, *, status: int = 200) -> Response:
        """A page for whoever is logged in; others are led to the log-in. Raises NotFound when
        there is none."""
        now = self._deps.clock()
        with self._deps.database.write_tx() as tx:
            found = visitor(tx, token, now)
            if found is None:
                return go(f"/c/{token}/login")
            sessions.note_seen(tx, found.login.id, now)
            page = build(tx, found)
            page |= {"brand": brands.brand(tx, found.programme), "base": found.base}
        return answer(render_template(f"storefront/account/{template}", **page), status)
