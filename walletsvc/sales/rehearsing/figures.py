"""What a rehearsal counts, piece by piece; pure, and kept as JSON between pieces.

Money and points in minor units. `worth` is what was given, points at their value and discounts,
in minor units of money times the minor units of a point, so that nothing is rounded before the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from walletsvc.programmes.rulebook.reasons import Code, Unit

TOP: Final = 10  # cards that are named, of those that gain most and of those that lose most

_RULES: Final = {
    Code.BASE: "base",
    Code.BASE_OF_TIER: "base",
    Code.ROUNDING_DOWN: "rounding",
    Code.ROUNDING_HALF_UP: "rounding",
    Code.ROUNDING_UP: "rounding",
    Code.CAP: "cap",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What a purchase brought under some rules."""

    earned: int
    stamps: int
    discount: int
    spent: int
    worth: int


@dataclass(slots=True)
class CardGain:
    """What a card gained so far: minor units as `worth`, or stamps; and its purchases."""

    gain: int = 0
    purchases: int = 0


@dataclass(slots=True)
class Figures:
    """`totals` and those of each branch by public id ("" is none); sums by rule, exactly.

    `rules` has the sums before and after by unit, rule and promotion, `names` what promotions are
    called. `winners` and `losers` are the first few: what they gain, public id, purchases.
    """

    totals: Counter[str] = field(default_factory=Counter)
    branches: dict[str, Counter[str]] = field(default_factory=dict)
    rules: dict[str, list[Fraction]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    winners: list[tuple[int, str, int]] = field(default_factory=list)
    losers: list[tuple[int, str, int]] = field(default_factory=list)

    def add(self, branch: str | None, before: Given, after: Given) -> None:
        """A purchase under the rules that it had, and under the tried ones."""
        for sums in (self.totals, self.branches.setdefault(branch or "", Counter())):
            sums["purchases"] += 1
            for when, given in (("before", before), ("after", after)):
                for name in Given.__slots__:
                    sums[f"{name}_{when}"] += getattr(given, name)

    def explain(
        self, reasons: Iterable[Mapping[str, Any]], units: frozenset[Unit], place: int
    ) -> None:
        """The amounts of a purchase's reasons to their rules; `place` 0 is before, 1 after."""
        for reason in reasons:
            unit, amount = reason["unit"], reason["amount"]
            if unit not in units:
                continue
            if not isinstance(amount, Fraction):
                amount = Fraction(amount)
            if not amount:
                continue
            promotion = reason["data"].get("promotion")
            if promotion is not None:
                self.names.setdefault(promotion, reason["data"]["name"])
            rule = "promotion" if promotion is not None else _RULES.get(reason["code"], "other")
            key = f"{unit}:{rule}:{promotion or ''}"
            self.rules.setdefault(key, [Fraction(0), Fraction(0)])[place] += amount

    def finish(self, cards: Mapping[str, CardGain]) -> None:
        """The cards of an account, none of whose purchases is left."""
        for public_id, card in cards.items():
            self.totals["cards"] += 1
            told = (card.gain, public_id, card.purchases)
            if card.gain > 0:
                self.totals["winners"] += 1
                self.totals["won"] += card.gain
                self.winners = _first(self.winners, told)
            elif card.gain < 0:
                self.totals["losers"] += 1
                self.totals["lost"] += -card.gain
                self.losers = _first(self.losers, told)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "totals": dict(self.totals),
            "branches": {branch: dict(sums) for branch, sums in self.branches.items()},
            "rules": {key: [str(amount) for amount in both] for key, both in self.rules.items()},
            "names": self.names,
            "winners": [list(each) for each in self.winners],
            "losers": [list(each) for each in self.losers],
        }

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Figures:
        """What `dump` made; nothing yet when it is empty."""
        return cls(
            totals=Counter(stored.get("totals", {})),
            branches={key: Counter(sums) for key, sums in stored.get("branches", {}).items()},
            rules={
                key: [Fraction(amount) for amount in both]
                for key, both in stored.get("rules", {}).items()
            },
            names=dict(stored.get("names", {})),
            winners=[(gain, card, n) for gain, card, n in stored.get("winners", ())],
            losers=[(gain, card, n) for gain, card, n in stored.get("losers", ())],
        )


def _first(found: list[tuple[int, str, int]], more: tuple[int, str, int]) -> list[Any]:
    """The largest gains or losses; of equal ones the smaller id: each run names the same."""
    return sorted([*found, more], key=lambda each: (-abs(each[0]), each[1]))[:TOP]
