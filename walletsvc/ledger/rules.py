"""Which lots pay, and which lots get back: pure functions over what was read under the lock.

Three ideas carry everything:

- *Earliest-expiring first.* Spending empties the lots that end soonest; giving back fills
  the lots that end last, because that is what spending less would have left.
- *Out of reach.* What is held, or past its end and not yet written off, is part of the
  balance but cannot be spent. While there is any, the account cannot go into debt: lots and
  balance would no longer agree.
- *Standing in.* A lot whose points repaid a debt, or were taken because another credit was
  reversed, stands in for points that are missing elsewhere. When a debit is reversed, what
  its own lots cannot take back goes to those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

# A lot, and how much of something it may have.
Claim = tuple[int, int]


@dataclass(frozen=True, slots=True)
class OpenLot:
    """A matured lot with something left; `credit_id` is the transaction that brought it."""

    id: int
    credit_id: int
    remaining: int
    held: int
    expires_at: datetime | None

    def expired(self, now: datetime) -> bool:
        """A lot may be spent before its end, not at it."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account has, what of it is held, and how low it may fall; minor units."""

    balance: int
    held: int
    min_balance: int

    @property
    def debt(self) -> int:
        """What the holder owes; new points repay it first."""
        return max(-self.balance, 0)


def spendable(lots: Iterable[OpenLot], now: datetime, *, first: int | None = None) -> list[OpenLot]:
    """The lots that may pay, in the order they pay; `lots` come earliest-expiring first.

    `first` names a credit that is being reversed: its own lot pays first, expired or not.
    """
    usable = [lot for lot in lots if lot.credit_id == first or not lot.expired(now)]
    return sorted(usable, key=lambda lot: lot.credit_id != first)


def free(lots: Iterable[OpenLot]) -> int:
    """What of these lots is not held."""
    return sum(lot.remaining - lot.held for lot in lots)


def available(standing: Standing, lots: Iterable[OpenLot], payers: Iterable[OpenLot]) -> int:
    """The most that may be taken now; `payers` is what `spendable` chose from `lots`."""
    room = standing.balance - standing.held - standing.min_balance
    unheld = free(payers)
    out_of_reach = sum(lot.remaining for lot in lots) - unheld
    return max(min(room, unheld) if out_of_reach else room, 0)


def holdable(standing: Standing, payers: Iterable[OpenLot] | None) -> int:
    """The most that may be reserved: never debt; `payers` is None when the value has no lots."""
    own = standing.balance - standing.held
    return max(own if payers is None else min(own, free(payers)), 0)


def take(payers: Iterable[OpenLot], amount: int) -> dict[int, int]:
    """How much each lot changes (below zero) to pay `amount`; what is missing becomes debt."""
    moves: dict[int, int] = {}
    for lot in payers:
        part = min(lot.remaining - lot.held, amount)
        if part:
            moves[lot.id] = -part
            amount -= part
        if not amount:
            break
    return moves


def give_back(claims: Sequence[Claim], amount: int) -> dict[int, int]:
    """Give `amount` back to lots in the order of their claims, to none more than its claim."""
    moves: dict[int, int] = {}
    for lot_id, claim in claims:
        part = min(claim, amount)
        if part:
            moves[lot_id] = part
            amount -= part
    return moves


def add(first: Mapping[int, int], second: Mapping[int, int]) -> dict[int, int]:
    """The sum of two sets of movements: one movement per lot and transaction."""
    return {lot: first.get(lot, 0) + second.get(lot, 0) for lot in {*first, *second}}
