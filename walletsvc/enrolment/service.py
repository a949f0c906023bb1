"""From a name and a phone to a card that a wallet can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from walletsvc.cards.models import Card
from walletsvc.cards.service import issue_card
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.service import issue
from walletsvc.core.actor import Actor
from walletsvc.enrolment import gifts
from walletsvc.jobs.changes import Lane
from walletsvc.passes.models import Pass
from walletsvc.passes.service import create_passes
from walletsvc.people.models import Person
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes.models import Programme


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
    language: str = "ru",
    actor: Actor,
    now: datetime,
) -> Enrolled:
    """Register a person in a points programme and issue the card, with what the rules give to a
    new member.

    Raises InputError naming the field, DuplicateMember (with `card_id`) when that person has
    a card of the programme, Refused when the programme takes nobody.
    """
    person = find_or_create_person(
        session,
        organisation_id=programme.organisation_id,
        phone=phone,
        first_name=first_name,
        last_name=last_name,
        birthday=birthday,
        language=language,
        now=now,
    )
    card = issue_card(session, person=person, programme=programme, now=now)
    passes = create_passes(session, card=card, programme=programme, now=now)
    gifts.welcome(session, card, programme, language, actor, now)
    return Enrolled(card, person, passes)


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
