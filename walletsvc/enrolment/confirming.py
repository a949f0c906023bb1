"""From the code to the card: what was proven is used up once, and answered the same again."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session

from walletsvc.cards.models import Card
from walletsvc.cards.plastic.service import PER_ADDRESS, PER_PHONE, Claimed
from walletsvc.core.actor import Actor
from walletsvc.core.errors import InputError, PhoneNotProven
from walletsvc.enrolment import forms
from walletsvc.enrolment.applications import customer, is_over, locked, subject
from walletsvc.enrolment.completing import KnownPerson, complete, known_people, take_plastic
from walletsvc.enrolment.models import Application
from walletsvc.messaging.proving import rules as proof_rules
from walletsvc.messaging.proving import service as proving
from walletsvc.messaging.proving.models import ProofPurpose
from walletsvc.messaging.proving.service import Checked, Outcome
from walletsvc.storage import limits
from walletsvc.storage.columns import keyring
from walletsvc.storage.engine import Database
from walletsvc.storage.limits import Limit
from walletsvc.storage.rows import Changed

# A code that proved the phone opens the card again: it must not be found by trying.
_REPLAYS: Final = Limit("application-replay", 10, timedelta(hours=1))
_PROVEN: Final = Changed(Application, "proven_at", "proven_with")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What came of a code, or of a choice: the card, or the people to choose from.

    `plastic_refused`: the phone is proven, but the plastic card of the form cannot be claimed with
    it; another number may be tried (`claim`), or a choice made without one (`choose`).
    """

    outcome: Outcome
    tries_left: int = 0
    people: Sequence[KnownPerson] | None = None
    card: Card | None = None
    plastic_refused: bool = False


def confirm(
    database: Database,
    application: str,
    *,
    code: str,
    now: datetime,
    actor: Actor | None = None,
    base_url: str = "",
    address: str = "",
) -> Confirmed:
    """Try the code (empty where the route has none), and with the phone proven issue the card, or
    tell who else answers it.

    The same code again gets the same answer, so a double click or a lost answer does no harm. With
    `base_url` the card's address is sent to the phone, if the programme does so. Raises NotFound,
    InputError, Refused, TooManyTries.
    """
    # What was proven is kept even if the rest fails, and so is a try.
    with database.write_tx() as session:
        row = locked(session, application)
        known = _known(session, row, code, now)
        if known is not None:
            return known
        number = forms.unpacked(row.form, row.phone).plastic_number
        if row.plastic_refused:
            return _refused(session, row)
    if number:
        return claim(
            database, application, number=number, now=now, actor=actor, base_url=base_url,
            address=address,
        )  # fmt: skip
    with database.write_tx() as session:
        row = locked(session, application)
        if row.card_id is not None:
            return _done(session, row)
        people = known_people(session, row)
        if people:
            return Confirmed(Outcome.PROVEN, people=people)
        card = complete(session, row, actor=actor or customer(row), base_url=base_url, now=now)
        return Confirmed(Outcome.PROVEN, card=card)


def choose(
    database: Database,
    application: str,
    *,
    person: str | None,
    share_with: str | None = None,
    now: datetime,
    actor: Actor | None = None,
    base_url: str = "",
) -> Confirmed:
    """The card of one of the people told by `confirm` (public id), who gets one when there is none
    yet; with None of another person, the one of the form. `share_with`: a new card shares the
    balance of this person's.

    Chosen twice, the first choice counts. Raises NotFound, PhoneNotProven, InputError naming
    `person` or `share_with`, Conflict (points of the shared balance are held), Refused.
    """
    with database.write_tx() as session:
        row = locked(session, application)
        early = _early(session, row, now)
        if early is not None:
            return early
        card = complete(
            session, row, person=person, share_with=share_with, actor=actor or customer(row),
            base_url=base_url, now=now,
        )  # fmt: skip
        return Confirmed(Outcome.PROVEN, card=card)


def claim(
    database: Database,
    application: str,
    *,
    number: str,
    now: datetime,
    actor: Actor | None = None,
    base_url: str = "",
    address: str = "",
) -> Confirmed:
    """The card behind a plastic number, for whoever proved the phone of an application.

    A few numbers can be tried, and as few cards claimed. Raises NotFound, PhoneNotProven,
    TooManyTries, Refused.
    """
    with database.write_tx() as session:
        row = locked(session, application)
        early = _early(session, row, now)
        if early is not None:
            return early
        wanted = [(PER_PHONE, proof_rules.phone_subject(row.phone))]
    if address:
        wanted.append((PER_ADDRESS, proof_rules.address_subject(address)))
    limits.take(database, wanted, now)
    try:
        with database.write_tx() as session:
            row = locked(session, application)
            early = _early(session, row, now)
            card, outcome = early.card if early else None, Claimed.AGAIN
            if card is None:
                card, outcome = take_plastic(
                    session, row, number, actor=actor or customer(row), base_url=base_url, now=now
                )
    except InputError as error:
        if [each.field for each in error.fields] != ["plastic_number"]:
            raise
        with database.write_tx() as session:
            row = locked(session, application)
            row.plastic_refused = True
            return _refused(session, row)
    if outcome is Claimed.AGAIN:
        limits.give_back(database, wanted, now)
    return Confirmed(Outcome.PROVEN, card=card)


def _known(session: Session, row: Application, code: str, now: datetime) -> Confirmed | None:
    """Prove the phone by the code; the answer when it is no proof, or the card is there.

    Who proved it goes on without the code, as with `choose`; to be shown the card again takes it.
    """
    if row.proven_at is None:
        checked = _tried(session, row, code, now)
        if checked.outcome is not Outcome.PROVEN:
            return Confirmed(checked.outcome, checked.tries_left)
        _prove(session, row, code, now)
    elif row.card_id is not None or code.strip():
        limits.count(session, [(_REPLAYS, row.public_id)], now)
        if not hmac.compare_digest(row.proven_with or "", _print(row, code)):
            return Confirmed(Outcome.WRONG)
    return _early(session, row, now)


def _early(session: Session, row: Application, now: datetime) -> Confirmed | None:
    if row.proven_at is None:
        raise PhoneNotProven("The phone is not proven: begin anew.")
    if row.card_id is not None:
        return _done(session, row)
    return Confirmed(Outcome.EXPIRED) if is_over(row, now) else None


def _refused(session: Session, row: Application) -> Confirmed:
    people = known_people(session, row) or None
    return Confirmed(Outcome.PROVEN, people=people, plastic_refused=True)


def _done(session: Session, row: Application) -> Confirmed:
    return Confirmed(Outcome.PROVEN, card=session.get_one(Card, row.card_id))


def _tried(session: Session, row: Application, code: str, now: datetime) -> Checked:
    if row.proof is None or is_over(row, now):
        return Checked(Outcome.EXPIRED, 0)
    if not code.strip():
        return proving.status(session, row.proof, subject=subject(row), now=now)
    return proving.try_code(session, row.proof, subject=subject(row), code=code, now=now)


def _prove(session: Session, row: Application, code: str, now: datetime) -> None:
    """Use the proof up: from here on it is the application that tells what was proven."""
    proving.use(
        session,
        row.proof or "",
        purpose=ProofPurpose.JOIN,
        subject=subject(row),
        phone=row.phone,
        now=now,
    )
    _PROVEN.one(session, row, proven_at=now, proven_with=_print(row, code))


def _print(row: Application, code: str) -> str:
    """What a code is known by when it is sent again."""
    plain = proof_rules.tidy_code(code)
    return keyring().lookup_hash(f"application {row.public_id} {plain}").hex()
