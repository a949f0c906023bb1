"""Taking and giving on accounts that are locked, noted down and then written together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import HoldClosed, InsufficientFunds, NotFound, Refused
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import rules
from walletsvc.ledger.accounts import LockedAccount, system_account
from walletsvc.ledger.checks import check
from walletsvc.ledger.clearing import counter_legs
from walletsvc.ledger.models import HoldState, SystemCode, TransactionType
from walletsvc.ledger.posting import Leg, NewLot, Posting
from walletsvc.ledger.rules import OpenLot
from walletsvc.ledger.together.holdings import HeldLot, Numbers, Reserved
from walletsvc.ledger.together.writing import Orders, write

# Ids of system accounts by organisation, unit, code and counterparty (0: none).
Known = Mapping[tuple[int, int, str, int], int]


class Outlook(NamedTuple):
    """What is on an account, what of it may be spent, what of that was an advertising gift, and
    what becomes available when."""

    balance: int
    valid: int
    promotional: int
    future: tuple[tuple[datetime, int], ...]


@dataclass
class Together:
    """What is to be written. `locked` by the account's id, `lots` are those of the one account
    that has any; `known` saves looking system accounts up."""

    session: Session
    locked: Mapping[int, LockedAccount]
    lots: Sequence[HeldLot]
    holds: Mapping[int, Reserved]
    known: Known
    actor: Actor
    reason: str
    now: datetime
    branch_id: int | None = None
    orders: Orders = field(init=False)

    def __post_init__(self) -> None:
        standings = {account.id: account.standing for account in self.locked.values()}
        self.orders = Orders(self.actor, self.now, standings=standings)

    def available(self, account_id: int) -> int:
        """The most that may be taken of an account now, in minor units."""
        account = self.locked[account_id]
        return rules.available(self.orders.standings[account.id], *self._payers(account))

    def debit(
        self, account_id: int, amount: int, *, acceptor_id: int, card_id: int | None = None
    ) -> int:
        """Take as `spending.debit` does; returns the place of its transaction."""
        check(amount, self.reason)
        account = self.locked[account_id]
        available = self.available(account_id)
        if amount > available:
            raise InsufficientFunds("There is not enough on the account.", available=available)
        moves = rules.take(self._payers(account)[1], amount)
        leg = self._move(account, -amount)
        counter = self._counter(account, -amount, SystemCode.REDEMPTION, acceptor_id)
        return self._add(account, TransactionType.DEBIT, [leg, *counter], card_id, moves=moves)

    def capture(
        self, hold_id: int, amount: int, *, acceptor_id: int, card_id: int | None = None
    ) -> int:
        """Take what is held as `holds.capture` does; returns the place of its transaction."""
        check(amount, self.reason)
        found = self.holds.get(hold_id)
        if found is None or found.acceptor_id != acceptor_id:
            raise NotFound("There is no such hold.")
        over = found.state is HoldState.ACTIVE and found.expires_at <= self.now
        state = HoldState.EXPIRED if over else found.state
        if state is not HoldState.ACTIVE:
            raise HoldClosed(f"The hold is {state}.", state=state.value)
        if amount > found.amount:
            raise Refused("Less than that is held.", held=found.amount)
        account = self.locked[found.account_id]
        moves = {lot: -part for lot, part in rules.give_back(found.lots, amount).items()}
        leg = replace(self._move(account, -amount, freed=found.amount), freed=found.amount)
        counter = self._counter(account, -amount, SystemCode.REDEMPTION, acceptor_id)
        legs = [leg, *counter]
        place = self._add(
            account, TransactionType.CAPTURE, legs, card_id, moves=moves, freed=dict(found.lots)
        )
        self.orders.captures.append((place, hold_id, amount))
        return place

    def credit(
        self,
        account_id: int,
        amount: int,
        *,
        source: str,
        acceptor_id: int,
        earned_at: datetime,
        available_from: datetime,
        expires_at: datetime | None,
        card_id: int | None = None,
    ) -> int:
        """Give points as `giving.credit` does, with dates of their own: what was earned before
        this moment is available from then, even if it is known only now."""
        check(amount, self.reason, source)
        account = self.locked[account_id]
        standing = self.orders.standings[account.id]
        if standing.balance + amount > MAX_AMOUNT:
            raise Refused("The balance would be larger than an account can hold.")
        later = available_from > self.now
        repaid = 0 if later else min(standing.debt, amount)
        lot = NewLot(
            account.id, amount, amount - repaid, source, False, expires_at, earned_at,
            available_from, not later,
        )  # fmt: skip
        kind = TransactionType.ACCRUAL if later else TransactionType.CREDIT
        own = Leg(self._pending(account), account.unit_id, amount) if later else None
        legs = [
            own or self._move(account, amount),
            *self._counter(account, amount, SystemCode.ISSUANCE, acceptor_id),
        ]
        return self._add(account, kind, legs, card_id, new_lots=[lot])

    def write(self, numbers: Numbers, lane: Lane = Lane.INTERACTIVE) -> list[int]:
        """Ask for everything to be written; returns the ids of the transactions by their places."""
        return write(self.session, self.orders, numbers, lane)

    def left(self, account_id: int) -> int:
        """What an account has after all that was asked for, and is not held."""
        standing = self.orders.standings[self.locked[account_id].id]
        return standing.balance - standing.held

    def outlook(self, account_id: int) -> Outlook:
        """What the account with the lots has after all that was asked for, and will have."""
        account = self.locked[account_id]
        moved: dict[int, int] = {}
        for posting in self.orders.postings:
            moved = rules.add(moved, posting.moves)
        future: dict[datetime, int] = {}
        promotional = ended = 0
        for lot in self.lots:
            left = lot.open.remaining + moved.get(lot.open.id, 0)
            if not lot.matured:
                future[lot.available_from] = future.get(lot.available_from, 0) + left
            elif lot.promotional and not lot.open.expired(self.now):
                promotional += left
        for own in self._payers(account)[0]:
            ended += own.remaining - own.held if own.expired(self.now) else 0
        for new in [lot for posting in self.orders.postings for lot in posting.new_lots]:
            if not new.matured and new.available_from is not None:
                future[new.available_from] = future.get(new.available_from, 0) + new.remaining
            elif new.expires_at is not None and new.expires_at <= self.now:
                ended += new.remaining
        valid = max(self.left(account_id) - ended, 0)
        soonest = tuple(sorted((day, amount) for day, amount in future.items() if amount))
        balance = self.orders.standings[account.id].balance
        return Outlook(balance, valid, min(promotional, valid), soonest)

    def _payers(self, account: LockedAccount) -> tuple[list[OpenLot], list[OpenLot]]:
        """All matured lots as they are by now, and those that may pay."""
        if not account.has_lots:
            return [], []
        gone: dict[int, int] = {}
        freed: dict[int, int] = {}
        for posting in self.orders.postings:
            gone = rules.add(gone, posting.moves)
            freed = rules.add(freed, posting.freed)
        lots = [lot.open for lot in self.lots if lot.matured]
        if gone or freed:
            lots = [
                replace(
                    lot,
                    remaining=lot.remaining + gone.get(lot.id, 0),
                    held=lot.held - freed.get(lot.id, 0),
                )
                if lot.id in gone or lot.id in freed
                else lot
                for lot in lots
            ]
        return lots, rules.spendable(lots, self.now)

    def _move(self, account: LockedAccount, amount: int, freed: int = 0) -> Leg:
        """The holder's entry; from now on this is how the account stands."""
        standing = self.orders.standings[account.id]
        balance = standing.balance + amount
        self.orders.standings[account.id] = replace(
            standing, balance=balance, held=standing.held - freed
        )
        return Leg(account.id, account.unit_id, amount, balance)

    def _counter(
        self, account: LockedAccount, amount: int, against: SystemCode, acceptor_id: int
    ) -> list[Leg]:
        issuer, unit = account.organisation_id, account.unit_id
        own = self.known.get((acceptor_id, unit, against, 0))
        if acceptor_id == issuer:
            if own is not None:
                return [Leg(own, unit, -amount)]
        else:
            between = SystemCode.INTER_ORGANISATION
            owing = self.known.get((issuer, unit, between, acceptor_id))
            owed = self.known.get((acceptor_id, unit, between, issuer))
            if own is not None and owing is not None and owed is not None:
                return [Leg(owing, unit, -amount), Leg(owed, unit, amount), Leg(own, unit, -amount)]
        return counter_legs(self.session, account, amount, against, acceptor_id, self.now)

    def _pending(self, account: LockedAccount) -> int:
        key = (account.organisation_id, account.unit_id, SystemCode.PENDING, 0)
        found = self.known.get(key)
        if found is not None:
            return found
        return system_account(
            self.session,
            organisation_id=account.organisation_id,
            unit_id=account.unit_id,
            code=SystemCode.PENDING,
            now=self.now,
        )

    def _add(
        self,
        account: LockedAccount,
        kind: TransactionType,
        legs: list[Leg],
        card_id: int | None,
        **more: Any,
    ) -> int:
        self.orders.postings.append(
            Posting(
                organisation_id=account.organisation_id,
                type=kind,
                actor=self.actor,
                reason=self.reason,
                at=self.now,
                legs=legs,
                branch_id=self.branch_id,
                card_id=card_id,
                also_touched=(account.id,),
                **more,
            )
        )
        return len(self.orders.postings) - 1
