"""Who is told of a new card: its holder where it is, and the employee who answers for them."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.access.models import Staff
from walletsvc.cards.models import Card
from walletsvc.enrolment.doors import Door
from walletsvc.merchants.models import Branch
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.people.models import Person
from walletsvc.people.rules import masked_name
from walletsvc.programmes.models import Programme

_NOWHERE = {"ru": "без точки продаж", "en": "no branch"}


def tell(
    session: Session, card: Card, person: Person, programme: Programme, door: Door, now: datetime
) -> None:
    """Tell both of a new member, as far as the door wants it."""
    if not door.quiet:
        tell_responsible(session, person, programme, door.branch_id, now)
    if door.base_url:
        send_link(
            session, card, person, programme, phone=door.phone, base_url=door.base_url,
            language=door.language, now=now,
        )  # fmt: skip


def tell_responsible(
    session: Session, person: Person, programme: Programme, branch_id: int | None, now: datetime
) -> None:
    """Tell the person's responsible employee, else the branch's, of a new member: who and where,
    as far as may lie in somebody's inbox; no phone, no link."""
    branch = None if branch_id is None else session.get_one(Branch, branch_id)
    responsible_id = person.responsible_id or (branch.responsible_id if branch else None)
    employee = None if responsible_id is None else session.get_one(Staff, responsible_id)
    if employee is None or employee.closed_at is not None:
        return
    enqueue(
        session,
        organisation_id=programme.organisation_id,
        kind=MessageKind.NEW_MEMBER,
        to=Recipient(phone=employee.phone, email=employee.email),
        values={
            "name": masked_name(person.first_name, person.last_name),
            "programme": programme.name,
            "branch": branch.name if branch else _NOWHERE[employee.language],
        },
        language=employee.language,
        now=now,
    )


def send_link(
    session: Session,
    card: Card,
    person: Person,
    programme: Programme,
    *,
    phone: str | None,
    base_url: str,
    language: str,
    now: datetime,
) -> None:
    """Send the holder where the card is: by SMS, or by e-mail where there is no phone.

    The address is a secret: an e-mail that nobody proved is no second way for it.
    """
    enqueue(
        session,
        organisation_id=programme.organisation_id,
        kind=MessageKind.CARD_LINK,
        to=Recipient(phone=phone, email=None if phone else person.email),
        values={"link": f"{base_url}/c/{card.link_token}"},
        language=language,
        person_id=person.id,
        now=now,
    )
