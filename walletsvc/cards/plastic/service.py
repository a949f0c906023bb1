"""Plastic numbers: giving one to a card, finding the card by it, and making it one's own."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from walletsvc.cards.groups.locking import lock_with_groups
from walletsvc.cards.models import Card
from walletsvc.cards.plastic.models import PlasticNumber
from walletsvc.cards.plastic.rules import normalise
from walletsvc.cards.rules import number_valid
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, InputError, wrong
from walletsvc.jobs.changes import touch
from walletsvc.jobs.events import AccountsMerged, emit
from walletsvc.ledger import service as ledger
from walletsvc.merchants.rules import check_text
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.models import Person
from walletsvc.people.phones import holders, phones_of, verify
from walletsvc.people.rules import name_key
from walletsvc.programmes.models import Programme
from walletsvc.storage.limits import Limit

__all__ = ["PER_ADDRESS", "PER_PHONE", "Claim", "Claimed", "add", "claim", "find", "normalise"]

# Plastic numbers go up one by one: without limits one proven phone could try all of them, and where
# no phone was known each would be a card. Count the try first (`storage.limits.take`); give it
# back only to those who had claimed the card before.
PER_PHONE: Final = Limit("plastic-claim-phone", 5, timedelta(hours=1))
PER_ADDRESS: Final = Limit("plastic-claim-address", 20, timedelta(hours=1))

_ACTOR: Final = Actor("customer", "claim")
_REASON: Final = "Plastic card {number}"


class Claimed(enum.StrEnum):
    """What became of a claim."""

    OWN = "own"  # the card behind the number is theirs
    JOINED = "joined"  # what was on it is on the card that they had already
    AGAIN = "again"  # they claimed it before; nothing changed


@dataclass(frozen=True)
class Claim:
    """The card and the person that a number stands for from now on."""

    card: Card
    person: Person
    outcome: Claimed


def add(
    session: Session, card: Card, number: str, now: datetime, import_id: int | None = None
) -> PlasticNumber:
    """Let a number stand for a card; it may have several. The same again changes nothing.

    Raises InputError for what is no number, Conflict when it is another card's.
    """
    tidy = normalise(number, "number")
    organisation_id = session.get_one(Programme, card.programme_id).organisation_id
    known = _row(session, organisation_id, tidy)
    if known is not None:
        if known.card_id == card.id:
            return known
        raise Conflict("This number is another card's.")
    if number_valid(tidy) and session.exec(select(Card.id).where(Card.number == tidy)).first():
        raise Conflict("This number is another card's.")
    # Of two who give it to different cards at once the second waits, and then finds it given.
    session.execute(
        insert(PlasticNumber)
        .values(
            organisation_id=organisation_id,
            number=tidy,
            card_id=card.id,
            import_id=import_id,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["organisation_id", "number"])
    )
    made = _row(session, organisation_id, tidy)
    if made is None or made.card_id != card.id:
        raise Conflict("This number is another card's.")
    return made


def numbers_of(session: Session, card: Card) -> list[PlasticNumber]:
    """A card's plastic numbers, the oldest first."""
    wanted = select(PlasticNumber).where(PlasticNumber.card_id == card.id)
    return list(session.exec(wanted.order_by(col(PlasticNumber.id))))


def find(session: Session, organisation_id: int, text: str) -> Card | None:
    """The organisation's card that this plastic number stands for; of one that was merged, the
    card that it is part of."""
    try:
        number = normalise(text)
    except InputError:
        return None
    printed = aliased(Card)
    return session.exec(
        select(Card)
        .join(printed, col(Card.id) == func.coalesce(printed.merged_into_id, printed.id))
        .join(PlasticNumber, col(PlasticNumber.card_id) == printed.id)
        .where(PlasticNumber.organisation_id == organisation_id, PlasticNumber.number == number)
    ).first()


def claim(
    session: Session,
    *,
    programme: Programme,
    number: str,
    proof: PhoneProof,
    first_name: str,
    last_name: str = "",
    now: datetime,
) -> Claim:
    """Whoever proved the phone takes the card behind a plastic number, with all that is on it.

    If the organisation knows phones of its owner, the proven one must be among them; if it knows
    none, the name that it knows must be the claimant's, and the proven one is the owner's from now
    on. Who has a card of the programme already gets balance and tier of the other onto that one;
    who is known without one gets the card, and its nameless owner is closed. `proof` is proven;
    using it up is the caller's, and so is counting the try (`PER_PHONE`, `PER_ADDRESS`).

    Raises InputError for the field `plastic_number`, in the same words for a number that nobody
    has, that is taken, or whose phone or name is another.
    """
    if proof.proven_at is None or proof.organisation_id != programme.organisation_id:
        raise ValueError("the phone is not proven to this organisation")
    first = check_text("first_name", first_name, 80)
    last = check_text("last_name", last_name, 80, required=False)
    # The phone's lock first: of claims and registrations at once one comes after the other.
    known = holders(session, programme.organisation_id, proof.phone, now)
    row, card, person = _claimable(session, programme, number)
    phones = phones_of(session, person.id)
    if row.claimed_at is not None:
        # A phone that is theirs no longer is by now somebody else's.
        if row.claimed_phone != proof.phone or proof.phone not in phones:
            raise _refusal()
        return Claim(card, person, Claimed.AGAIN)
    if proof.phone not in phones if phones else _named_otherwise(person, first, last):
        raise _refusal()
    row.claimed_at, row.claimed_phone = now, proof.phone
    same = [] if phones else _namesakes(known, first, last)
    if (own := _own_card(session, same, programme)) is None:
        person = _owner(session, card, person, same, now)
        _name(person, first, last)
        verify(session, person, proof.phone, now)
        touch(session, "card", [card.id], at=now)
        session.flush()
        return Claim(card, person, Claimed.OWN)
    owner = session.get_one(Person, own.person_id)
    _join(session, programme, card, own, row.number, now)
    _close(session, person, owner, now)
    verify(session, owner, proof.phone, now)
    return Claim(own, owner, Claimed.JOINED)


