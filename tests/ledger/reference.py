"""A small model of one points account, written from the rules and not from the code.

It keeps by hand what the ledger derives from its movements: how much of each lot is standing
in for points that are missing elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime


class TooLittle(Exception):
    """The model refuses; `available` is what it would have allowed."""

    def __init__(self, available: int) -> None:
        super().__init__(available)
        self.available = available


@dataclass(eq=False)
class ModelLot:
    """`lent` is what this lot lost for others; `void` when its credit was reversed."""

    original: int
    remaining: int
    ends: datetime | None
    lent: int = 0
    void: bool = False

    def over(self, now: datetime) -> bool:
        return self.ends is not None and now >= self.ends


@dataclass(eq=False)
class ModelDebit:
    """What a debit took from which lots; the rest of its amount was debt."""

    amount: int
    taken: dict[ModelLot, int]


@dataclass
class ModelAccount:
    """A balance, its lots in the order they came, and how low it may fall."""

    minimum: int
    balance: int = 0
    lots: list[ModelLot] = field(default_factory=list)

    def _in_order(self, lots: Iterable[ModelLot]) -> list[ModelLot]:
        """Earliest-expiring first, then by age; lots without an end last."""
        finite = [lot for lot in lots if lot.ends is not None]
        finite.sort(key=lambda lot: (lot.ends, self.lots.index(lot)))
        return finite + sorted(
            (lot for lot in lots if lot.ends is None), key=lambda lot: self.lots.index(lot)
        )

    def credit(self, amount: int, ends: datetime | None) -> ModelLot:
        repaid = min(amount, max(0, -self.balance))
        lot = ModelLot(amount, amount - repaid, ends, lent=repaid)
        self.lots.append(lot)
        self.balance += amount
        return lot

    def _withdraw(self, amount: int, payers: list[ModelLot]) -> dict[ModelLot, int]:
        within = sum(lot.remaining for lot in payers)
        allowed = self.balance - self.minimum
        if within < sum(lot.remaining for lot in self.lots):
            allowed = min(allowed, within)
        if amount > allowed:
            raise TooLittle(allowed)
        self.balance -= amount
        taken: dict[ModelLot, int] = {}
        for lot in payers:
            taken[lot] = min(lot.remaining, amount)
            lot.remaining -= taken[lot]
            amount -= taken[lot]
        return taken

    def debit(self, amount: int, now: datetime) -> ModelDebit:
        payers = self._in_order([lot for lot in self.lots if not lot.over(now)])
        return ModelDebit(amount, self._withdraw(amount, payers))

    def undo(self, what: ModelLot | ModelDebit, now: datetime) -> bool:
        if isinstance(what, ModelLot):
            self.undo_credit(what, now)
        else:
            self.undo_debit(what)
        return True

    def undo_credit(self, credit: ModelLot, now: datetime) -> None:
        others = [lot for lot in self.lots if lot is not credit and not lot.over(now)]
        taken = self._withdraw(credit.original, [credit, *self._in_order(others)])
        credit.void = True
        for lot, part in taken.items():
            lot.lent += part

    def undo_debit(self, debit: ModelDebit) -> None:
        left = max(0, debit.amount - max(0, -self.balance))
        self.balance += debit.amount
        newest = [lot for lot in reversed(self._in_order(self.lots)) if not lot.void]
        for lot in newest:
            lot.lent += debit.taken.get(lot, 0)
        own_first = sorted(newest, key=lambda lot: not debit.taken.get(lot, 0))
        for lot in own_first:
            part = min(debit.taken.get(lot, 0), left)
            left = self._return(lot, part, left)
        for lot in newest:
            left = self._return(lot, min(lot.lent, left), left)
        assert left == 0

    def _return(self, lot: ModelLot, part: int, left: int) -> int:
        lot.remaining += part
        lot.lent -= part
        return left - part
