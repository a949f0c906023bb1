"""What the model of the ledger is made of: accounts, lots, holds, and what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

FOREVER = datetime.max.replace(tzinfo=UTC)


class Refusal(Exception):
    """The model says no: with which error of the product, and with which numbers."""

    def __init__(self, error: str, **numbers: object) -> None:
        super().__init__(error, numbers)
        self.error, self.numbers = error, numbers


@dataclass(eq=False)
class Lot:
    """Points that came together. `number` is the ledger's own, by which equals are ordered."""

    original: int
    remaining: int
    earned: datetime
    starts: datetime
    ends: datetime | None
    source: str
    promotional: bool
    matured: bool = True
    number: int = 0
    held: int = 0
    undone: int = 0
    lent: int = 0

    def over(self, now: datetime) -> bool:
        return self.ends is not None and now >= self.ends

    def lend(self, amount: int) -> None:
        """Points leave this lot although nobody spent them here."""
        self.remaining -= amount
        self.lent += amount

    @property
    def place(self) -> tuple[datetime, int]:
        """Earliest-expiring first, equals by age."""
        return (self.ends or FOREVER, self.number)


def in_order(lots: Iterable[Lot]) -> list[Lot]:
    return sorted(lots, key=lambda lot: lot.place)


@dataclass(eq=False)
class Hold:
    """`parts` is how much of which lot it reserves; empty for money."""

    account: Account
    amount: int
    ends: datetime
    acceptor: int
    parts: dict[Lot, int]
    state: str = "active"
    number: int = 0


@dataclass(eq=False)
class Account:
    """What one holder has. `heir` is the account that it was merged into."""

    number: int
    organisation: int
    unit: int
    points: bool
    minimum: int
    balance: int = 0
    lots: list[Lot] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    heir: Account | None = None

    @property
    def debt(self) -> int:
        return max(0, -self.balance)

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds if hold.state == "active")

    @property
    def here(self) -> Account:
        return self if self.heir is None else self.heir.here

    def ready(self) -> list[Lot]:
        return in_order(lot for lot in self.lots if lot.matured and lot.remaining)

    def payers(self, now: datetime, first: Lot | None = None) -> list[Lot]:
        """Who may pay, in this order; the lot of a giving that is undone comes first."""
        usable = [lot for lot in self.ready() if lot is first or not lot.over(now)]
        return sorted(usable, key=lambda lot: lot is not first)

    def allowed(self, payers: list[Lot]) -> int:
        """The most that can be taken; no debt beside points that are out of reach."""
        room = self.balance - self.held - self.minimum
        free = sum(lot.remaining - lot.held for lot in payers)
        if free < sum(lot.remaining for lot in self.ready()):
            room = min(room, free)
        return max(room, 0)


@dataclass(eq=False)
class Giving:
    """A credit or an accrual; `lot` is None for money. `number` is its transaction's."""

    account: Account
    amount: int
    against: str
    acceptor: int
    lot: Lot | None
    undone: int = 0
    number: int = 0


@dataclass(eq=False)
class Spending:
    """A debit or a capture: what it took from which lots; the rest of its amount was debt."""

    account: Account
    amount: int
    against: str
    acceptor: int
    taken: dict[Lot, int]
    undone: int = 0
    returned: Counter[Lot] = field(default_factory=Counter)
    number: int = 0

    def standing(self) -> Counter[Lot]:
        """What of each lot is spent while `undone` of this is undone: latest-expiring go first."""
        left, spent = self.undone, Counter(self.taken)
        for lot in reversed(in_order(self.taken)):
            part = min(left, spent[lot])
            spent[lot] -= part
            left -= part
        return spent


@dataclass(eq=False)
class Payment:
    """What one organisation paid another."""

    debtor: int
    creditor: int
    unit: int
    amount: int
    undone: bool = False
    number: int = 0
