"""Making one person of two, and taking it back.

Locks are taken in one order: phones, persons, cards with their groups, accounts; each ascending.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from walletsvc.cards.groups.locking import lock_with_groups
from walletsvc.cards.merging import service as cards
from walletsvc.cards.merging.models import CardMerge
from walletsvc.cards.merging.service import Why
from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, NotFound, Refused
from walletsvc.enrolment.merging import people
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.jobs.changes import touch
from walletsvc.jobs.events import PersonsMerged, PersonsParted, emit
from walletsvc.ledger import service as ledger
from walletsvc.ledger.unmerging import family
from walletsvc.merchants.rules import check_text
from walletsvc.people.locking import lock_persons
from walletsvc.people.models import Person
from walletsvc.sales.queries import count_refunds


@dataclass(frozen=True)
class Undone:
    """What taking a merger back did with the cards that had become one; `given_back` by card id.

    `exact` is false when points had moved meanwhile: then the cards got what they had brought, as
    far as that has not ended, and what was bought before the merger stays with the other.
    """

    merge: PersonMerge
    given_back: dict[str, int]
    exact: bool


def merge(
    session: Session, kept: Person, merged: Person, *, reason: str, actor: Actor, now: datetime
) -> PersonMerge:
    """`merged` is the same human being as `kept`: everything of theirs is `kept`'s from now on.

    Phones and what `kept` lacks go over; a card of a programme where `kept` has none changes
    hands; where both have one, theirs becomes part of `kept`'s. Their row is closed.

    Raises InputError (no reason), Refused (the same row, another organisation, what
    `cards.merging` refuses) and Conflict (one of them is closed by now, value is reserved).
    """
    reason = check_text("reason", reason, 200)
    if kept.id == merged.id:
        raise Refused("A person cannot be merged with itself.")
    persons = lock_persons(session, kept.id, merged.id)
    kept, merged = persons[kept.id], persons[merged.id]
    if kept.organisation_id != merged.organisation_id:
        raise Refused("Only persons of one organisation can be merged.")
    for person in (kept, merged):
        _require_open(person)
    why = Why(actor, reason, now)
    details: dict[str, Any] = {
        "phones": people.join_phones(session, kept, merged),
        "filled": people.fill_gaps(kept, merged),
        **people.join_consents(session, kept, merged, actor, now),
        **_join_cards(session, kept, merged, why),
    }
    merged.merged_into_id, merged.closed_at = kept.id, now
    made = PersonMerge(
        organisation_id=kept.organisation_id,
        kept_id=kept.id,
        merged_id=merged.id,
        reason=reason,
        actor=str(actor),
        merged_at=now,
        details=details,
    )
    session.add(made)
    session.flush()
    _touch_all(session, kept.id, now)
    emit(session, PersonsMerged(now, merged.id, kept.id))
    return made


def undo(
    session: Session,
    made: PersonMerge,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
    accept_shortfall: bool = False,
) -> Undone:
    """They were two after all: what moved goes back.

    Raises InputError (no reason), Conflict (undone before; one of them is closed by now, or was
    merged since: undo that first; whose phone was changed since cannot be told) and Refused (fewer
    points are left than came, unless `accept_shortfall`; a card that would go back is part of
    another).
    """
    reason = check_text("reason", reason, 200)
    persons = lock_persons(session, made.kept_id, made.merged_id)
    made = session.get_one(PersonMerge, made.id, populate_existing=True)
    if made.undone_at is not None:
        raise Conflict("This merger was undone before.")
    kept, merged = persons[made.kept_id], persons[made.merged_id]
    _require_open(kept)
    if merged.erased_at is not None:
        raise Conflict("The person was erased: nothing can be given back.")
    _require_last(session, made)
    why = Why(actor, reason, now)
    merged.merged_into_id = merged.closed_at = None
    people.part_phones(session, kept, merged, made.details["phones"], made.merged_at)
    people.empty_gaps(kept, merged, made.details["filled"])
    people.part_consents(session, kept, merged, made.details, made.merged_at)
    merges = _part_cards(session, made, kept, merged, why, accept_shortfall)
    made.undone_at, made.undone_by, made.undone_reason = now, str(actor), reason
    session.flush()
    _touch_all(session, kept.id, now)
    _touch_all(session, merged.id, now)
    emit(session, PersonsParted(now, merged.id, kept.id))
    given = {session.get_one(Card, each.card_id).public_id: each.given_back or 0 for each in merges}
    return Undone(made, given, all(each.exact for each in merges))


def find(session: Session, organisation_id: int, public_id: str) -> PersonMerge:
    """The organisation's merger with this public id; raises NotFound."""
    found = session.exec(
        select(PersonMerge).where(
            PersonMerge.public_id == public_id, PersonMerge.organisation_id == organisation_id
        )
    ).first()
    if found is None:
        raise NotFound("There is no such merger.")
    return found


