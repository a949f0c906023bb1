"""From a name and a phone to a card that a wallet can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlmodel import Session

from walletsvc.cards.models import Card
from walletsvc.cards.service import issue_card
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.service import issue
from walletsvc.core.actor import Actor
from walletsvc.enrolment import gifts, notices
from walletsvc.enrolment.doors import Door
from walletsvc.enrolment.forms import Agreed
from walletsvc.enrolment.models import JoinSource, Registration
from walletsvc.enrolment.verification import proven, verified
from walletsvc.jobs.changes import Lane
from walletsvc.messaging.proving.agreeing import proves
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.passes.models import Pass
from walletsvc.passes.service import create_passes
from walletsvc.people.consents import service as agreements
from walletsvc.people.consents.models import Way
from walletsvc.people.models import Person
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes.models import Programme
from walletsvc.storage.rows import Inserted

__all__ = [
    "Agreed",
    "Door",
    "Enrolled",
    "IssuedCertificate",
    "admit",
    "agree",
    "enrol",
    "issue_certificate",
    "verified",
]


_REGISTRATIONS: Final = Inserted(Registration)


@dataclass(frozen=True)
class Enrolled:
    """A new member: one pass per wallet."""

    card: Card
    person: Person
    passes: Sequence[Pass]


@dataclass(frozen=True)
class IssuedCertificate:
    """A new certificate and its code, which is money: show it, never log it."""

    certificate: Certificate
    code: str
    passes: Sequence[Pass]


def enrol(
    session: Session,
    *,
    programme: Programme,
    phone: str | None,
    first_name: str,
    last_name: str = "",
    birthday: date | None = None,
    email: str | None = None,
    language: str = "ru",
    consents: Sequence[Agreed] = (),
    source: JoinSource | None = None,
    branch_id: int | None = None,
    way: Way = Way.CRM,
    proof: PhoneProof | None = None,
    employee: Actor | None = None,
    responsible_id: int | None = None,
    base_url: str = "",
    actor: Actor,
    now: datetime,
) -> Enrolled:
    """Register a person in a programme and issue the card, with what the rules give to a new
    member.

    `proof` is a used proof of the phone; without one a card of a programme that wants it brings
    nothing yet. With `base_url` the holder is sent the card's address. Raises InputError naming
    the field, DuplicateMember (with `card_id`) when that person has a card of the programme,
    Refused when the programme takes nobody.
    """
    person = find_or_create_person(
        session, organisation_id=programme.organisation_id, phone=phone, first_name=first_name,
        last_name=last_name, birthday=birthday, email=email, language=language,
        responsible_id=responsible_id, now=now,
    )  # fmt: skip
    if branch_id is None and source is not None:
        branch_id = source.branch_id
    door = Door(
        way=way,
        actor=actor,
        language=language,
        branch_id=branch_id,
        source_id=source.id if source else None,
        phone=proof.phone if proof else None,
        proof=proof,
        employee=employee,
        base_url=base_url,
        quiet=way is Way.IMPORT,
    )
    return admit(session, person, programme, consents, door, now)


def admit(
    session: Session,
    person: Person,
    programme: Programme,
    consents: Sequence[Agreed],
    door: Door,
    now: datetime,
) -> Enrolled:
    """A card of the programme for somebody who is known; raises as `enrol`."""
    card = issue_card(
        session, person=person, programme=programme, now=now, verified=door.proof is not None
    )
    passes = create_passes(session, card=card, programme=programme, now=now)
    if door.proof is not None:
        proven(session, card, person, door.proof, now)
    welcome = verified(session, card, now)
    _REGISTRATIONS.one(
        session,
        card_id=card.id,
        source_id=door.source_id,
        branch_id=door.branch_id,
        way=door.way,
        actor=str(door.writer),
        welcome_due=door.gift and not welcome,
        created_at=now,
    )
    agree(session, person, consents, door, now)
    if welcome and door.gift:
        gifts.welcome(session, card, programme, door.language, door.actor, now)
    notices.tell(session, card, person, programme, door, now)
    session.flush()
    return Enrolled(card, person, passes)


def agree(
    session: Session, person: Person, consents: Sequence[Agreed], door: Door, now: datetime
) -> None:
    """Write down what the person agreed to on the way in. What the proof does not prove stays
    somebody's word."""
    proof = door.proof
    proven = [each for each in consents if proof is not None and proves(proof, each.text)]
    for agreed, its in ((proven, proof), ([e for e in consents if e not in proven], None)):
        if not agreed:
            continue
        agreements.give_each(
            session,
            person,
            [(each.text, each.channels) for each in agreed],
            way=door.way,
            language=door.language,
            phone=door.phone,
            proof_id=its.id if its else None,
            actor=door.writer,
            now=now,
        )


def issue_certificate(
    session: Session,
    *,
    programme: Programme,
    face_value: int,
    origin: Origin = Origin.PAID,
    recipient_name: str = "",
    language: str = "ru",
    expires_at: datetime | None = None,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
    lane: Lane = Lane.INTERACTIVE,
) -> IssuedCertificate:
    """Issue a gift certificate worth `face_value` minor units, sold or given.

    Raises InputError naming the field, Refused when the programme issues none, NotAccepted when
    the branch is switched off.
    """
    certificate, code = issue(
        session,
        programme=programme,
        face_value=face_value,
        origin=origin,
        recipient_name=recipient_name,
        language=language,
        expires_at=expires_at,
        branch_id=branch_id,
        actor=actor,
        reason=reason,
        now=now,
        lane=lane,
    )
    passes = create_passes(session, certificate=certificate, programme=programme, now=now)
    return IssuedCertificate(certificate, code, passes)
