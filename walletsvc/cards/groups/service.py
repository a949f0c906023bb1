"""Sharing an account: joining with a proof, leaving with an agreed part.

Locks are taken in one order: the cards concerned with all cards of their groups, ascending; then
accounts, ascending. Whoever holds one card of a group therefore holds the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from walletsvc.cards.groups import invitations
from walletsvc.cards.groups.invitations import invite
from walletsvc.cards.groups.locking import lock_with_groups, require_open
from walletsvc.cards.groups.models import CardGroup, GroupMember, JoinProof
from walletsvc.cards.groups.queries import ToCome, to_come
from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, Refused, wrong
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import touch
from walletsvc.jobs.events import AccountsMerged, AccountSplit, emit
from walletsvc.ledger import queries as balances
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Account, AccountKind, Hold, HoldState, Transaction
from walletsvc.merchants.rules import check_text

__all__ = ["Joined", "Left", "approve", "invite", "join", "leave", "share"]


@dataclass(frozen=True)
class Joined:
    """What joining did: nothing moved when `transaction` is None. `balance` is the shared one."""

    group: CardGroup
    member: GroupMember
    transaction: Transaction | None
    balance: int
    founded: bool


@dataclass(frozen=True)
class Left:
    """What leaving did; `balance` is the card's own from now on.

    `stays` is what was promised for later: it stays with the group, whichever card earned it.
    """

    group: CardGroup
    member: GroupMember
    transaction: Transaction | None
    balance: int
    stays: list[ToCome]


def join(
    session: Session,
    card: Card,
    code: str,
    *,
    actor: Actor,
    now: datetime,
    branch_id: int | None = None,
) -> Joined:
    """Let a card in with the code of an invitation: its account becomes part of the host's.

    Callers limit how often codes are tried (`invitations.PER_KEY`, `PER_CARD`). Raises InputError
    naming `code` (no such invitation, used, over, or of another organisation: they look alike),
    Conflict (the card is in a group, or value of either account is held) and Refused (closed,
    another programme).
    """
    invitation = invitations.find(session, card, code, now)
    cards = lock_with_groups(session, card.id, invitation.card_id)
    # Under the host's lock nobody else can use it or take it back.
    invitation = invitations.still_open(session, invitation)
    host, card = cards[invitation.card_id], cards[card.id]
    _check_pair(card, host)
    invitation.used_at, invitation.used_by_card_id = now, card.id
    proof = _Proof(JoinProof.INVITATION, "", actor, now, branch_id)
    return _let_in(session, card, host, proof)


def approve(
    session: Session,
    card: Card,
    member: Card,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
    branch_id: int | None = None,
) -> Joined:
    """Let a card in without a code, on the word of staff, who say why.

    `member` is any card of the group, or the one to found it with. Raises InputError (no reason)
    and what `join` raises.
    """
    reason = check_text("reason", reason, 200)
    cards = lock_with_groups(session, card.id, member.id)
    host, card = cards[member.id], cards[card.id]
    _check_pair(card, host)
    proof = _Proof(JoinProof.STAFF, reason, actor, now, branch_id)
    return _let_in(session, card, host, proof)


def share(session: Session, card: Card, member: Card, *, actor: Actor, now: datetime) -> Joined:
    """Let a card in because who holds it proved the phone that the holder of `member` answers
    too: the caller has seen to that. `member` is as for `approve`; raises what `join` raises."""
    cards = lock_with_groups(session, card.id, member.id)
    host, card = cards[member.id], cards[card.id]
    _check_pair(card, host)
    return _let_in(session, card, host, _Proof(JoinProof.PHONE, "", actor, now, None))


def leave(
    session: Session,
    card: Card,
    take: int,
    *,
    actor: Actor,
    now: datetime,
    branch_id: int | None = None,
) -> Left:
    """Take a card out of its group, with `take` minor units of what is shared.

    The card gets an account of its own; points keep their dates. When one card remains, the
    group ends and its account is that card's. Raises InputError naming `take`, Refused (closed
    card), Conflict (in no group; the card holds value of the group) and InsufficientFunds, whose
    data holds `available`.
    """
    if not 0 <= take <= MAX_AMOUNT:
        raise wrong("take", f"must be between 0 and {MAX_AMOUNT}")
    cards = lock_with_groups(session, card.id)
    card = cards[card.id]
    require_open(card)
    if card.group_id is None:
        raise Conflict("The card is in no group.")
    group = session.get_one(CardGroup, card.group_id, populate_existing=True)
    account = _own_account(session, card, group, now)
    transaction = None
    if take:
        transaction = ledger.transfer(
            session,
            group.account_id,
            account.id,
            take,
            actor=actor,
            reason="",
            now=now,
            branch_id=branch_id,
            card_id=card.id,
        )
    card.account_id = account.id
    member = _end(session, card, take, actor, now)
    invitations.withdraw(session, card)
    rest = [other for other in cards.values() if other.group_id == group.id]
    if len(rest) == 1:
        _end(session, rest[0], balances.balance(session, group.account_id), actor, now)
        group.closed_at = now
    touch(session, "card", [card.id, *(other.id for other in rest)], at=now)
    touch(session, "account", [group.account_id], at=now)
    session.flush()
    stays = to_come(session, group.account_id)
    return Left(group, member, transaction, take, stays)


@dataclass(frozen=True)
class _Proof:
    kind: JoinProof
    reason: str
    actor: Actor
    now: datetime
    branch_id: int | None


def _check_pair(card: Card, host: Card) -> None:
    if card.id == host.id:
        raise Refused("A card cannot join itself.")
    require_open(card)
    if host.closed_at is not None:
        raise Refused("The card that invites is closed.")
    if card.programme_id != host.programme_id:
        raise Refused("Only cards of one programme can share an account.")
    if card.group_id is not None:
        raise Conflict("The card is in a group already: it has to leave that one first.")


def _let_in(session: Session, card: Card, host: Card, proof: _Proof) -> Joined:
    now = proof.now
    locked = ledger.lock(session, [card.account_id, host.account_id], now=now)
    founded = host.group_id is None
    if founded:
        _found(session, host, locked[host.account_id].standing.balance, proof)
    group = session.get_one(CardGroup, host.group_id, populate_existing=True)
    member = GroupMember(
        group_id=group.id,
        card_id=card.id,
        proof=proof.kind,
        reason=proof.reason,
        actor=str(proof.actor),
        brought=locked[card.account_id].standing.balance,
        joined_at=now,
    )
    transaction = ledger.merge(
        session,
        card.account_id,
        group.account_id,
        actor=proof.actor,
        reason=proof.reason,
        now=now,
        branch_id=proof.branch_id,
        card_id=card.id,
    )
    merged = AccountsMerged(
        at=now,
        programme_id=card.programme_id,
        account_id=card.account_id,
        into_id=group.account_id,
    )
    card.account_id, card.group_id = group.account_id, group.id
    session.add(member)
    emit(session, merged)
    touch(session, "card", [card.id, host.id], at=now)
    session.flush()
    shared = balances.balance(session, group.account_id)
    return Joined(group, member, transaction, shared, founded)


def _found(session: Session, host: Card, balance: int, proof: _Proof) -> None:
    """A group of the host alone, on the host's account."""
    group = CardGroup(
        programme_id=host.programme_id, account_id=host.account_id, created_at=proof.now
    )
    session.add(group)
    session.flush()
    host.group_id = group.id
    session.add(
        GroupMember(
            group_id=group.id,
            card_id=host.id,
            proof=JoinProof.FOUNDER,
            actor=str(proof.actor),
            brought=balance,
            joined_at=proof.now,
        )
    )
    session.flush()