def _claimable(
    session: Session, programme: Programme, number: str
) -> tuple[PlasticNumber, Card, Person]:
    try:
        row = _row(session, programme.organisation_id, normalise(number), lock=True)
    except InputError:
        row = None
    card = session.get_one(Card, row.card_id, populate_existing=True) if row else None
    if row is None or card is None or card.programme_id != programme.id or card.closed_at:
        raise _refusal()
    return row, card, session.get_one(Person, card.person_id, populate_existing=True)


def _row(
    session: Session, organisation_id: int, number: str, *, lock: bool = False
) -> PlasticNumber | None:
    wanted = select(PlasticNumber).where(
        PlasticNumber.organisation_id == organisation_id, PlasticNumber.number == number
    )
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    return session.exec(wanted).first()


def _refusal() -> InputError:
    return wrong(
        "plastic_number", "is not a card that can be claimed with this phone", "not_claimable"
    )


def _named_otherwise(person: Person, first: str, last: str) -> bool:
    """Whether the name on a card of nobody's phone is not the claimant's. The last name tells, as
    first names are written in many ways, or the only one that both have."""
    given = {name_key(each, "") for each in (first, last) if each}
    known = person.last_name if person.last_name and last else person.first_name
    return bool(known) and name_key(known, "") not in given


def _namesakes(people: Sequence[Person], first: str, last: str) -> list[Person]:
    """Who of a family the claimant is: the name decides."""
    key = name_key(first, last)
    return [each for each in people if name_key(each.first_name, each.last_name) == key]


def _own_card(session: Session, people: Sequence[Person], programme: Programme) -> Card | None:
    """The card that the claimant has already."""
    return session.exec(
        select(Card)
        .where(
            col(Card.person_id).in_([each.id for each in people]),
            Card.programme_id == programme.id,
            col(Card.closed_at).is_(None),
        )
        .order_by(col(Card.id))
    ).first()


def _owner(
    session: Session, card: Card, person: Person, same: Sequence[Person], now: datetime
) -> Person:
    """Who has the claimed card from now on: the claimant, if they are known without a card of the
    programme, and else whoever had it on paper."""
    ids = [each.id for each in same]
    holding = select(Card.person_id).where(
        col(Card.person_id).in_(ids), Card.programme_id == card.programme_id
    )
    held = set(session.exec(holding))
    owner = next((each for each in same if each.id not in held), None)
    if owner is None or owner.id == person.id:
        return person
    locked = lock_with_groups(session, card.id)[card.id]
    if locked.person_id != person.id or locked.closed_at is not None:
        raise _refusal()
    locked.person_id = owner.id
    session.flush()
    _close(session, person, owner, now)
    return owner


def _name(person: Person, first: str, last: str) -> None:
    """Somebody who had a card and no name on paper has one from now on."""
    if not person.first_name:
        person.first_name, person.last_name = first, last


def _join(
    session: Session, programme: Programme, card: Card, own: Card, number: str, now: datetime
) -> None:
    """All that is on a card comes onto the other one, which answers its numbers from now on."""
    locked = lock_with_groups(session, card.id, own.id)
    card, own = locked[card.id], locked[own.id]
    if card.group_id is not None or card.closed_at is not None or own.closed_at is not None:
        raise _refusal()
    for row in numbers_of(session, card):
        row.card_id = own.id
    ledger.merge(
        session,
        card.account_id,
        own.account_id,
        actor=_ACTOR,
        reason=_REASON.format(number=number),
        now=now,
    )
    emit(
        session,
        AccountsMerged(
            at=now,
            programme_id=programme.id,
            account_id=card.account_id,
            into_id=own.account_id,
        ),
    )
    card.closed_at = now  # it keeps its account, which the other one stands in for
    touch(session, "card", [card.id, own.id], at=now)
    session.flush()


def _close(session: Session, person: Person, owner: Person, now: datetime) -> None:
    """The nameless owner of the plastic is the claimant, unless they have other cards."""
    others = select(Card.id).where(Card.person_id == person.id, col(Card.closed_at).is_(None))
    if person.id != owner.id and session.exec(others).first() is None:
        person.merged_into_id, person.closed_at = owner.id, now
        if owner.birthday is None:
            owner.birthday = person.birthday
        if owner.email is None:
            owner.email = person.email
    session.flush()
