"""What a rehearsal found, in whole minor units, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlmodel import Session, col, select

from walletsvc.ledger.models import Unit
from walletsvc.merchants.models import Branch
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.sales.rehearsing.models import Rehearsal


@dataclass(frozen=True, slots=True)
class Sums:
    """Under the rules of the time (`before`) and the tried ones (`after`).

    `earned` and `spent` count points, `discount` money; `cost` is in money what was given, points
    at the value that their rules say.
    """

    purchases: int
    earned_before: int
    earned_after: int
    stamps_before: int
    stamps_after: int
    discount_before: int
    discount_after: int
    spent_before: int
    spent_after: int
    cost_before: int
    cost_after: int


@dataclass(frozen=True, slots=True)
class BranchSums:
    """The sums of a branch by its public id; None is what was sold without one."""

    branch: str | None
    name: str | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class RuleSums:
    """What a rule brought, rounded: `rule` is base, rounding, cap or promotion."""

    rule: str
    promotion: str | None
    names: Mapping[str, str] | None
    unit: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class CardSums:
    """A card by its public id, what it gains (below zero: loses), and by how many purchases."""

    card: str
    gain: int
    purchases: int


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. Gains are in minor units of money, in a stamps programme in stamps.

    `liability` is how many more points would be owed now, `liability_money` their worth under the
    tried rules; below zero when fewer.
    """

    sums: Sums
    cards: int
    winners: int
    losers: int
    won: int
    lost: int
    liability: int
    liability_money: int
    branches: tuple[BranchSums, ...]
    rules: tuple[RuleSums, ...]
    top_winners: tuple[CardSums, ...]
    top_losers: tuple[CardSums, ...]


def report(session: Session, programme: Programme, rehearsal: Rehearsal) -> Report:
    """What the rehearsal has counted so far."""
    found = rehearsal.figures
    totals: Mapping[str, int] = found.get("totals", {})
    stamps = programme.kind == "stamps"
    unit = int(10 ** session.get_one(Unit, programme.unit_id).scale)
    gains = 1 if stamps else unit
    more = {when: totals.get(f"earned_{when}", 0) - totals.get(f"spent_{when}", 0)
            for when in ("before", "after")}  # fmt: skip
    liability = more["after"] - more["before"]
    value = RuleBook.model_validate(rehearsal.book).point_value
    return Report(
        sums=_sums(totals, unit),
        cards=totals.get("cards", 0),
        winners=totals.get("winners", 0),
        losers=totals.get("losers", 0),
        won=_whole(Fraction(totals.get("won", 0), gains)),
        lost=_whole(Fraction(totals.get("lost", 0), gains)),
        liability=liability,
        liability_money=_whole(Fraction(liability * value, unit)),
        branches=_branches(session, found.get("branches", {}), unit),
        rules=_rules(found.get("rules", {}), found.get("names", {})),
        top_winners=_cards(found.get("winners", ()), gains),
        top_losers=_cards(found.get("losers", ()), gains),
    )


def _sums(sums: Mapping[str, int], unit: int) -> Sums:
    worth = {when: _whole(Fraction(sums.get(f"worth_{when}", 0), unit))
             for when in ("before", "after")}  # fmt: skip
    names = [name for name in Sums.__slots__ if not name.startswith("cost_")]
    return Sums(
        **{name: sums.get(name, 0) for name in names},
        cost_before=worth["before"],
        cost_after=worth["after"],
    )


def _branches(
    session: Session, found: Mapping[str, Mapping[str, int]], unit: int
) -> tuple[BranchSums, ...]:
    """Those with most purchases first."""
    rows = session.exec(
        select(Branch.public_id, Branch.name).where(col(Branch.public_id).in_(list(found)))
    )
    names = dict(rows.all())
    made = [
        BranchSums(branch or None, names.get(branch), _sums(sums, unit))
        for branch, sums in found.items()
    ]
    return tuple(sorted(made, key=lambda each: (-each.sums.purchases, each.branch or "")))


def _rules(
    found: Mapping[str, tuple[str, str]], names: Mapping[str, Mapping[str, str]]
) -> tuple[RuleSums, ...]:
    """Those that change most first, unit by unit."""
    made = []
    for key, (before, after) in found.items():
        unit, rule, promotion = key.split(":", 2)
        both = _whole(Fraction(before)), _whole(Fraction(after))
        made.append(RuleSums(rule, promotion or None, names.get(promotion), unit, *both))
    return tuple(
        sorted(made, key=lambda r: (r.unit, -abs(r.after - r.before), r.rule, r.promotion or ""))
    )


def _cards(found: Any, unit: int) -> tuple[CardSums, ...]:
    return tuple(CardSums(card, _whole(Fraction(gain, unit)), n) for gain, card, n in found)


def _whole(amount: Fraction) -> int:
    """To the nearest, halves away from zero."""
    up = int(abs(amount) + Fraction(1, 2))
    return up if amount >= 0 else -up
