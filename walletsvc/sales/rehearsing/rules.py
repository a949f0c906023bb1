"""A purchase of the past under other rules; pure.

The purchases of an account are computed in the order in which they happened, and its tier follows
what the tried rules count. A bill that could not have been paid so is paid with as many points as
the tried rules allow. Nobody moves down: what the regular check would do is not tried.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.rulebook import tiers
from walletsvc.programmes.rulebook.basket import Basket, Occasion, Tender
from walletsvc.programmes.rulebook.evaluate import evaluate
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.reasons import Code, Unit
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.sales.rehearsing import keeping
from walletsvc.sales.rehearsing.figures import CardGain, Figures, Given

# What cards of each kind of programme are given; what a rule says beyond it is not counted.
UNITS: Final = {
    ProgrammeKind.POINTS: frozenset({Unit.POINTS, Unit.MONEY}),
    ProgrammeKind.STAMPS: frozenset({Unit.STAMPS, Unit.MONEY}),
    ProgrammeKind.DISCOUNT: frozenset({Unit.MONEY}),
    ProgrammeKind.GIFT: frozenset[Unit](),
}


def digest(book: Mapping[str, Any]) -> str:
    """What tells a stored book from every other."""
    return hashlib.sha256(orjson.dumps(book, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class Sold:
    """A recorded purchase as it is tried: what was sent, and what it brought then.

    `card` and `branch` are public ids; `point_value` is that of the rules of its time. Of one that
    came back in part `lines` are those of its outcome, `returned` what of their sums and of their
    quantities in thousandths did. Only what `counts` is in the figures: the rest just makes tiers.
    """

    id: int
    account_id: int
    card: str
    at: datetime
    channel: str | None
    request: Mapping[str, Any]
    earned: int
    stamps: int
    discount: int
    paid_points: int
    certificates: Sequence[Mapping[str, Any]] | None
    explanation: Sequence[Mapping[str, Any]] | None
    lines: Sequence[Mapping[str, Any]] | None
    returned: Sequence[tuple[int, int]] | None
    organisation: str
    branch: str | None
    time_zone: str | None
    birthday: date | None
    point_value: int
    counts: bool
    first_purchase: bool
    groups: Sequence[str] | None

    @property
    def kept(self) -> list[Fraction]:
        """What share of each line did not come back."""
        return keeping.shares_kept(self.lines or (), self.returned or ())


@dataclass(slots=True)
class Account:
    """How far an account is: what it bought on which day, its tier, what its cards gained.

    `at` and `purchase` are those of its last purchase that was computed.
    """

    id: int
    bought: dict[str, int] = field(default_factory=dict)
    tier: str | None = None
    cards: dict[str, CardGain] = field(default_factory=dict)
    at: str = ""
    purchase: int = 0

    def base(self, book: RuleBook, day: date) -> int:
        """The tier base on a day."""
        since = tiers.counts_since(book, day)
        last, first = day.isoformat(), since.isoformat() if since else ""
        return max(sum(n for when, n in self.bought.items() if first <= when <= last), 0)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        cards = {card: [each.gain, each.purchases] for card, each in self.cards.items()}
        return {
            "id": self.id, "bought": self.bought, "tier": self.tier, "cards": cards,
            "at": self.at, "purchase": self.purchase,
        }  # fmt: skip

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Account:
        """What `dump` made."""
        cards = {card: CardGain(*each) for card, each in stored["cards"].items()}
        return cls(**{**stored, "cards": cards})


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule book on trial, for one programme; `scale` is that of its points."""

    book: RuleBook
    kind: ProgrammeKind
    zone: ZoneInfo
    scale: int

    def begin(self, id_: int, bought: Mapping[str, int], before: date) -> Account:
        """An account with what it bought until the day `before`, the last before the period."""
        account = Account(id_, dict(bought))
        tier = tiers.tier_for(self.book, account.base(self.book, before))
        account.tier = tier.code if tier else None
        return account

    def replay(self, account: Account, row: Sold, figures: Figures) -> None:
        """The account's next purchase; counted unless only its turnover is of interest."""
        outcome = self._compute(account, row)
        account.at, account.purchase = row.at.isoformat(), row.id
        if not row.counts:
            return
        units = UNITS[self.kind]
        whole = row.earned, row.stamps, row.discount, row.paid_points
        left = keeping.sums_left(row.lines, row.kept) if row.lines else whole
        before = self._given(*left, row.point_value)
        figures.explain(keeping.scaled(row.explanation or (), whole, left), units, 0)
        whole = outcome.earned, outcome.stamps, outcome.discount, outcome.paid_with_points
        left = (
            keeping.sums_left([dict(each) for each in outcome.lines], row.kept)
            if row.lines
            else whole
        )
        after = self._given(*left, self.book.point_value)
        told = ({"code": r.code, "unit": r.unit, "amount": r.amount, "data": r.data}
                for r in outcome.explanation)  # fmt: skip
        figures.explain(keeping.scaled(told, whole, left), units, 1)
        figures.add(row.branch, before, after)
        card = account.cards.setdefault(row.card, CardGain())
        card.purchases += 1
        # Stamps have no worth in money: whoever collects them counts them.
        stamps = after.stamps - before.stamps
        card.gain += stamps if self.kind is ProgrammeKind.STAMPS else after.worth - before.worth

    def _given(self, earned: int, stamps: int, discount: int, spent: int, value: int) -> Given:
        units = UNITS[self.kind]
        earned = earned if Unit.POINTS in units else 0
        stamps = stamps if Unit.STAMPS in units else 0
        return Given(earned, stamps, discount, spent, earned * value + discount * self._unit)

    @property
    def _unit(self) -> int:
        return int(10**self.scale)

    def _compute(self, account: Account, row: Sold) -> Outcome:
        day = row.at.astimezone(self.zone).date()
        basket = Basket.model_validate({name: row.request[name] for name in ("lines", "total")})
        occasion = Occasion(
            at=row.at.astimezone(ZoneInfo(row.time_zone) if row.time_zone else self.zone),
            organisation=row.organisation,
            branch=row.branch,
            branch_groups=tuple(row.groups or ()),
            channel=row.channel,
            tier=account.tier,
            turnover=account.base(self.book, day),
            first_purchase=row.first_purchase,
            birthday=row.birthday,
            present=all(each["code"] != Code.PRESENCE_REQUIRED for each in row.explanation or ()),
        )
        outcome = self._paid(basket, occasion, row)
        account.tier = outcome.tier_after
        if self.book.tier_base.counts(row.organisation):
            text = day.isoformat()
            turnover = outcome.turnover
            if row.lines:
                turnover = keeping.rest([line.turnover for line in outcome.lines], row.kept)
            account.bought[text] = account.bought.get(text, 0) + turnover
        return outcome

    def _paid(self, basket: Basket, occasion: Occasion, row: Sold) -> Outcome:
        """Paid as it was, as far as the tried rules let one."""
        outcome = evaluate(self.book, basket, occasion, zone=self.zone, scale=self.scale)
        left, tenders = outcome.payable, []
        for each in row.certificates or ():
            amount = min(each["amount"], left)
            left -= amount
            if amount:
                tenders.append(Tender(id=each["id"], amount=amount))
        if tenders:
            occasion = occasion.model_copy(update={"paid_with_certificates": tuple(tenders)})
            outcome = evaluate(self.book, basket, occasion, zone=self.zone, scale=self.scale)
        points = self._points(row.paid_points, outcome.most_points_payable)
        if points:
            occasion = occasion.model_copy(update={"paid_with_points": points})
            outcome = evaluate(self.book, basket, occasion, zone=self.zone, scale=self.scale)
        return outcome

    def _points(self, paid: int, most: int) -> int:
        spend = self.book.spend
        points = min(paid, most)
        if spend.step or self.book.stamp_card:
            points -= points % (self.book.spend_step * self._unit)
        return points if points >= spend.min_points * self._unit else 0