def _own_account(session: Session, card: Card, group: CardGroup, now: datetime) -> Account:
    """An account for a card that leaves, on the terms of the shared one, which is locked."""
    ledger.lock(session, [group.account_id], now=now)
    held = session.exec(
        select(Hold.id).where(
            Hold.account_id == group.account_id,
            Hold.card_id == card.id,
            Hold.state == HoldState.ACTIVE,
        )
    ).first()
    if held is not None:
        raise Conflict("The card has reserved value of the group: capture or release it first.")
    shared = session.get_one(Account, group.account_id, populate_existing=True)
    own = ledger.open_account(
        session,
        organisation_id=shared.organisation_id,
        unit_id=shared.unit_id,
        kind=AccountKind.CUSTOMER,
        now=now,
        min_balance=shared.min_balance,
    )
    split = AccountSplit(
        at=now, programme_id=card.programme_id, account_id=shared.id, new_id=own.id
    )
    emit(session, split)
    return own


def _end(session: Session, card: Card, left_with: int, actor: Actor, now: datetime) -> GroupMember:
    """The card is in no group any more."""
    card.group_id = None
    member = session.exec(
        select(GroupMember).where(
            GroupMember.card_id == card.id, col(GroupMember.left_at).is_(None)
        )
    ).one()
    # Hosts' clocks differ: nobody leaves before having joined.
    member.left_at, member.left_with = max(now, member.joined_at), left_with
    member.left_by = str(actor)
    return member
