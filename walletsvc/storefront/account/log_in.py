"""Logging in and out at a card's page.

Nothing here tells whoever merely has the link whether a phone is the holder's.
"""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, render_template, request, session
from sqlmodel import Session

from walletsvc.cards.models import Card
from walletsvc.core.errors import InputError, NotFound, PhoneNotProven, TooManyTries, Unavailable
from walletsvc.enrolment.account import logging_in
from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Checked, Outcome, routes
from walletsvc.people.rules import masked_phone, normalise_phone
from walletsvc.people.sessions import service as sessions
from walletsvc.programmes.models import Programme
from walletsvc.storefront import brand as brands
from walletsvc.storefront.account import codes, cookies, devices
from walletsvc.storefront.account.answering import answer, go, stale
from walletsvc.storefront.account.visiting import card_of, visitor
from walletsvc.storefront.join.wording import patience
from walletsvc.web import csrf
from walletsvc.web.context import Deps
from walletsvc.web.i18n import language
from walletsvc.web.i18n import translated as _

_MEMORY = "log_in"
_LONGEST = 64


class LogIn:
    """The views of one web process."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the blueprint the pages."""
        for rule, view, method in (
            ("/c/<token>/login", self.form, "GET"),
            ("/c/<token>/login", self.begin, "POST"),
            ("/c/<token>/login/code", self.code, "GET"),
            ("/c/<token>/login/code", self.confirm, "POST"),
            ("/c/<token>/login/again", self.again, "POST"),
            ("/c/<token>/logout", self.log_out, "POST"),
        ):
            endpoint = f"account_{view.__name__}"
            blueprint.add_url_rule(rule, endpoint, view, methods=[method])

    def form(self, token: str) -> Response:
        """Which phone?"""
        with self._deps.database.read_tx() as tx:
            known = visitor(tx, token, self._deps.clock())
        return go(known.base) if known else self._form(token)

    def begin(self, token: str) -> Response:
        """A phone, right or wrong: the answer is the same."""
        typed = request.form.get("phone", "")[:_LONGEST].replace("\0", "")
        if not csrf.fresh():
            return self._form(token, typed=typed, notice=stale(), status=400)
        try:
            phone = normalise_phone(typed)
        except InputError:
            error = _("This is not a phone number. Check the digits; from abroad, begin with + and "
                      "the country code.")  # fmt: skip
            return self._form(token, typed=typed, error=error, status=400)
        card = self._card(token)
        if card is None:
            return go(f"/c/{token}")
        memory = _memory(card)
        attempt = memory.get("attempt") or secrets.token_urlsafe(24)
        try:
            proof = self._ask(card, phone, attempt, Route.SMS)
        except TooManyTries as error:
            return self._form(token, typed=typed, notice=patience(error), status=429)
        except Unavailable:
            notice = str(_("We cannot send a code just now. Please try again in a few minutes."))
            return self._form(token, typed=typed, notice=notice, status=503)
        session[_MEMORY] = {"card": card.public_id, "attempt": attempt, "proof": proof}
        return go(f"/c/{token}/login/code")

    def code(self, token: str) -> Response:
        """Where the log-in stands."""
        return self._code(token)

    def confirm(self, token: str) -> Response:
        """A code, or that there was a call."""
        if not csrf.fresh():
            return self._code(token, notice=stale(), status=400)
        card = self._card(token)
        memory = _memory(card) if card else {}
        if card is None or not memory:
            return go(f"/c/{token}/login")
        try:
            done = logging_in.finish(
                self._deps.database,
                card.id,
                memory["proof"],
                attempt=memory["attempt"],
                code=request.form.get("code", "")[:_LONGEST].replace("\0", ""),
                device=devices.named(request.user_agent.string),
                now=self._deps.clock(),
            )
        except TooManyTries as error:
            return self._code(token, notice=patience(error), status=429)
        except NotFound:
            return go(f"/c/{token}/login")
        except PhoneNotProven:  # whoever holds this phone may know that it is not the card's
            session.pop(_MEMORY, None)
            notice = _("This number is not one of this card's. Ask at the till.")
            return self._form(token, notice=notice, status=403)
        if done.token is None:
            told = codes.trouble(Checked(done.outcome, done.tries_left))
            return self._code(token, error=told, status=400)
        response = go(f"/c/{token}")
        cookies.keep(response, done.token)
        return response

    def again(self, token: str) -> Response:
        """The code once more, or another way."""
        if not csrf.fresh():
            return self._code(token, notice=stale(), status=400)
        card = self._card(token)
        memory = _memory(card) if card else {}
        if card is None or not memory:
            return go(f"/c/{token}/login")
        wanted = request.form.get("route", "")
        route = Route.CALL if wanted == Route.CALL.value else Route.SMS
        try:
            with self._deps.database.read_tx() as tx:
                phone = logging_in.phone_of(tx, memory["proof"], attempt=memory["attempt"])
            proof = self._ask(card, phone, memory["attempt"], route)
        except TooManyTries as error:
            return self._code(token, notice=patience(error), status=429)
        except Unavailable:
            notice = _("This way does not work just now. Please try the other one.")
            return self._code(token, notice=notice, status=503)
        except NotFound:
            return go(f"/c/{token}/login")
        session[_MEMORY] = {**memory, "proof": proof}
        return go(f"/c/{token}/login/code")

    def log_out(self, token: str) -> Response:
        """Only here; other devices stay logged in.

        However old the form is: nobody is to walk away believing that they are out. No other
        site's form brings the log-in's cookie along (SameSite), so it needs no token.
        """
        response = go(f"/c/{token}")
        now = self._deps.clock()
        with self._deps.database.write_tx() as tx:
            known = visitor(tx, token, now)
            if known is not None:
                sessions.close(tx, known.person.id, known.login.public_id, now)
                for each in cookies.tokens():
                    if sessions.is_of(known.login, each):
                        cookies.drop(response, each)
        session.pop(_MEMORY, None)
        return response

    def _ask(self, card: Card, phone: str, attempt: str, route: Route) -> str:
        started = logging_in.begin(
            self._deps.database,
            card.id,
            phone=phone,
            attempt=attempt,
            route=route,
            language=language(),
            address=request.remote_addr or "",
            now=self._deps.clock(),
        )
        return started.proof

    def _card(self, token: str) -> Card | None:
        with self._deps.database.read_tx() as tx:
            return card_of(tx, token)

    def _form(
        self, token: str, *, typed: str = "", error: str = "", notice: str = "", status: int = 200
    ) -> Response:
        with self._deps.database.read_tx() as tx:
            card = card_of(tx, token)
            brand = _brand(tx, card) if card else None
        if brand is None:
            return go(f"/c/{token}")
        page: dict[str, Any] = {
            "brand": brand,
            "base": f"/c/{token}",
            "typed": typed,
            "error": error,
            "notice": notice,
        }
        return answer(render_template("storefront/account/login.html", **page), status)

    def _code(
        self, token: str, *, notice: str = "", error: str = "", status: int = 200
    ) -> Response:
        card = self._card(token)
        memory = _memory(card) if card else {}
        if card is None or not memory:
            return go(f"/c/{token}/login")
        now = self._deps.clock()
        try:
            with self._deps.database.read_tx() as tx:
                attempt, proof = memory["attempt"], memory["proof"]
                started, outcome = logging_in.look(tx, proof, attempt=attempt, now=now)
                phone = logging_in.phone_of(tx, proof, attempt=attempt)
                brand, offered = _brand(tx, card), _routes(tx, card)
                known = visitor(tx, token, now)
        except NotFound:
            return go(f"/c/{token}/login")
        if known is not None and outcome is Outcome.USED:
            return go(known.base)
        told = _("If %(phone)s belongs to this card, a code is on its way there by SMS.",
                 phone=codes.whole(masked_phone(phone)))  # fmt: skip
        base = f"/c/{token}/login"
        page = codes.page(
            started, outcome, phone, offered, action=f"{base}/code", again=f"{base}/again",
            start=base, told=told,
        )  # fmt: skip
        page |= {"brand": brand, "error": error, "login": True}
        page["notice"] = notice or ("" if error else page["notice"])
        text = render_template("storefront/account/code.html", **page)
        return answer(text, status, script=bool(page["refresh"]))


def _memory(card: Card) -> dict[str, str]:
    """The log-in that this browser has begun at this card's page."""
    found = session.get(_MEMORY)
    if not isinstance(found, dict) or found.get("card") != card.public_id:
        return {}
    return {str(name): str(value) for name, value in found.items()}


def _brand(tx: Session, card: Card) -> brands.Brand:
    return brands.brand(tx, tx.get_one(Programme, card.programme_id))


def _routes(tx: Session, card: Card) -> list[Route]:
    programme = tx.get_one(Programme, card.programme_id)
    return routes(tx, programme.organisation_id)
