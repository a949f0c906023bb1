"""Staff change a person's phone, for somebody who lost the old one and so cannot prove it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from walletsvc.access.models import Staff
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, wrong
from walletsvc.enrolment.phones import moving
from walletsvc.enrolment.phones.models import PhoneChange
from walletsvc.merchants.rules import check_text
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.models import Person
from walletsvc.people.phones import people_of, phones_of
from walletsvc.people.queries import same_person
from walletsvc.people.rules import name_key
from walletsvc.people.sessions import service as sessions


def change(
    session: Session,
    person: Person,
    *,
    former: str | None,
    phone: str,
    proof: PhoneProof | None = None,
    shared: bool = False,
    mistyped: bool = False,
    reason: str,
    employee: Staff | None = None,
    actor: Actor,
    now: datetime,
) -> PhoneChange:
    """`phone` takes the place of `former` (both E.164), all browsers are logged out, and the former
    phone is told, for whoever stole the card by this would hide it.

    Without `former` the person, who has no phone, gets one. Without the used `proof` the new phone
    is not proven until its holder does so. `shared`: the phone is others' too, and stays theirs.
    `mistyped`: the former number is a stranger's, who is not to be written to.

    Raises InputError naming `reason`, `former`, `phone` or `mistyped` (it was proven, so it was
    none), and Conflict for a person who is closed or whose phone is someone else's already. Nobody
    is ever merged by this: somebody of the same name (`merge_with` tells who) is merged first.
    """
    reason = check_text("reason", reason, 200)
    _check(session, person, former, phone)
    move = moving.lock(session, person.id, former, phone, now)
    person = move.person
    _require_unproven(move, mistyped=mistyped)
    _require_nobody_else(session, person, phone, shared=shared)
    moving.apply(session, move, proven=proof is not None, now=now)
    sessions.close_all(session, person.id, now)
    tell = former is not None and not mistyped
    made = PhoneChange(
        organisation_id=person.organisation_id,
        person_id=person.id,
        former=former,
        phone=phone,
        mistyped=mistyped,
        proven=proof is not None,
        told=tell and moving.tell_former(session, person, former or "", now),
        reason=reason,
        actor=str(actor),
        employee_id=employee.id if employee else None,
        changed_at=now,
    )
    session.add(made)
    session.flush()
    return made


def history(session: Session, person: Person) -> list[PhoneChange]:
    """All changes of a person's phones, the newest first; also those by themselves, and those of
    rows that were merged into theirs."""
    own = select(PhoneChange).where(col(PhoneChange.person_id).in_(same_person(session, person.id)))
    return list(session.exec(own.order_by(col(PhoneChange.id).desc())))


def _require_open(person: Person) -> None:
    if person.merged_into_id is not None:
        raise Conflict("The person was merged into another: change that one's phone.")
    if person.closed_at is not None:
        raise Conflict("The person was erased.")


def _check(session: Session, person: Person, former: str | None, phone: str) -> None:
    """Raises InputError for a phone that cannot go, and for a new one that is theirs."""
    _require_open(person)
    own = phones_of(session, person.id)
    if former is None and own:
        raise wrong("former", "is needed: say which phone goes", "required")
    if former is not None and former not in own:
        raise wrong("former", "is none of the person's phones", "unknown")
    if phone in own:
        raise wrong("phone", "is theirs already", "known")


def _require_unproven(move: moving.Move, *, mistyped: bool) -> None:
    if mistyped and (move.held is None or move.held.verified_at is not None):
        raise wrong("mistyped", "cannot be: the former phone was proven", "not_allowed")


def _require_nobody_else(session: Session, person: Person, phone: str, *, shared: bool) -> None:
    name = name_key(person.first_name, person.last_name)
    others = people_of(session, person.organisation_id, phone)
    alike = [each for each in others if name_key(each.first_name, each.last_name) == name]
    if alike:
        raise Conflict(
            "Somebody of this name has the phone already, perhaps because they registered anew:"
            " merge the two, and the phone comes along.",
            merge_with=[each.public_id for each in alike],
        )
    if others and not shared:
        raise Conflict(
            "Others have this phone. If one of them is this person by another name, merge the two;"
            " if it is a family's phone, say that it is shared.",
            people=[each.public_id for each in others],
        )
