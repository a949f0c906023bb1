"""One card becomes part of another of its programme, and is taken out again.

Callers hold the locks of both cards (`cards.groups.locking`); accounts are locked here, ascending.
The card that is merged is closed, its passes are voided, and whoever shows its number, its old
page or its id means the other from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select, update

from walletsvc.cards.groups import invitations
from walletsvc.cards.merging.models import CardMerge
from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, Refused
from walletsvc.jobs.changes import touch
from walletsvc.jobs.events import AccountsMerged, AccountSplit, emit
from walletsvc.ledger import queries as balances
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Account, AccountKind
from walletsvc.ledger.unmerging import (
    LotBefore,
    family,
    lots_of,
    move_to_come,
    owed,
    undoings,
)
from walletsvc.programmes.models import Programme
from walletsvc.programmes.tiers import parting
from walletsvc.programmes.tiers.models import AccountTier


@dataclass(frozen=True)
class Why:
    """Who does it, why, and when."""

    actor: Actor
    reason: str
    now: datetime


def merge_card(session: Session, card: Card, into: Card, why: Why) -> CardMerge:
    """Make `card` part of `into`: points with their dates, what was bought, and the better tier.

    Raises Refused (another programme, `into` is closed, `card` is in a group, one of them owes
    points) and Conflict (value of either is reserved, or `card` is closed).
    """
    _check_pair(card, into)
    locked = ledger.lock(session, [card.account_id, into.account_id], now=why.now)
    owing = [id_ for id_, account in locked.items() if account.standing.debt]
    if owing:
        # What repaid a debt could not be told apart again.
        owes = card if card.account_id in owing else into
        raise Refused("A card owes points: it cannot be merged before.", card=owes.public_id)
    before = parting.before(session, card.account_id)
    merge = CardMerge(
        card_id=card.id,
        into_id=into.id,
        account_id=card.account_id,
        brought=locked[card.account_id].standing.balance,
        lots=[list(lot) for lot in lots_of(session, card.account_id)],
        undoings=undoings(session, family(session, card.account_id)),
        turnover=before.turnover,
        tier=before.tier,
        into_tier=_tier(session, into.account_id),
        verified=into.verified_at is None and card.verified_at is not None,
        aliases=_aliases(session, card),
        merged_at=why.now,
    )
    transaction = ledger.merge(
        session,
        card.account_id,
        into.account_id,
        actor=why.actor,
        reason=why.reason,
        now=why.now,
        card_id=card.id,
    )
    merge.transaction_id = None if transaction is None else transaction.id
    emit(session, AccountsMerged(why.now, card.programme_id, card.account_id, into.account_id))
    invitations.withdraw(session, card)
    _stand_for(session, [card.id, *merge.aliases], into.id)
    card.merged_into_id, card.closed_at = into.id, why.now
    into.verified_at = into.verified_at or card.verified_at
    session.add(merge)
    session.flush()
    touch(session, "card", [card.id, into.id], at=why.now)
    return merge


def take_out(
    session: Session,
    merge: CardMerge,
    card: Card,
    into: Card,
    why: Why,
    *,
    accept_shortfall: bool = False,
    untouched: bool = True,
) -> CardMerge:
    """Take a card out of the one it was merged into.

    While nothing happened to the points that came (and, as far as the caller knows, `untouched`),
    everything becomes what it was. Otherwise the card gets a new account with what it brought, as
    far as that has not ended; what it bought before stays with the other card. Raises Refused when
    less is there than came (`missing` says how much), unless `accept_shortfall`.
    """
    locked = ledger.lock(session, [into.account_id], now=why.now)[into.account_id]
    lots = [LotBefore(*lot) for lot in merge.lots]
    due = owed(session, locked.id, lots, why.now)
    told = undoings(session, family(session, merge.account_id)) == merge.undoings
    exact, given = untouched and told and due.untouched, merge.brought
    if exact:
        _apart_exactly(session, merge, lots, card, into, why)
    else:
        given = _apart(session, due.amount, lots, card, into, why, accept_shortfall)
    card.merged_into_id, card.closed_at = None, None
    if merge.verified and into.verified_at == card.verified_at:
        into.verified_at = None
    _stand_for(session, merge.aliases, card.id)
    merge.undone_at, merge.given_back, merge.exact = why.now, given, exact
    session.flush()
    touch(session, "card", [card.id, into.id], at=why.now)
    return merge


def _check_pair(card: Card, into: Card) -> None:
    if card.id == into.id:
        raise Refused("A card cannot be merged with itself.")
    if card.programme_id != into.programme_id:
        raise Refused("Only cards of one programme can be merged.")
    if into.closed_at is not None:
        raise Refused("The card that would stand for both is closed.", card=into.public_id)
    if card.closed_at is not None:
        raise Conflict("The card is closed.")
    if card.group_id is not None:
        raise Refused(
            "The card shares its points with a group: let it leave the group first, or merge the "
            "other way round.",
            card=card.public_id,
        )


def _tier(session: Session, account_id: int) -> str | None:
    stored = session.get(AccountTier, account_id, populate_existing=True)
    return None if stored is None else stored.tier


def _aliases(session: Session, card: Card) -> list[int]:
    found = select(Card.id).where(Card.merged_into_id == card.id).order_by(col(Card.id))
    return list(session.exec(found))


def _stand_for(session: Session, card_ids: list[int], into_id: int) -> None:
    """Whoever shows one of these means `into_id` from now on."""
    session.execute(
        update(Card)
        .where(col(Card.id).in_(card_ids))
        .values(merged_into_id=into_id)
        .execution_options(synchronize_session="fetch")
    )


def _apart_exactly(
    session: Session, merge: CardMerge, lots: list[LotBefore], card: Card, into: Card, why: Why
) -> None:
    ledger.unmerge(
        session,
        into.account_id,
        merge.account_id,
        lots,
        actor=why.actor,
        reason=why.reason,
        now=why.now,
        card_id=card.id,
    )
    card.account_id = merge.account_id
    programme = session.get_one(Programme, card.programme_id)
    parting.restore(
        session,
        programme,
        into.account_id,
        merge.account_id,
        merge.turnover,
        merge.tier,
        merge.into_tier,
        why.now,
    )


def _apart(
    session: Session,
    due: int,
    lots: list[LotBefore],
    card: Card,
    into: Card,
    why: Why,
    accept_shortfall: bool,
) -> int:
    """A new account for the card, as if it had left a group; how much it got."""
    available = balances.explain(session, into.account_id).available(why.now)
    if available < due and not accept_shortfall:
        raise Refused(
            "Less is left than the card brought: accept the shortfall, or credit the card first.",
            card=into.public_id,
            missing=due - available,
        )
    shared = session.get_one(Account, into.account_id, populate_existing=True)
    own = ledger.open_account(
        session,
        organisation_id=shared.organisation_id,
        unit_id=shared.unit_id,
        kind=AccountKind.CUSTOMER,
        now=why.now,
        min_balance=shared.min_balance,
    )
    emit(session, AccountSplit(why.now, card.programme_id, shared.id, own.id))
    amount = min(due, available)
    if amount:
        ledger.transfer(
            session,
            shared.id,
            own.id,
            amount,
            actor=why.actor,
            reason=why.reason,
            now=why.now,
            card_id=card.id,
        )
    move_to_come(session, shared.id, own.id, [lot.id for lot in lots], why.now)
    card.account_id = own.id
    return amount
