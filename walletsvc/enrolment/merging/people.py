"""What two rows of one person know: phones, fields and agreements, brought together and apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict
from walletsvc.enrolment.phones.models import PhoneChange
from walletsvc.people.consents.models import Consent, Way
from walletsvc.people.models import Person, PersonPhone, Phone

_FILLED: Final = ("last_name", "birthday", "email", "responsible_id")


def join_phones(session: Session, kept: Person, merged: Person) -> list[dict[str, Any]]:
    """Give every phone of `merged` to `kept`; what was so before, by id."""
    own = {each.phone_id: each for each in _phones(session, kept)}
    moved: list[dict[str, Any]] = []
    for theirs in _phones(session, merged):
        mine = own.get(theirs.phone_id)
        moved.append(
            {
                "phone": theirs.phone_id,
                "verified_at": _text(theirs.verified_at),
                "created_at": _text(theirs.created_at),
                "had": mine is not None,
                "proved": bool(mine and mine.verified_at is None and theirs.verified_at),
            }
        )
        session.delete(theirs)
        if mine is None:
            session.add(
                PersonPhone(
                    person_id=kept.id,
                    phone_id=theirs.phone_id,
                    verified_at=theirs.verified_at,
                    created_at=theirs.created_at,
                )
            )
        elif mine.verified_at is None:
            mine.verified_at = theirs.verified_at
    session.flush()
    return moved


def part_phones(
    session: Session,
    kept: Person,
    merged: Person,
    moved: Sequence[dict[str, Any]],
    merged_at: datetime,
) -> None:
    """Give the phones back, as far as the person who was kept still has them, or what took their
    place since, with its history.

    Raises Conflict when nobody can tell any more whose phone a change since then was of.
    """
    own = {each.phone_id: each for each in _phones(session, kept)}
    numbers = _numbers(session, {*own, *(was["phone"] for was in moved)})
    changes = _changes(session, kept, merged_at)
    _require_known(session, changes, [was["phone"] for was in moved], numbers)
    ids = {number: id_ for id_, number in numbers.items()}
    for was in moved:
        line = _line(changes, numbers.get(was["phone"]))
        if not was["had"]:
            for change in line:
                change.person_id = merged.id
        now_id = ids.get(line[-1].phone) if line else was["phone"]
        mine = None if now_id is None else own.get(now_id)
        if mine is None:  # given up since: nobody has it any more
            continue
        session.add(
            PersonPhone(
                person_id=merged.id,
                phone_id=mine.phone_id,
                verified_at=mine.verified_at if line else _moment(was["verified_at"]),
                created_at=mine.created_at if line else datetime.fromisoformat(was["created_at"]),
            )
        )
        if not was["had"]:
            session.delete(mine)
        elif not line and was["proved"] and mine.verified_at == _moment(was["verified_at"]):
            mine.verified_at = None
    session.flush()


def fill_gaps(kept: Person, merged: Person) -> list[str]:
    """Tell `kept` what only `merged` knew; which fields that were."""
    filled = []
    for name in _FILLED:
        if not getattr(kept, name) and getattr(merged, name):
            setattr(kept, name, getattr(merged, name))
            filled.append(name)
    return filled


def empty_gaps(kept: Person, merged: Person, filled: Sequence[str]) -> None:
    """Take back what was told, unless it was changed since."""
    for name in filled:
        if getattr(kept, name) == getattr(merged, name):
            setattr(kept, name, "" if name == "last_name" else None)


def join_consents(
    session: Session, kept: Person, merged: Person, actor: Actor, now: datetime
) -> dict[str, list[int]]:
    """One human being has one will: of each purpose and channel the last word of the two counts.

    An agreement that only `merged` gave, or gave again after `kept` had withdrawn, goes over; one
    of `kept` that `merged` withdrew later is withdrawn. All else stays with its row as history.
    """
    moved, withdrawn = [], []
    mine, theirs = _last_words(session, kept), _last_words(session, merged)
    for key, word in theirs.items():
        own = mine.get(key)
        if word.withdrawn_at is None:
            if own is None or (own.withdrawn_at and own.withdrawn_at < word.given_at):
                word.person_id = kept.id
                moved.append(word.id)
        elif own is not None and own.withdrawn_at is None and own.given_at < word.withdrawn_at:
            own.withdrawn_at, own.withdrawn_way = now, Way.STAFF
            own.withdrawn_actor = str(actor)
            withdrawn.append(own.id)
    session.flush()
    return {"consents": moved, "withdrawn": withdrawn}


def part_consents(
    session: Session, kept: Person, merged: Person, details: dict[str, Any], merged_at: datetime
) -> None:
    """Give agreements back to whom they were of; what was said since stays said.

    An agreement that was withdrawn since stays with `kept` as well as it stays withdrawn.
    """
    for consent in _consents(session, details["consents"]):
        if consent.person_id == kept.id:
            consent.person_id = merged.id
    session.flush()
    standing = set(_standing(session, kept))
    for consent in _consents(session, details["withdrawn"]):
        key = (consent.purpose, consent.channel)
        if consent.withdrawn_at == merged_at and key not in standing:
            consent.withdrawn_at = consent.withdrawn_way = consent.withdrawn_actor = None
    session.flush()


def _changes(session: Session, person: Person, since: datetime) -> list[PhoneChange]:
    query = select(PhoneChange).where(
        PhoneChange.person_id == person.id, PhoneChange.changed_at >= since
    )
    return list(session.exec(query.order_by(col(PhoneChange.id)).with_for_update()))


def _line(changes: Sequence[PhoneChange], phone: str | None) -> list[PhoneChange]:
    """Those of the changes, which are in order, by which this phone became another, and so on."""
    line: list[PhoneChange] = []
    for change in changes:
        if phone is not None and change.former == phone:
            line.append(change)
            phone = change.phone
    return line


def _require_known(
    session: Session,
    changes: Sequence[PhoneChange],
    moved: Sequence[int],
    numbers: Mapping[int, str],
) -> None:
    """A phone that nobody has any more may be forgotten (somebody else who had it was erased): then
    no change since may have begun with a number that is forgotten."""
    if all(id_ in numbers for id_ in moved):
        return
    begun = {change.former for change in changes} - {change.phone for change in changes} - {None}
    kept = set(session.exec(select(Phone.e164).where(col(Phone.e164).in_(begun))))
    for change in changes:
        if change.former in begun - kept:
            raise Conflict(
                "A phone was changed since the merger, and nothing tells any more whose it was.",
                phone_change=change.public_id,
            )


def _numbers(session: Session, ids: Collection[int]) -> dict[int, str]:
    found = session.exec(select(Phone.id, Phone.e164).where(col(Phone.id).in_(ids)))
    return dict(found.all())


def _phones(session: Session, person: Person) -> list[PersonPhone]:
    query = select(PersonPhone).where(PersonPhone.person_id == person.id)
    return list(session.exec(query.order_by(col(PersonPhone.phone_id))))


def _consents(session: Session, ids: Sequence[int]) -> list[Consent]:
    return list(session.exec(select(Consent).where(col(Consent.id).in_(ids)).with_for_update()))


def _standing(session: Session, person: Person) -> dict[Any, Consent]:
    words = _last_words(session, person)
    return {key: word for key, word in words.items() if word.withdrawn_at is None}


def _last_words(session: Session, person: Person) -> dict[Any, Consent]:
    """The newest agreement of each purpose and channel, standing or not."""
    query = select(Consent).where(Consent.person_id == person.id).with_for_update()
    found = session.exec(query.execution_options(populate_existing=True)).all()
    in_order = sorted(found, key=lambda each: (each.withdrawn_at is None, each.given_at, each.id))
    return {(each.purpose, each.channel): each for each in in_order}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
