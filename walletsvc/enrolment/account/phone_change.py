"""Changing a person's phone by themselves: the old one is proven, then the new one, then it moves.

Being logged in is not enough: who finds an unlocked phone must not take the card away. Who lost the
old phone asks staff (`phones.service`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound, PhoneNotProven, wrong
from walletsvc.enrolment.phones import moving
from walletsvc.enrolment.phones.models import PhoneChange
from walletsvc.messaging.proving import service as proving
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.messaging.proving.service import Checked, Outcome, Started
from walletsvc.people.phones import phones_of
from walletsvc.people.sessions import service as sessions
from walletsvc.people.sessions.models import CustomerSession
from walletsvc.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Asking:
    """By which way a proof is asked for, in which language, from which network address."""

    route: Route
    language: str
    address: str
    now: datetime


def ask_old(database: Database, login: CustomerSession, phone: str, asking: Asking) -> Started:
    """Have the phone that is to go proven. Raises InputError naming `old` for one that is none of
    theirs, TooManyTries, Unavailable."""
    with database.read_tx() as session:
        if phone not in phones_of(session, login.person_id):
            raise wrong("old", "is none of the person's phones", "unknown")
    return _start(database, login, phone, old_subject(login), asking)


def ask_new(
    database: Database, login: CustomerSession, phone: str, asking: Asking, *, old: str
) -> Started:
    """Have the new phone (E.164) proven, once the `old` proof is. Raises PhoneNotProven without it,
    InputError naming `phone` for one they have already, TooManyTries, Unavailable."""
    with database.read_tx() as session:
        standing = _status(session, old, old_subject(login), asking.now)
        if standing is not Outcome.PROVEN:
            raise PhoneNotProven("The former phone is not proven: begin anew.")
        if phone in phones_of(session, login.person_id):
            raise wrong("phone", "is theirs already", "known")
    return _start(database, login, phone, new_subject(login), asking)


def check(database: Database, proof: str, *, subject: str, code: str, now: datetime) -> Checked:
    """Try the code of either proof; empty where the route has none.

    Raises NotFound and TooManyTries.
    """
    if code.strip():
        return proving.check(database, proof, subject=subject, code=code, now=now)
    with database.read_tx() as session:
        return proving.status(session, proof, subject=subject, now=now)


def apply(session: Session, login: CustomerSession, *, old: str, new: str, now: datetime) -> None:
    """The old phone goes, the new one takes its place, all other browsers are logged out, and the
    old phone is told. Both proofs are used up.

    Raises PhoneNotProven when one is not proven or used before, Conflict when the old phone went
    in the same moment by another way.
    """
    gone = _use(session, old, old_subject(login), now)
    come = _use(session, new, new_subject(login), now)
    move = moving.lock(session, login.person_id, gone.phone, come.phone, now)
    person = move.person
    moving.apply(session, move, proven=True, now=now)
    row = session.get_one(CustomerSession, login.id, populate_existing=True)
    row.phone, row.proof_id = come.phone, come.id
    session.flush()
    sessions.close_all(session, person.id, now, but=row.id)
    told = moving.tell_former(session, person, gone.phone, now)
    session.add(
        PhoneChange(
            organisation_id=person.organisation_id,
            person_id=person.id,
            former=gone.phone,
            phone=come.phone,
            proven=True,
            told=told,
            actor=str(Actor("customer", person.public_id)),
            changed_at=now,
        )
    )
    session.flush()


def old_subject(login: CustomerSession) -> str:
    """Who asks for the proof of the phone that goes."""
    return f"phone-old:{login.public_id}"


def new_subject(login: CustomerSession) -> str:
    """Who asks for the proof of the phone that comes: neither proof can stand for the other."""
    return f"phone-new:{login.public_id}"


def _start(
    database: Database, login: CustomerSession, phone: str, subject: str, asking: Asking
) -> Started:
    return proving.start(
        database,
        organisation_id=login.organisation_id,
        programme_id=None,
        purpose=ProofPurpose.CHANGE_PHONE,
        phone=phone,
        subject=subject,
        route=asking.route,
        language=asking.language,
        address=asking.address,
        now=asking.now,
    )


def _status(session: Session, proof: str, subject: str, now: datetime) -> Outcome | None:
    try:
        return proving.status(session, proof, subject=subject, now=now).outcome
    except NotFound:
        return None


def _use(session: Session, proof: str, subject: str, now: datetime) -> PhoneProof:
    return proving.use(session, proof, purpose=ProofPurpose.CHANGE_PHONE, subject=subject, now=now)


def phone_of(session: Session, proof: str, subject: str) -> str | None:
    """The phone that a proof of this subject is of."""
    return session.exec(
        select(PhoneProof.phone).where(PhoneProof.public_id == proof, PhoneProof.subject == subject)
    ).first()
