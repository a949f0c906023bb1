"""A model of the whole ledger, written from its rules and not from its code.

It imports nothing of the product. What the ledger derives from its movements the model keeps by
hand: `lent` is how much of a lot stands in for points that are missing elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from tests.ledger.reference_parts import (
    Account,
    Giving,
    Hold,
    Lot,
    Payment,
    Refusal,
    Spending,
    in_order,
)


class World:
    """All accounts, and what the organisations' own accounts sum to.

    `books` is by organisation, unit, code and counterparty; organisations, units and accounts are
    known by the ledger's numbers.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.accounts: list[Account] = []
        self.givings: list[Giving] = []
        self.spendings: list[Spending] = []
        self.holds: list[Hold] = []
        self.payments: list[Payment] = []
        self.books: Counter[tuple[int, int, str, int | None]] = Counter()

    def book(self, account: Account, amount: int, against: str, by: int) -> None:
        """The other side of what the holder gets (or, below zero, loses)."""
        issuer, unit = account.organisation, account.unit
        if by != issuer:
            self.books[issuer, unit, "inter-organisation", by] -= amount
            self.books[by, unit, "inter-organisation", issuer] += amount
        self.books[by, unit, against, None] -= amount

    def settle(self, account: Account) -> None:
        """What time has brought: holds end, and each lot joins when it is due, oldest due first."""
        for hold in account.holds:
            if hold.state == "active" and hold.ends <= self.now:
                self.release(hold, "expired")
        for lot in sorted(in_order(account.lots), key=lambda lot: lot.starts):
            if not lot.matured and lot.remaining and lot.starts <= self.now:
                self.books[account.organisation, account.unit, "pending", None] -= lot.remaining
                repaid = min(account.debt, lot.remaining)
                lot.matured = True
                account.balance += lot.remaining
                lot.lend(repaid)

    def release(self, hold: Hold, state: str) -> None:
        hold.state = state
        for lot, part in hold.parts.items():
            lot.held -= part

    # Giving and spending

    def give(
        self,
        account: Account,
        amount: int,
        *,
        against: str,
        by: int,
        starts: datetime | None = None,
        ends: datetime | None = None,
        source: str,
        promotional: bool = False,
    ) -> Giving:
        account = account.here
        self.settle(account)
        begins = max(starts or self.now, self.now)
        later = begins > self.now
        lot = None
        if account.points:
            lot = Lot(amount, amount, self.now, begins, ends, source, promotional, not later)
            account.lots.append(lot)
            if not later:
                lot.lend(min(amount, account.debt))
        if later:
            self.books[account.organisation, account.unit, "pending", None] += amount
        else:
            account.balance += amount
        self.book(account, amount, against, by)
        giving = Giving(account, amount, against, by, lot)
        self.givings.append(giving)
        return giving

    def take(self, account: Account, amount: int, first: Lot | None = None) -> dict[Lot, int]:
        """Take from the lots that may pay; what they lack becomes debt."""
        payers = account.payers(self.now, first)
        allowed = account.allowed(payers)
        if amount > allowed:
            raise Refusal("InsufficientFunds", available=allowed)
        account.balance -= amount
        return self.empty({lot: lot.remaining - lot.held for lot in payers}, amount)

    def empty(self, most: dict[Lot, int], amount: int) -> dict[Lot, int]:
        taken: dict[Lot, int] = {}
        for lot, limit in most.items():
            part = min(limit, amount)
            if part:
                taken[lot] = part
                lot.remaining -= part
                amount -= part
        return taken

    def spend(self, account: Account, amount: int, *, against: str, by: int) -> Spending:
        account = account.here
        self.settle(account)
        spending = Spending(account, amount, against, by, self.take(account, amount))
        self.book(account, -amount, against, by)
        self.spendings.append(spending)
        return spending

    # Holds

    def hold(self, account: Account, amount: int, ends: datetime, by: int) -> Hold:
        account = account.here
        self.settle(account)
        payers = account.payers(self.now)
        allowed = account.balance - account.held
        if account.points:
            allowed = min(allowed, sum(lot.remaining - lot.held for lot in payers))
        if amount > max(allowed, 0):
            raise Refusal("InsufficientFunds", available=max(allowed, 0))
        parts: dict[Lot, int] = {}
        left = amount
        for lot in payers:
            part = min(left, lot.remaining - lot.held)
            if part:
                parts[lot] = part
                lot.held += part
                left -= part
        hold = Hold(account, amount, ends, by, parts)
        account.holds.append(hold)
        self.holds.append(hold)
        return hold

    def capture(self, hold: Hold, amount: int | None) -> Spending:
        account = hold.account.here
        self.settle(account)
        self._must_be_open(hold)
        amount = hold.amount if amount is None else amount
        if amount > hold.amount:
            raise Refusal("Refused", held=hold.amount)
        self.release(hold, "captured")
        account.balance -= amount
        taken = self.empty({lot: hold.parts[lot] for lot in in_order(hold.parts)}, amount)
        spending = Spending(account, amount, "redemption", hold.acceptor, taken)
        self.book(account, -amount, "redemption", hold.acceptor)
        self.spendings.append(spending)
        return spending

    def void(self, hold: Hold) -> None:
        self.settle(hold.account.here)
        if hold.state != "voided":
            self._must_be_open(hold)
            self.release(hold, "voided")

    def _must_be_open(self, hold: Hold) -> None:
        if hold.state != "active":
            raise Refusal("HoldClosed", state=hold.state)

    # Undoing

    def undo(self, what: Giving | Spending, amount: int | None) -> None:
        account = what.account.here
        self.settle(account)
        left = what.amount - what.undone
        if not left:
            raise Refusal("AlreadyReversed")
        if amount is not None and amount > left:
            raise Refusal("Refused", reversible=left)
        part = left if amount is None else amount
        if isinstance(what, Giving):
            self._undo_giving(account, what, part)
            self.book(account, -part, what.against, what.acceptor)
        else:
            self._undo_spending(account, what, part)
            self.book(account, part, what.against, what.acceptor)

    def _undo_giving(self, account: Account, giving: Giving, part: int) -> None:
        lot = giving.lot
        if lot is not None and not lot.matured:
            lot.remaining -= part
            self.books[account.organisation, account.unit, "pending", None] -= part
        else:
            for payer, taken in self.take(account, part, lot).items():
                payer.lent += taken  # others stand in for what this lot no longer has
            if lot is not None:
                lot.lent -= part
        if lot is not None:
            lot.undone += part
        giving.undone += part

    def _undo_spending(self, account: Account, spending: Spending, part: int) -> None:
        """Debt first; then the very lots it emptied; then those that stand in."""
        left = part - min(account.debt, part)
        account.balance += part
        spent = spending.standing()
        spending.undone += part
        spent.subtract(spending.standing())
        for lot, freed in spent.items():
            lot.lent += freed
        if not account.points:
            return
        for lot in reversed(in_order(spending.taken)):
            mine = spending.taken[lot] - spending.returned[lot]
            room = lot.original - lot.undone - lot.remaining
            left -= self._return(spending, lot, max(0, min(left, mine, room)))
        for lot in reversed(in_order(account.lots)):
            left -= self._return(spending, lot, max(0, min(left, lot.lent)))
        assert left == 0, "what comes back has always been somewhere"

    @staticmethod
    def _return(spending: Spending, lot: Lot, part: int) -> int:
        spending.returned[lot] += part
        lot.lend(-part)
        return part

    # Whole accounts

    def give_many(
        self,
        accounts: Iterable[Account],
        amount: int,
        *,
        against: str,
        ends: datetime | None,
        source: str,
    ) -> int:
        """The same to each of these that is open; returns how many are not."""
        closed = 0
        for account in accounts:
            if account.heir is None:
                by = account.organisation
                self.give(account, amount, against=against, by=by, ends=ends, source=source)
            else:
                closed += 1
        return closed

    def merge(self, one: Account, heir: Account) -> None:
        """All of one account becomes another's; what is owed is taken from what there is."""
        self._combine(one, heir)
        if one.held or heir.held:
            raise Refusal("Conflict")
        if one.balance + heir.balance < heir.minimum:
            raise Refusal("Refused")
        heir.lots += one.lots
        heir.balance += one.balance
        one.lots, one.balance, one.heir = [], 0, heir
        ready = heir.ready()
        excess = sum(lot.remaining for lot in ready) - max(heir.balance, 0)
        if heir.points:
            for lot in sorted(ready, key=lambda lot: lot.over(self.now)):
                part = min(excess, lot.remaining)
                lot.lend(part)
                excess -= part

    def _combine(self, one: Account, other: Account) -> None:
        if one is other:
            raise Refusal("Refused")
        if one.heir or other.heir:
            raise Refusal("Conflict")
        if (one.organisation, one.unit) != (other.organisation, other.unit):
            raise Refusal("Refused")
        self.settle(one)
        self.settle(other)

    def part(self, one: Account, other: Account, amount: int) -> None:
        """A part of one account becomes another's: new lots there with the old ones' dates."""
        self._combine(one, other)
        if not one.points:
            allowed = one.balance - one.held
            if amount > allowed:
                raise Refusal("InsufficientFunds", available=allowed)
            one.balance -= amount
            other.balance += amount
            return
        payers = one.payers(self.now)
        allowed = min(one.balance - one.held, sum(lot.remaining - lot.held for lot in payers))
        if amount > max(allowed, 0):
            raise Refusal("InsufficientFunds", available=max(allowed, 0))
        one.balance -= amount
        parts = self.empty({lot: lot.remaining - lot.held for lot in payers}, amount)
        new = [
            Lot(n, n, lot.earned, lot.starts, lot.ends, lot.source, lot.promotional)
            for lot, n in parts.items()
        ]
        for lot in new:
            lot.lend(min(lot.remaining, other.debt))
            other.balance += lot.original
        other.lots += new

    def pay(self, debtor: int, creditor: int, unit: int, amount: int) -> Payment:
        """One organisation pays another what it owes."""
        owed = max(0, self.books[debtor, unit, "inter-organisation", creditor])
        if amount > owed:
            raise Refusal("Refused", owed=owed)
        self._book_payment(debtor, creditor, unit, amount)
        payment = Payment(debtor, creditor, unit, amount)
        self.payments.append(payment)
        return payment

    def undo_payment(self, payment: Payment) -> None:
        """It was written down by mistake."""
        if payment.undone:
            raise Refusal("AlreadyReversed")
        payment.undone = True
        self._book_payment(payment.debtor, payment.creditor, payment.unit, -payment.amount)

    def _book_payment(self, debtor: int, creditor: int, unit: int, amount: int) -> None:
        self.books[debtor, unit, "inter-organisation", creditor] -= amount
        self.books[debtor, unit, "cash-clearing", None] += amount
        self.books[creditor, unit, "inter-organisation", debtor] += amount
        self.books[creditor, unit, "cash-clearing", None] -= amount

    def coming(self) -> list[datetime]:
        """The moments still to come at which something begins or ends."""
        moments = [hold.ends for hold in self.holds if hold.state == "active"]
        for account in self.accounts:
            for lot in account.lots:
                if lot.remaining:
                    moments += [lot.starts, lot.ends or lot.starts]
        return sorted(moment for moment in moments if moment > self.now)

    def night(self) -> None:
        """The jobs run: everything is settled, and lots past their end are written off."""
        for account in self.accounts:
            self.settle(account)
            for lot in account.ready():
                if lot.over(self.now):
                    gone = lot.remaining - lot.held
                    lot.remaining -= gone
                    account.balance -= gone
                    self.books[account.organisation, account.unit, "breakage", None] += gone