def history(session: Session, person: Person) -> list[PersonMerge]:
    """All mergers that a person was part of, the newest first; those undone too."""
    own = (PersonMerge.kept_id == person.id) | (PersonMerge.merged_id == person.id)
    return list(session.exec(select(PersonMerge).where(own).order_by(col(PersonMerge.id).desc())))


def _require_open(person: Person) -> None:
    if person.erased_at is not None:
        raise Conflict("The person was erased.", person=person.public_id)
    if person.merged_into_id is not None:
        raise Conflict("The person was merged into another.", person=person.public_id)
    if person.closed_at is not None:
        raise Conflict("The person's record is closed.", person=person.public_id)


def _require_last(session: Session, made: PersonMerge) -> None:
    """What a later merger moved may have come with this one: they are undone in turn."""
    later = session.exec(
        select(PersonMerge)
        .where(
            PersonMerge.kept_id == made.kept_id,
            col(PersonMerge.undone_at).is_(None),
            col(PersonMerge.id) > made.id,
        )
        .order_by(col(PersonMerge.id).desc())
    ).first()
    if later is not None:
        raise Conflict(
            "The person was merged with another since: undo that first.", undo_first=later.public_id
        )


def _join_cards(session: Session, kept: Person, merged: Person, why: Why) -> dict[str, Any]:
    """Cards that change hands, and mergers of cards, by id."""
    owned = _cards(session, kept.id, merged.id)
    locked = lock_with_groups(session, *(card.id for card in owned)) if owned else {}
    cards_of = [locked[card.id] for card in owned]
    mine = {card.programme_id: card for card in cards_of if card.person_id == kept.id}
    theirs = [card for card in cards_of if card.person_id == merged.id]
    pairs = [
        (card, mine[card.programme_id])
        for card in theirs
        if card.programme_id in mine and card.closed_at is None
    ]
    # All accounts at once, or two who need several of them could wait for each other.
    accounts = {card.account_id for pair in pairs for card in pair if card.closed_at is None}
    if accounts:
        ledger.lock(session, accounts, now=why.now)
    moved = [card for card in theirs if card.programme_id not in mine]
    for card in moved:
        card.person_id = kept.id
    merges = [cards.merge_card(session, card, into, why) for card, into in pairs]
    session.flush()
    return {
        "cards": [card.id for card in moved],
        "merges": [each.id for each in merges],
        "refunds": {str(each.id): _refunds(session, each) for each in merges},
    }


def _part_cards(
    session: Session,
    made: PersonMerge,
    kept: Person,
    merged: Person,
    why: Why,
    accept_shortfall: bool,
) -> list[CardMerge]:
    merges = list(
        session.exec(
            select(CardMerge)
            .where(col(CardMerge.id).in_(made.details["merges"]))
            .order_by(col(CardMerge.card_id))
        )
    )
    wanted = {each.card_id for each in merges} | {each.into_id for each in merges}
    wanted |= set(made.details["cards"])
    locked = lock_with_groups(session, *wanted) if wanted else {}
    for card_id in made.details["cards"]:
        card = locked[card_id]
        if card.person_id != kept.id:
            raise Conflict("A card changed hands since.", card=card.public_id)
        card.person_id = merged.id
    accounts = {locked[each.into_id].account_id for each in merges}
    if accounts:
        ledger.lock(session, accounts, now=why.now)
    refunds = made.details["refunds"]
    for each in merges:
        cards.take_out(
            session,
            each,
            locked[each.card_id],
            locked[each.into_id],
            why,
            accept_shortfall=accept_shortfall,
            untouched=_refunds(session, each) == refunds[str(each.id)],
        )
    session.flush()
    return merges


def _refunds(session: Session, each: CardMerge) -> int:
    """How often something came back of what was bought on the account that was merged."""
    cards_of = [each.card_id, *each.aliases]
    return count_refunds(session, cards_of, family(session, each.account_id))


def _cards(session: Session, *person_ids: int) -> list[Card]:
    query = select(Card).where(col(Card.person_id).in_(person_ids)).order_by(col(Card.id))
    return list(session.exec(query))


def _touch_all(session: Session, person_id: int, now: datetime) -> None:
    """Their passes may say another name or be void."""
    touch(session, "card", [card.id for card in _cards(session, person_id)], at=now)
