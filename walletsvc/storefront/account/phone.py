"""Changing one's phone: a code to the old one, the new number, a code to that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, render_template, request, session
from sqlmodel import Session

from walletsvc.core.errors import (
    Conflict,
    InputError,
    NotFound,
    PhoneNotProven,
    TooManyTries,
    Unavailable,
)
from walletsvc.enrolment.account import phone_change
from walletsvc.enrolment.account.phone_change import Asking
from walletsvc.messaging.proving import service as proving
from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Outcome, Started
from walletsvc.people.phones import phones_of
from walletsvc.people.rules import masked_phone, normalise_phone
from walletsvc.storefront import brand as brands
from walletsvc.storefront.account import codes
from walletsvc.storefront.account.answering import answer, go, say, stale
from walletsvc.storefront.account.visiting import Visitor, visitor
from walletsvc.storefront.join.wording import patience
from walletsvc.web import csrf
from walletsvc.web.context import Deps
from walletsvc.web.i18n import language
from walletsvc.web.i18n import translated as _

_MEMORY = "phone_change"
_LONGEST = 64


class PhoneChange:
    """The views of one web process. How far it is, and with which proofs, is in the browser's
    session; what the proofs say is in the database."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the blueprint the pages."""
        for rule, view, method in (
            ("/c/<token>/phone", self.show, "GET"),
            ("/c/<token>/phone", self.begin, "POST"),
            ("/c/<token>/phone/code", self.confirm, "POST"),
            ("/c/<token>/phone/again", self.again, "POST"),
            ("/c/<token>/phone/new", self.new, "POST"),
            ("/c/<token>/phone/anew", self.anew, "POST"),
        ):
            endpoint = f"account_phone_{view.__name__}"
            blueprint.add_url_rule(rule, endpoint, self._logged_in(view), methods=[method])

    def _logged_in(self, view: Callable[[Visitor], Response]) -> Callable[[str], Response]:
        def checked(token: str) -> Response:
            found = self._visitor(token)
            return view(found) if found else go(f"/c/{token}/login")

        return checked

    def show(self, found: Visitor) -> Response:
        """The step that comes next."""
        return self._show(found)

    def begin(self, found: Visitor) -> Response:
        """A code to the old phone."""
        if not csrf.fresh():
            return self._show(found, notice=stale(), status=400)
        with self._deps.database.read_tx() as tx:
            phones = phones_of(tx, found.person.id)
        place = request.form.get("old", "0")
        chosen = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else 0
        if chosen >= len(phones):
            return self._show(found)
        return self._asked(found, {}, "old", phones[chosen], Route.SMS)

    def new(self, found: Visitor) -> Response:
        """A code to the new phone."""
        typed = request.form.get("phone", "")[:_LONGEST].replace("\0", "")
        if not csrf.fresh():
            return self._show(found, typed=typed, notice=stale(), status=400)
        memory = _memory(found)
        if "old" not in memory:
            return self._show(found)
        try:
            phone = normalise_phone(typed)
        except InputError:
            error = _("This is not a phone number. Check the digits; from abroad, begin with + and "
                      "the country code.")  # fmt: skip
            return self._show(found, typed=typed, error=error, status=400)
        return self._asked(found, memory, "new", phone, Route.SMS, typed=typed)

    def confirm(self, found: Visitor) -> Response:
        """The code of the step, or that there was a call; after the second the phone moves."""
        if not csrf.fresh():
            return self._show(found, notice=stale(), status=400)
        memory = _memory(found)
        step = "new" if "new" in memory else "old"
        if step not in memory:
            return self._show(found)
        try:
            checked = phone_change.check(
                self._deps.database,
                memory[step],
                subject=_subject(found, step),
                code=request.form.get("code", "")[:_LONGEST].replace("\0", ""),
                now=self._deps.clock(),
            )
        except TooManyTries as error:
            return self._show(found, notice=patience(error), status=429)
        except NotFound:
            return self._begin_anew(found)
        if checked.outcome not in (Outcome.PROVEN, Outcome.USED):
            return self._show(found, error=codes.trouble(checked), status=400)
        return self._apply(found, memory) if step == "new" else go(f"{found.base}/phone")

    def again(self, found: Visitor) -> Response:
        """The code of the step once more, or another way."""
        if not csrf.fresh():
            return self._show(found, notice=stale(), status=400)
        memory = _memory(found)
        step = "new" if "new" in memory else "old"
        phone = self._phone(found, memory, step)
        if phone is None:
            return self._begin_anew(found)
        call = request.form.get("route", "") == Route.CALL.value
        return self._asked(found, memory, step, phone, Route.CALL if call else Route.SMS)

    def anew(self, found: Visitor) -> Response:
        """From the beginning: the number was mistyped, or the time is over."""
        return self._begin_anew(found) if csrf.fresh() else go(f"{found.base}/phone")

    def _apply(self, found: Visitor, memory: dict[str, str]) -> Response:
        now = self._deps.clock()
        try:
            with self._deps.database.write_tx() as tx:
                phone_change.apply(tx, found.login, old=memory["old"], new=memory["new"], now=now)
        except (PhoneNotProven, Conflict):
            # Sent twice, the first did it; otherwise somebody must begin anew.
            if self._phone(found, memory, "new") != self._phone_now(found):
                session.pop(_MEMORY, None)
                notice = str(_("This took too long, or was changed elsewhere: please start again."))
                return self._show(found, notice=notice, status=409)
        session.pop(_MEMORY, None)
        say("phone")
        return go(f"{found.base}/settings")

    def _asked(
        self,
        found: Visitor,
        memory: dict[str, str],
        step: str,
        phone: str,
        route: Route,
        *,
        typed: str = "",
    ) -> Response:
        asking = Asking(route, language(), request.remote_addr or "", self._deps.clock())
        database, login = self._deps.database, found.login
        try:
            if step == "old":
                started = phone_change.ask_old(database, login, phone, asking)
            else:
                started = phone_change.ask_new(database, login, phone, asking, old=memory["old"])
        except TooManyTries as error:
            return self._show(found, typed=typed, notice=patience(error), status=429)
        except Unavailable:
            notice = str(_("We cannot send a code just now. Please try again in a few minutes."))
            return self._show(found, typed=typed, notice=notice, status=503)
        except PhoneNotProven:
            return self._begin_anew(found)
        except InputError:
            told = _("This number is yours already.")
            return self._show(found, typed=typed, error=told, status=400)
        session[_MEMORY] = {**memory, "login": login.public_id, step: started.proof}
        return go(f"{found.base}/phone")

    def _begin_anew(self, found: Visitor) -> Response:
        session.pop(_MEMORY, None)
        return go(f"{found.base}/phone")

    def _show(
        self, found: Visitor, *, typed: str = "", notice: str = "", error: str = "",
        status: int = 200,
    ) -> Response:  # fmt: skip
        with self._deps.database.read_tx() as tx:
            step, started, outcome = self._step(tx, found)
            phones = [masked_phone(each) for each in phones_of(tx, found.person.id)]
            brand = brands.brand(tx, found.programme)
            offered = proving.routes(tx, found.login.organisation_id)
        page: dict[str, Any] = {
            "brand": brand, "base": found.base, "phones": phones, "typed": typed, "error": error,
            "notice": notice, "step": step,
        }  # fmt: skip
        if started is None or outcome is None:
            return answer(render_template("storefront/account/phone.html", **page), status)
        phone = self._phone(found, _memory(found), step) or ""
        base = f"{found.base}/phone"
        page |= codes.page(
            started, outcome, phone, offered, action=f"{base}/code", again=f"{base}/again",
            start=base,
        )  # fmt: skip
        page |= {"error": error, "anew": f"{base}/anew", "back": f"{found.base}/settings"}
        page["notice"] = notice or ("" if error else page["notice"])
        text = render_template("storefront/account/code.html", **page)
        return answer(text, status, script=bool(page["refresh"]))

    def _step(self, tx: Session, found: Visitor) -> tuple[str, Started | None, Outcome | None]:
        """Which phone is to be proven now, and how its proof stands if it was begun."""
        memory = _memory(found)
        first = self._proof(tx, found, memory, "old")
        if first is None or first[1] is not Outcome.PROVEN:
            return ("old", *(first or (None, None)))
        return ("new", *(self._proof(tx, found, memory, "new") or (None, None)))

    def _proof(
        self, tx: Session, found: Visitor, memory: dict[str, str], step: str
    ) -> tuple[Started, Outcome] | None:
        if step not in memory:
            return None
        proof, subject = memory[step], _subject(found, step)
        try:
            checked = proving.status(tx, proof, subject=subject, now=self._deps.clock())
            return proving.shown(tx, proof, subject=subject), checked.outcome
        except NotFound:  # so old that it was deleted
            return None

    def _phone(self, found: Visitor, memory: dict[str, str], step: str) -> str | None:
        """The phone that a step's proof is of."""
        if step not in memory:
            return None
        with self._deps.database.read_tx() as tx:
            return phone_change.phone_of(tx, memory[step], _subject(found, step))

    def _phone_now(self, found: Visitor) -> str:
        again = self._visitor(found.token)
        return again.login.phone if again else ""

    def _visitor(self, token: str) -> Visitor | None:
        with self._deps.database.read_tx() as tx:
            return visitor(tx, token, self._deps.clock())


def _subject(found: Visitor, step: str) -> str:
    make = phone_change.old_subject if step == "old" else phone_change.new_subject
    return make(found.login)


def _memory(found: Visitor) -> dict[str, str]:
    """How far this log-in's change is."""
    known = session.get(_MEMORY)
    if not isinstance(known, dict) or known.get("login") != found.login.public_id:
        return {}
    return {str(name): str(value) for name, value in known.items()}
