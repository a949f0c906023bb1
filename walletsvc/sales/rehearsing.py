"""Other rules tried on the sales of the past: what they would have cost, who gains, who loses.

Reads only. Each purchase that stands is computed anew, in the order in which they happened; the
tier follows what the tried rules count. A bill that could not have been paid so is paid with as
many points as the tried rules allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlmodel import Session

from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.rulebook import tiers
from walletsvc.programmes.rulebook.basket import Basket, Occasion, Tender
from walletsvc.programmes.rulebook.evaluate import evaluate
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.schemas import RuleBook

_PIECE: Final = 500

_PURCHASES: Final = text("""
SELECT p.id, p.card_id, p.account_id, p.at, p.channel, p.request, p.earned, p.discount,
       p.stamps, p.paid_points, p.outcome -> 'paid_with_certificates' AS certificates,
       o.slug AS organisation, b.public_id AS branch, b.time_zone, n.birthday,
       u.scale,
       NOT EXISTS (SELECT FROM purchases e WHERE e.card_id = p.card_id AND e.id < p.id
                      AND e.state IN ('recorded', 'partly_refunded')) AS first_purchase,
       (SELECT array_agg(g.slug ORDER BY g.slug) FROM branch_groups g
          JOIN branch_group_members m ON m.group_id = g.id
         WHERE m.branch_id = p.branch_id AND g.organisation_id = :owner_id) AS groups
  FROM purchases p
  JOIN organisations o ON o.id = p.organisation_id
  JOIN cards c ON c.id = p.card_id
  JOIN persons n ON n.id = c.person_id
  JOIN ledger_units u ON u.id = :unit_id
  LEFT JOIN branches b ON b.id = p.branch_id
 WHERE p.programme_id = :programme_id AND p.state IN ('recorded', 'partly_refunded')
   AND p.at >= :since AND p.at < :until
 ORDER BY p.at, p.id
""")
_BEFORE: Final = text("""
SELECT t.account_id, t.day, o.slug, t.amount
  FROM turnover t JOIN organisations o ON o.id = t.organisation_id
  JOIN accounts a ON a.id = t.account_id AND a.unit_id = :unit_id
 WHERE t.day < :day
""")


@dataclass
class Rehearsal:
    """What the tried rules would have done; points and money in minor units.

    `cards` are those with a purchase, `winners` and `losers` of them get more or less, points and
    discounts together. `liability` is how much more would be owed: it is below zero when less.
    """

    purchases: int = 0
    cards: int = 0
    earned_before: int = 0
    earned_after: int = 0
    discount_before: int = 0
    discount_after: int = 0
    winners: int = 0
    losers: int = 0

    @property
    def liability(self) -> int:
        """How many more points there would be."""
        return self.earned_after - self.earned_before


@dataclass
class _Replay:
    """What the tried rules have counted so far, by account."""

    book: RuleBook
    zone: ZoneInfo
    bought: dict[int, list[tuple[date, int]]] = field(default_factory=dict)
    reached: dict[int, str | None] = field(default_factory=dict)

    def base(self, account: int, day: date) -> int:
        """The tier base on a day."""
        since = tiers.counts_since(self.book, day)
        found = self.bought.get(account, ())
        return max(sum(n for at, n in found if at <= day and (since is None or at >= since)), 0)

    def compute(self, row: Row[Any]) -> Outcome:
        """One purchase under the tried rules."""
        day = row.at.astimezone(self.zone).date()
        base = self.base(row.account_id, day)
        basket = Basket.model_validate({name: row.request[name] for name in ("lines", "total")})
        occasion = Occasion(
            at=row.at.astimezone(ZoneInfo(row.time_zone) if row.time_zone else self.zone),
            organisation=row.organisation,
            branch=row.branch,
            branch_groups=tuple(row.groups or ()),
            channel=row.channel,
            tier=self.reached.get(row.account_id),
            turnover=base,
            first_purchase=row.first_purchase,
            birthday=row.birthday,
        )
        outcome = self._paid(basket, occasion, row)
        self.reached[row.account_id] = outcome.tier_after
        self.bought.setdefault(row.account_id, []).append((day, outcome.turnover))
        return outcome

    def _paid(self, basket: Basket, occasion: Occasion, row: Row[Any]) -> Outcome:
        """Paid as it was, as far as the tried rules let one."""
        plain = evaluate(self.book, basket, occasion, zone=self.zone, scale=row.scale)
        left, tenders = plain.payable, []
        for each in row.certificates or ():
            amount = min(each["amount"], left)
            left -= amount
            if amount:
                tenders.append(Tender(id=each["id"], amount=amount))
        with_gifts = occasion.model_copy(update={"paid_with_certificates": tuple(tenders)})
        most = evaluate(self.book, basket, with_gifts, zone=self.zone, scale=row.scale)
        points = min(row.paid_points, most.most_points_payable)
        unit = int(10**row.scale)
        if self.book.spend.step or self.book.stamp_card:
            points -= points % (self.book.spend_step * unit)
        if points < self.book.spend.min_points * unit:
            points = 0
        paid = with_gifts.model_copy(update={"paid_with_points": points})
        return evaluate(self.book, basket, paid, zone=self.zone, scale=row.scale)


def rehearse(
    session: Session, programme: Programme, book: RuleBook, since: datetime, until: datetime
) -> Rehearsal:
    """Try a rule book on the programme's purchases from `since` to before `until`."""
    zone = ZoneInfo(programme.time_zone)
    replay = _Replay(book, zone)
    first = since.astimezone(zone).date()
    before = session.execute(_BEFORE, {"unit_id": programme.unit_id, "day": first})
    for row in before:
        if book.tier_base.counts(row.slug):
            replay.bought.setdefault(row.account_id, []).append((row.day, row.amount))
    for account in replay.bought:
        tier = tiers.tier_for(book, replay.base(account, first - timedelta(days=1)))
        replay.reached[account] = tier.code if tier else None
    stamps = programme.kind is ProgrammeKind.STAMPS
    done = Rehearsal()
    balance: dict[int, int] = {}
    for row in _rows(session, programme, {"since": since, "until": until}):
        outcome = replay.compute(row)
        done.purchases += 1
        was, earned = (row.stamps, outcome.stamps) if stamps else (row.earned, outcome.earned)
        done.earned_before += was
        done.earned_after += earned
        done.discount_before += row.discount
        done.discount_after += outcome.discount
        unit = int(10**row.scale)
        gained = (earned - was) * book.point_value
        more = gained + (outcome.discount - row.discount) * unit
        balance[row.card_id] = balance.get(row.card_id, 0) + more
    done.cards = len(balance)
    done.winners = sum(more > 0 for more in balance.values())
    done.losers = sum(more < 0 for more in balance.values())
    return done


def _rows(
    session: Session, programme: Programme, period: Mapping[str, datetime]
) -> Iterator[Row[Any]]:
    values = {
        "programme_id": programme.id,
        "owner_id": programme.organisation_id,
        "unit_id": programme.unit_id,
        **period,
    }
    options = {"yield_per": _PIECE}
    yield from session.execute(_PURCHASES, values, execution_options=options)
