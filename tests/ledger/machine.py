"""What may happen in a history of the ledger, and how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.ledger.both_worlds import BothWorlds
from tests.ledger.crashing import How
from tests.ledger.dice import AMOUNT, HOW, PART, WHICH, YES, hours, may, maybe, one_of
from tests.ledger.reference_parts import Account, Giving, Spending
from walletsvc.core.actor import SYSTEM
from walletsvc.ledger import due, service
from walletsvc.ledger.models import SystemCode


class LedgerMachine(BothWorlds):
    """What may happen in every history; subclasses say whose accounts there are."""

    def by(self, which: int, account: Account) -> int:
        """Mostly the issuer itself; in a coalition sometimes another."""
        return self.one([account.organisation, *self.ids], which)

    @may(4, hours=hours, far=YES, jobs=one_of(True, False, False))
    def time_passes(self, hours: int, far: bool, jobs: bool) -> None:
        """So far, or to the very moment at which something begins or ends next."""
        coming = self.world.coming()
        self.world.now = self.world.now + timedelta(hours=hours) if far or not coming else coming[0]
        if jobs:
            self.night(None)

    @may(
        4,
        which=WHICH,
        amount=AMOUNT,
        wait=maybe(hours),
        life=maybe(hours),
        promotional=YES,
        by=WHICH,
        how=HOW,
    )
    def give(
        self,
        which: int,
        amount: int,
        wait: int | None,
        life: int | None,
        promotional: bool,
        by: int,
        how: How,
    ) -> None:
        account = self.one(self.world.accounts, which)
        now, acceptor = self.world.now, self.by(by, account)
        starts = ends = None
        against = SystemCode.ISSUANCE
        if account.points:
            starts = None if wait is None else now + timedelta(hours=wait)
            ends = None if life is None else (starts or now) + timedelta(hours=life)
        elif promotional:
            against = SystemCode.CASH_CLEARING
        dates: Any = {"source": "purchase", "promotional": promotional}
        self.act(
            how,
            lambda session: service.credit(
                session,
                account.number,
                amount,
                actor=SYSTEM,
                reason="",
                now=now,
                against=against,
                acceptor_id=acceptor,
                available_from=starts,
                expires_at=ends,
                **dates,
            ),
            lambda: self.world.give(
                account,
                amount,
                against=against.value,
                by=acceptor,
                starts=starts,
                ends=ends,
                **dates,
            ),
        )

    @may(1, which=WHICH, first=AMOUNT, second=AMOUNT)
    def give_for_later(self, which: int, first: int, second: int) -> None:
        """The one that is due first ends last, and nobody looks before both are due."""
        self.give(which, first, 24, 20 * 24, False, 0, None)
        self.give(which, second, 48, 10 * 24, True, 0, None)
        self.world.now += timedelta(days=3)

    @may(4, which=WHICH, amount=AMOUNT, by=WHICH, payout=YES, how=HOW)
    def spend(self, which: int, amount: int, by: int, payout: bool, how: How) -> None:
        account = self.one(self.world.accounts, which)
        acceptor = self.by(by, account)
        paid_out = payout and not account.points
        against = SystemCode.CASH_CLEARING if paid_out else SystemCode.REDEMPTION
        self.act(
            how,
            lambda session: service.debit(
                session,
                account.number,
                amount,
                actor=SYSTEM,
                reason="",
                now=self.world.now,
                against=against,
                acceptor_id=acceptor,
            ),
            lambda: self.world.spend(account, amount, against=against.value, by=acceptor),
        )

    @may(3, which=WHICH, part=PART, how=HOW)
    def undo_giving(self, which: int, part: int | None, how: How) -> None:
        if not self.world.givings:
            return
        self.undo(self.mostly(self.world.givings, self.left, which), part, how)

    @may(4, which=WHICH, part=PART, how=HOW)
    def undo_spending(self, which: int, part: int | None, how: How) -> None:
        if not self.world.spendings:
            return
        self.undo(self.mostly(self.world.spendings, self.left, which), part, how)

    def undo(self, what: Giving | Spending, part: int | None, how: How) -> None:
        self.act(
            how,
            lambda session: service.reverse(
                session, what.number, amount=part, actor=SYSTEM, reason="", now=self.world.now
            ),
            lambda: self.world.undo(what, part),
        )

    @may(3, which=WHICH, amount=AMOUNT, minutes=one_of(15, 600, 1440, 1440), by=WHICH, how=HOW)
    def hold(self, which: int, amount: int, minutes: int, by: int, how: How) -> None:
        account = self.one(self.world.accounts, which)
        acceptor = self.by(by, account)
        ends = self.world.now + timedelta(minutes=minutes)
        self.act(
            how,
            lambda session: service.hold(
                session,
                account.number,
                amount,
                acceptor_id=acceptor,
                actor=SYSTEM,
                reason="",
                now=self.world.now,
                expires_at=ends,
            ),
            lambda: self.world.hold(account, amount, ends, acceptor),
        )

    @may(2, which=WHICH, part=PART, how=HOW)
    def capture(self, which: int, part: int | None, how: How) -> None:
        if not self.world.holds:
            return
        found = self.mostly(self.world.holds, self.active, which)
        self.act(
            how,
            lambda session: service.capture(
                session, found.number, part, actor=SYSTEM, reason="", now=self.world.now
            ),
            lambda: self.world.capture(found, part),
        )

    @may(1, which=WHICH, how=HOW)
    def void(self, which: int, how: How) -> None:
        if not self.world.holds:
            return
        found = self.mostly(self.world.holds, self.active, which)
        self.act(
            how,
            lambda session: service.void(session, found.number, now=self.world.now),
            lambda: self.world.void(found),
        )

    @may(1, how=HOW)
    def night(self, how: How) -> None:
        """The jobs run."""
        now = self.world.now
        self.act(
            how,
            lambda session: due.settle(session, due.accounts(session, now), now),
            self.world.night,
        )
