"""Why a balance is what it is, at any moment from the one when it was read on.

What is stored waits for a job or for the next verb to note what time has brought. Who only
reads must not write, so it is worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from walletsvc.ledger import rules
from walletsvc.ledger.models import AccountKind


@dataclass(frozen=True, slots=True)
class LotRow:
    """Points that came together and are not used up; amounts in minor units.

    `matured` is false for points that are earned but not yet part of the balance.
    `reserved` is how much of `held` is held until when.
    """

    transaction_public_id: str
    reason: str
    source: str
    promotional: bool
    original: int
    remaining: int
    held: int
    matured: bool
    earned_at: datetime
    available_from: datetime
    expires_at: datetime | None
    reserved: tuple[tuple[datetime, int], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class HoldRow:
    """An active hold: how much, until when, and in which branch it was made."""

    public_id: str
    amount: int
    expires_at: datetime
    branch_public_id: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a balance is what it is: lots in the order they will be spent, less the debt.

    On a holder's points account the matured lots' `remaining` sum to `max(balance, 0)`, and
    `held` is the sum of `holds`, oldest first. Certificate money has no lots.
    """

    public_id: str
    kind: AccountKind
    balance: int
    held: int
    min_balance: int
    lots: list[LotRow]
    holds: list[HoldRow] = field(default_factory=list)

    @property
    def future(self) -> list[LotRow]:
        """What is earned and joins the balance at its `available_from`, soonest first."""
        waiting = [lot for lot in self.lots if not lot.matured]
        return sorted(waiting, key=lambda lot: lot.available_from)

    def at(self, now: datetime) -> Explanation:
        """The same as the next verb at `now` will find it.

        Holds that ran out by then hold nothing; lots that are due are part of the balance,
        having repaid the debt first. A lot past its end stays in the balance until written off.
        """
        holds = [hold for hold in self.holds if hold.expires_at > now]
        lots = [
            replace(
                lot,
                held=sum(part for until, part in lot.reserved if until > now),
                reserved=tuple(found for found in lot.reserved if found[0] > now),
            )
            for lot in self.lots
        ]
        due = [place for place, lot in enumerate(lots) if _due(lot, now)]
        due.sort(key=lambda place: lots[place].available_from)
        claims = [(place, lots[place].remaining) for place in due]
        matured = sum(remaining for _, remaining in claims)
        repaid = rules.give_back(claims, min(max(-self.balance, 0), matured))
        for place in due:
            left = lots[place].remaining - repaid.get(place, 0)
            lots[place] = replace(lots[place], remaining=left, matured=True)
        return replace(
            self,
            balance=self.balance + matured,
            held=sum(hold.amount for hold in holds),
            lots=[lot for lot in lots if lot.remaining],
            holds=holds,
        )

    def settled(self, now: datetime) -> Explanation:
        """The same as the job would leave it at `now`: what has ended and is not held is gone."""
        then = self.at(now)
        lots = [replace(lot, remaining=lot.held) if _over(lot, now) else lot for lot in then.lots]
        ended = sum(lot.remaining - lot.held for lot in then.lots if _over(lot, now))
        return replace(
            then, balance=then.balance - ended, lots=[lot for lot in lots if lot.remaining]
        )

    def available(self, now: datetime) -> int:
        """What may be spent at `now` without going into debt: not held, and not past its end."""
        then = self.settled(now)
        return max(then.balance - then.held, 0)


def _due(lot: LotRow, now: datetime) -> bool:
    return not lot.matured and lot.available_from <= now


def _over(lot: LotRow, now: datetime) -> bool:
    return lot.matured and lot.expires_at is not None and lot.expires_at <= now
