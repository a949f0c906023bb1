"""The one way in which a person's phone becomes another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.errors import Conflict
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.people.locking import lock_phones, phone_ids
from walletsvc.people.models import Person, PersonPhone, Phone


@dataclass(frozen=True)
class Move:
    """A locked person, and the phones; `held` is the person's use of the one that goes."""

    person: Person
    held: PersonPhone | None
    phone: Phone


def lock(session: Session, person_id: int, former: str | None, new: str, now: datetime) -> Move:
    """Lock phones, ascending, then the person, as everybody does who changes whose phone it is.

    Raises Conflict when the person is closed, or `former` is none of their phones any more.
    """
    phone = _lock_phones(session, person_id, new, now)
    person = session.exec(
        select(Person)
        .where(Person.id == person_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    held = session.exec(
        select(PersonPhone)
        .join(Phone, col(Phone.id) == col(PersonPhone.phone_id))
        .where(PersonPhone.person_id == person_id, Phone.e164 == former)
        .execution_options(populate_existing=True)
    ).first()
    if (former is not None and held is None) or person.closed_at is not None:
        raise Conflict("The phone was changed in this moment by another way.")
    return Move(person, held, phone)


def _lock_phones(session: Session, person_id: int, new: str, now: datetime) -> Phone:
    """Lock the person's phones and the new one, whose row is made when there is none."""
    while True:
        session.execute(
            insert(Phone)
            .values(e164=new, created_at=now)
            .on_conflict_do_nothing(index_elements=["e164"])
        )
        wanted = session.exec(select(Phone.id).where(Phone.e164 == new)).all()
        locked = lock_phones(session, [*phone_ids(session, [person_id]), *wanted])
        found = next((each for each in locked if each.e164 == new), None)
        if found is not None:
            return found
        # Whoever had it was erased while this waited: the next round makes it anew.


def apply(session: Session, move: Move, *, proven: bool, now: datetime) -> None:
    """The phone that is held goes, the new one takes its place."""
    if move.held is not None:
        session.delete(move.held)
    verified_at = now if proven else None
    known = session.get(PersonPhone, (move.person.id, move.phone.id), populate_existing=True)
    if known is None:
        session.add(
            PersonPhone(
                person_id=move.person.id,
                phone_id=move.phone.id,
                created_at=now,
                verified_at=verified_at,
            )
        )
    else:
        known.verified_at = known.verified_at or verified_at
    session.flush()


def tell_former(session: Session, person: Person, former: str, now: datetime) -> bool:
    """Tell the phone that went, for it may be that somebody else took it away; whether that can be
    done. The words name the shop alone: whoever has the number by now learns nothing else."""
    message = enqueue(
        session,
        organisation_id=person.organisation_id,
        kind=MessageKind.PHONE_CHANGED,
        to=Recipient(phone=former),
        values={},
        language=person.language,
        now=now,
        person_id=person.id,
    )
    return message is not None
