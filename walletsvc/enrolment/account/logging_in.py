"""Logging in at a card's page, by a code to one of its holder's phones.

Whoever merely has the page's link types a phone and learns nothing: a phone that is not the
holder's gets no message, and everything else is the same. A phone may be a family's: the log-in is
that of the card's holder.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound, PhoneNotProven
from walletsvc.enrolment import verification
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.messaging.proving import service as proving
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.messaging.proving.service import Outcome, Started
from walletsvc.people.models import Person
from walletsvc.people.phones import lock_phone, phones_of
from walletsvc.people.sessions import service as sessions
from walletsvc.programmes.models import Programme
from walletsvc.storage.columns import keyring
from walletsvc.storage.engine import Database

_WRITTEN: Final = {"ru": "dd.MM.y, HH:mm", "en": "d MMM y, HH:mm"}


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """How a log-in stands; with `token` the browser is the person's from now on."""

    outcome: Outcome
    tries_left: int = 0
    token: str | None = None


def begin(
    database: Database,
    card_id: int,
    *,
    phone: str,
    attempt: str,
    route: Route = Route.SMS,
    language: str,
    address: str,
    now: datetime,
) -> Started:
    """Send a code to the phone (E.164) if it is the holder's; the answer does not tell.

    `attempt` is this browser's alone. Raises TooManyTries, Unavailable.
    """
    with database.write_tx() as session:
        card = session.get_one(Card, card_id)
        person = session.get_one(Person, card.person_id)
        programme = session.get_one(Programme, card.programme_id)
        return proving.begin(
            session,
            organisation_id=programme.organisation_id,
            programme_id=programme.id,
            purpose=ProofPurpose.LOG_IN,
            phone=phone,
            subject=_subject(attempt),
            route=route,
            language=language,
            address=address,
            now=now,
            silent=not _is_theirs(session, person, phone),
        )


def look(session: Session, proof: str, *, attempt: str, now: datetime) -> tuple[Started, Outcome]:
    """The log-in that this browser began, and how it stands; raises NotFound."""
    subject = _subject(attempt)
    checked = proving.status(session, proof, subject=subject, now=now)
    return proving.shown(session, proof, subject=subject), checked.outcome


def phone_of(session: Session, proof: str, *, attempt: str) -> str:
    """The phone that was typed; raises NotFound."""
    found = session.exec(
        select(PhoneProof.phone).where(
            PhoneProof.public_id == proof, PhoneProof.subject == _subject(attempt)
        )
    ).first()
    if found is None:
        raise NotFound("There is no such log-in.")
    return found


def finish(
    database: Database,
    card_id: int,
    proof: str,
    *,
    attempt: str,
    code: str,
    device: str,
    now: datetime,
) -> LoggedIn:
    """Try the code (empty where the route has none), and with the phone proven log in.

    The same once more gives the same log-in, so that a double click does no harm. The card is
    verified by it too. Raises NotFound, TooManyTries, and PhoneNotProven when the phone is proven
    and not the holder's.
    """
    subject = _subject(attempt)
    with database.write_tx() as session:  # a try stays counted whatever comes of it
        if code.strip():
            checked = proving.try_code(session, proof, subject=subject, code=code, now=now)
        else:
            checked = proving.status(session, proof, subject=subject, now=now)
        if checked.outcome is Outcome.USED:
            again = proving.replayed(session, proof, subject=subject, code=code, now=now)
            return LoggedIn(
                Outcome.USED, 0, _known(session, card_id, proof, now) if again else None
            )
    if checked.outcome is not Outcome.PROVEN:
        return LoggedIn(checked.outcome, checked.tries_left)
    with database.write_tx() as session:
        try:
            used = proving.use(
                session, proof, purpose=ProofPurpose.LOG_IN, subject=subject, now=now
            )
        except PhoneNotProven:  # the same request was a moment faster
            return LoggedIn(Outcome.USED, 0, _known(session, card_id, proof, now))
        token = _token(used)
        _log_in(session, card_id, used, token, device, now)
    return LoggedIn(Outcome.PROVEN, 0, token)


def _log_in(
    session: Session, card_id: int, used: PhoneProof, token: str, device: str, now: datetime
) -> None:
    # The phone first: who merges or erases persons locks theirs before.
    lock_phone(session, used.phone, now)
    card = session.get_one(Card, card_id, populate_existing=True)
    person = session.exec(
        select(Person)
        .where(Person.id == card.person_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    if not _is_theirs(session, person, used.phone):
        raise PhoneNotProven("The phone is none of the holder's.")
    if card.closed_at is None:
        actor = Actor("customer", person.public_id)
        verification.verify(session, card, used, actor=actor, now=now)
    sessions.open_session(
        session, person, token, phone=used.phone, proof_id=used.id, device=device, now=now
    )
    if person.email:  # the phone has just had a message
        enqueue(
            session,
            organisation_id=person.organisation_id,
            kind=MessageKind.LOGGED_IN,
            to=Recipient(email=person.email),
            values={"time": _moment(session, card, now, person.language)},
            language=person.language,
            now=now,
            person_id=person.id,
        )


def _known(session: Session, card_id: int, proof: str, now: datetime) -> str | None:
    """The token of the log-in that a used proof brought, while it counts."""
    used = session.exec(select(PhoneProof).where(col(PhoneProof.public_id) == proof)).first()
    if used is None or used.used_at is None:
        return None
    token = _token(used)
    person_id = session.get_one(Card, card_id).person_id
    return token if sessions.find(session, [token], person_id, now) else None


def _token(used: PhoneProof) -> str:
    """What opens the log-in of a proof: two requests of one moment make the same one. Only the
    holder of the secret key can make it, for a proof with a random id and code."""
    return keyring().lookup_hash(f"log-in {used.public_id} {(used.code_hash or b'').hex()}").hex()


def _moment(session: Session, card: Card, now: datetime, language: str) -> str:
    """When it is, where the programme is."""
    zone = ZoneInfo(session.get_one(Programme, card.programme_id).time_zone)
    return format_datetime(now.astimezone(zone), _WRITTEN[language], locale=language)


def _is_theirs(session: Session, person: Person, phone: str) -> bool:
    if person.closed_at is not None or person.erased_at is not None:
        return False
    return phone in phones_of(session, person.id)


def _subject(attempt: str) -> str:
    return f"log-in:{attempt}"[:80]
