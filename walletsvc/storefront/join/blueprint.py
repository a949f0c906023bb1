"""The pages of joining: form → code → (who is it?) → the card's page.

Which application a browser works on is in its session, not in the address: nothing in the
address leads anybody else there. The nonce of the form makes what is sent twice count once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Final, Protocol

from flask import Blueprint, Response, redirect, render_template, request, session

from walletsvc.core.errors import (
    Conflict,
    InputError,
    NotFound,
    PhoneNotProven,
    Refused,
    TooManyTries,
    Unavailable,
)
from walletsvc.enrolment import applying, sources
from walletsvc.enrolment.applying import Confirmed
from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Outcome
from walletsvc.programmes.models import Programme
from walletsvc.storefront import brand as brands
from walletsvc.storefront.join import answers, form_page, memory, steps, wording
from walletsvc.storefront.join.steps import Step
from walletsvc.storefront.join.typed import Typed
from walletsvc.storefront.private import private
from walletsvc.web import csrf
from walletsvc.web.context import Deps
from walletsvc.web.i18n import language
from walletsvc.web.i18n import translated as _

_SOURCE: Final = re.compile(r"[A-Za-z0-9]{1,12}")


def add_to(blueprint: Blueprint, deps: Deps) -> None:
    """Give the blueprint the pages of joining."""
    _Joining(deps).add_to(blueprint)


class _Page(Protocol):
    """A page that can say what is wrong."""

    def __call__(self, slug: str, *, notice: str, status: int) -> Response: ...


class _Joining:
    """The views of one web process."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def add_to(self, blueprint: Blueprint) -> None:
        for rule, view, method in (
            ("/j/<code>", self.short_link, "GET"),
            ("/join/<slug>", self.form, "GET"),
            ("/join/<slug>", self.apply, "POST"),
            ("/join/<slug>/code", self.code, "GET"),
            ("/join/<slug>/code", self._sent(self.confirm, self._code), "POST"),
            ("/join/<slug>/again", self._sent(self.again, self._code), "POST"),
            ("/join/<slug>/who", self.people, "GET"),
            ("/join/<slug>/who", self._sent(self.choose, self._people), "POST"),
            ("/join/<slug>/plastic", self._sent(self.claim, self._people), "POST"),
        ):
            endpoint = f"join_{view.__name__}"
            blueprint.add_url_rule(rule, endpoint, view, methods=[method])

    def _sent(self, view: Callable[[str, str], Response], page: _Page) -> Callable[[str], Response]:
        """A view of a form that is about the application of this browser. What is wrong with the
        form or with the application is answered here; `page` is where the form stands."""

        @wraps(view)
        def checked(slug: str) -> Response:
            application = memory.recall(slug)
            if application is None:
                return answers.begin_anew(slug)
            if not csrf.fresh():
                notice = _("This page was open for very long. Please try once more.")
                return page(slug, notice=notice, status=400)
            try:
                return view(slug, application)
            except TooManyTries as error:
                return page(slug, notice=wording.patience(error), status=429)
            except InputError:
                return answers.outdated(slug)
            except (Refused, Conflict) as error:
                return answers.refused(error)

        return checked

    def short_link(self, code: str) -> Response:
        """From a poster to the form that knows which poster it was."""
        with self._deps.database.read_tx() as tx:
            source = sources.by_code(tx, code) if _SOURCE.fullmatch(code) else None
            programme = tx.get_one(Programme, source.programme_id) if source else None
        if source is None or programme is None:
            raise NotFound("There is no such link.")
        return private(redirect(form_page.address(programme.slug, source.code), 302))

    def form(self, slug: str) -> Response:
        """The form, empty."""
        given = request.args.get("s", "")
        return self._form(slug, Typed(source=given if _SOURCE.fullmatch(given) else ""))

    def apply(self, slug: str) -> Response:
        """The form as it was sent."""
        typed = Typed.read(request.form)
        if not csrf.fresh():
            # A page of somebody else's may have filled it in: consent must be given anew.
            kept = Typed.read(request.form).without_consents()
            notice = _(
                "This page was open for very long, or your browser keeps no cookies. Nothing is "
                "lost: please tick the boxes again and send it once more."
            )
            return self._form(slug, kept, notice=notice, status=400)
        if request.form.get("only") == "language":
            return self._form(slug, typed)
        now = self._deps.clock()
        try:
            form = form_page.read(self._deps.database, slug, typed, now)
            applied = applying.apply(
                self._deps.database,
                programme_slug=slug,
                form=form,
                nonce=typed.nonce,
                source=typed.source or None,
                address=request.remote_addr or "",
                language=language(),
                now=now,
            )
        except InputError as error:
            if any(each.field == "nonce" for each in error.fields):
                return self._form(slug, typed.anew(), notice=_("Please send it once more."),
                                  status=400)  # fmt: skip
            return self._form(slug, typed, errors=wording.told(error), status=400)
        except TooManyTries as error:
            return self._form(slug, typed, notice=wording.patience(error), status=429)
        except Unavailable:
            notice = _("We cannot send a code just now. Please try again in a few minutes.")
            return self._form(slug, typed, notice=notice, status=503)
        except Refused:
            return self._closed(slug)
        memory.keep(slug, applied.application)
        return private(redirect(f"/join/{slug}/code", 303))

    def code(self, slug: str) -> Response:
        """Where the application stands."""
        return self._code(slug)

    def confirm(self, slug: str, application: str) -> Response:
        """A code, or that there was a call."""
        typed = "".join(
            c for c in request.form.get("code", "")[:64] if not c.isspace() and c != "-"
        )
        try:
            done = applying.confirm(
                self._deps.database,
                application,
                code=typed,
                now=self._deps.clock(),
                base_url=self._deps.settings.base_url,
                address=request.remote_addr or "",
            )
        except NotFound:
            return answers.begin_anew(slug)
        return self._told(slug, done, typed)

    def again(self, slug: str, application: str) -> Response:
        """The proof once more, or by another way."""
        wanted = request.form.get("route", "")
        route = Route(wanted) if wanted in tuple(Route) else Route.SMS
        now = self._deps.clock()
        try:
            started = applying.again(
                self._deps.database,
                application,
                route=route,
                address=request.remote_addr or "",
                now=now,
            )
        except Unavailable:
            notice = _("This way does not work just now. Please try the other one.")
            return self._code(slug, notice=notice, status=503)
        except (Refused, NotFound):
            return self._code(slug)
        if started.route is Route.SMS:
            session["join_sent"] = int((started.resend_at - now).total_seconds())
        return private(redirect(f"/join/{slug}/code", 303))

    def people(self, slug: str) -> Response:
        """Who of those that answer the phone is it?"""
        return self._people(slug)

    def choose(self, slug: str, application: str) -> Response:
        """One of them, or another person."""
        person = request.form.get("person", "") or None
        share = request.form.get("share", "") or None
        try:
            done = applying.choose(
                self._deps.database,
                application,
                person=person,
                share_with=share if person is None else None,
                now=self._deps.clock(),
                base_url=self._deps.settings.base_url,
            )
        except InputError as error:
            if error.fields[0].field not in ("person", "share_with"):
                raise
            return self._people(slug, notice=_("Please choose once more."), status=400)
        except Conflict:
            notice = _(
                "This balance cannot be shared just now, because a purchase is under way. Please "
                "try again in a few minutes, or take a balance of your own."
            )
            return self._people(slug, notice=notice, status=409)
        except (PhoneNotProven, NotFound):
            return private(redirect(f"/join/{slug}/code", 303))
        return self._told(slug, done, "")

    def claim(self, slug: str, application: str) -> Response:
        """The card behind a plastic number, when the one of the form was none of theirs."""
        try:
            done = applying.claim(
                self._deps.database,
                application,
                number=request.form.get("plastic_number", "")[:80].replace("\0", ""),
                now=self._deps.clock(),
                base_url=self._deps.settings.base_url,
                address=request.remote_addr or "",
            )
        except (PhoneNotProven, NotFound):
            return private(redirect(f"/join/{slug}/code", 303))
        return self._told(slug, done, "")

    def _form(
        self,
        slug: str,
        typed: Typed,
        *,
        errors: dict[str, str] | None = None,
        notice: str = "",
        status: int = 200,
    ) -> Response:
        try:
            with self._deps.database.write_tx() as tx:
                page = form_page.page(tx, slug, typed, self._deps.clock())
        except Refused:
            page = None
        if page is None:
            return self._closed(slug)
        page |= {"errors": errors or {}, "notice": notice}
        return private(render_template("storefront/join/form.html", **page), status)

    def _closed(self, slug: str) -> Response:
        with self._deps.database.read_tx() as tx:
            programme = brands.find(tx, slug)
            return answers.closed(brands.brand(tx, programme) if programme else None)

    def _code(
        self,
        slug: str,
        *,
        notice: str = "",
        errors: dict[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        application = memory.recall(slug)
        if application is None:
            return answers.begin_anew(slug)
        try:
            with self._deps.database.read_tx() as tx:
                found = steps.view(tx, application, self._deps.clock())
        except NotFound:
            return answers.begin_anew(slug)
        if found.step is Step.DONE:
            return answers.again_done(slug)
        if found.step is Step.CHOICE:
            return private(redirect(f"/join/{slug}/who", 303))
        page = steps.code_page(found)
        sent = session.pop("join_sent", None)
        calm = sent is not None and not notice
        if calm:
            notice = _("A code is on its way. The next one can be sent in %(seconds)s seconds.",
                       seconds=sent)  # fmt: skip
        page |= {"notice": notice or steps.standing(found), "errors": errors or {}, "calm": calm}
        scripted = bool(page["refresh"])  # notices a call
        return private(
            render_template("storefront/join/code.html", **page), status, script=scripted
        )

    def _people(self, slug: str, *, notice: str = "", status: int = 200) -> Response:
        application = memory.recall(slug)
        if application is None:
            return answers.begin_anew(slug)
        try:
            with self._deps.database.read_tx() as tx:
                found = steps.view(tx, application, self._deps.clock())
        except NotFound:
            return answers.begin_anew(slug)
        if found.step is not Step.CHOICE:
            return private(redirect(f"/join/{slug}/code", 303))
        page = {
            "brand": found.brand,
            "action": f"/join/{slug}/who",
            "people": found.people,
            "shares": [person for person in found.people if person.can_share],
            "notice": notice,
            "plastic": memory.is_plastic_refused(),
            "plastic_action": f"/join/{slug}/plastic",
        }
        return private(render_template("storefront/join/people.html", **page), status)

    def _told(self, slug: str, done: Confirmed, typed: str) -> Response:
        """Where a code or a choice leads."""
        if done.card is not None:
            return private(redirect(f"/c/{done.card.link_token}?new=1", 303))
        if done.plastic_refused:
            memory.note_plastic_refused()
        match done.outcome:
            case Outcome.PROVEN:
                return private(redirect(f"/join/{slug}/who", 303))
            case Outcome.WRONG:
                return self._code(slug, errors={"code": wording.wrong_code(done.tries_left)},
                                  status=400)  # fmt: skip
            case Outcome.WAITING if typed:
                return self._code(slug)
            case Outcome.WAITING:
                notice = _("There has been no call yet. It may take a few seconds to reach us.")
                return self._code(slug, notice=notice)
            case _:
                return self._code(slug, status=400)
