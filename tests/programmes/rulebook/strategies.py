"""Random rule books, bills and occasions, and how many of them a test tries."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from walletsvc.programmes.rulebook.basket import Basket, Occasion
from walletsvc.programmes.rulebook.schemas import RuleBook

ZONE = ZoneInfo("Europe/Moscow")
LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
HOW_MANY = settings(
    max_examples=2_000 if LONG else 50,
    derandomize=not LONG,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

ITEMS = ("a", "b", "c", "d", None)
GROUPS = ("x", "y", None)
TIERS = ("one", "two", "three")
PERCENTS = st.sampled_from(["0", "0.01", "1", "2.5", "5", "7.77", "10", "33.33", "50", "100"])
GIVEN_PERCENTS = PERCENTS.filter(lambda percent: percent != "0")


def names(text: str) -> dict[str, str]:
    """A name in both languages."""
    return {"ru": f"Акция {text}", "en": f"Promotion {text}"}


def some(values: tuple[str | None, ...]) -> st.SearchStrategy[list[str]]:
    """A list of some of the values, each once."""
    known = [value for value in values if value]
    return st.lists(st.sampled_from(known), min_size=1, unique=True)


EFFECTS = st.one_of(
    st.builds(lambda p: {"kind": "percent", "percent": p}, GIVEN_PERCENTS),
    st.builds(lambda f: {"kind": "multiplier", "factor": f}, st.sampled_from(["1.5", "2", "10"])),
    st.builds(lambda n: {"kind": "fixed", "points": n}, st.integers(1, 500)),
    st.builds(lambda n: {"kind": "fixed_per_item", "points": n}, st.integers(1, 20)),
    st.builds(
        lambda n, per: {"kind": "stamps", "count": n, "per": per},
        st.integers(1, 3),
        st.sampled_from(["bill", "unit"]),
    ),
    st.builds(lambda p: {"kind": "discount", "percent": p}, GIVEN_PERCENTS),
)


@st.composite
def promotions(draw: st.DrawFn, number: int, tiers: int, *, stamps: bool = True) -> dict[str, Any]:
    """One promotion with a few conditions, perhaps with a limit."""
    when: dict[str, Any] = {}
    if draw(st.booleans()):
        when["items"] = draw(some(ITEMS))
    if draw(st.booleans()):
        when["item_groups"] = draw(some(GROUPS))
    if draw(st.integers(0, 4)) == 0:
        when["min_sum"] = draw(st.integers(0, 50_000))
    if tiers and draw(st.integers(0, 4)) == 0:
        when["tiers"] = draw(some(TIERS[:tiers]))
    effect = draw(EFFECTS if stamps else EFFECTS.filter(lambda each: each["kind"] != "stamps"))
    promotion = {
        "id": f"p{number}",
        "name": names(str(number)),
        "priority": draw(st.integers(-1, 1)),
        "stacking": draw(st.sampled_from(["add", "add", "best", "exclusive"])),
        "when": when,
        "effect": effect,
    }
    if draw(st.booleans()):
        gives = {"stamps": "stamps", "discount": "money"}.get(effect["kind"], "points")
        promotion["limit"] = {gives: draw(st.integers(1, 300))}
    return promotion


REWARDS = st.fixed_dictionaries(
    {"name": st.just(names("reward"))},
    optional={
        "items": some(ITEMS),
        "item_groups": some(GROUPS),
        "percent": st.sampled_from(["50", "33.33", "100"]),
    },
)
STAMP_CARDS = st.fixed_dictionaries({"stamps": st.integers(1, 7), "reward": REWARDS})


@st.composite
def books(draw: st.DrawFn, *, stamps: bool = True) -> RuleBook:
    """A rule book that uses everything that decides a purchase; perhaps nothing with stamps."""
    tiers = draw(st.integers(0, 3))
    by_tier = {code: draw(PERCENTS) for code in TIERS[:tiers]}
    stamp_card = draw(STAMP_CARDS) if stamps and draw(st.integers(0, 3)) == 0 else None
    spend = {
        "max_share_percent": draw(PERCENTS),
        "min_points": draw(st.sampled_from([0, 0, 5])),
        "step": draw(st.sampled_from([None, None, 1, 10])),
    }
    return RuleBook.model_validate(
        {
            "point_value": draw(st.sampled_from([1, 33, 50, 100, 100, 100, 250])),
            "tiers": [
                {"code": code, "name": names(code), "threshold": index * 10_000}
                for index, code in enumerate(TIERS[:tiers])
            ],
            "earn": {
                **({"percent_by_tier": by_tier} if by_tier else {"percent": draw(PERCENTS)}),
                "earn_on_points_paid": draw(st.booleans()),
                "earn_on_certificates": draw(st.booleans()),
            },
            "promotions": [
                draw(promotions(number, tiers, stamps=stamps))
                for number in range(draw(st.integers(0, 6)))
            ],
            "exclusions": {
                "items": draw(st.sampled_from([[], [], ["a"]])),
                "spend_item_groups": draw(st.sampled_from([[], [], ["x"]])),
            },
            "spend": {} if stamp_card else spend,
            "stamp_card": stamp_card,
            "max_earn_percent": draw(st.sampled_from(["100", "100", "20", "1.5", "1000"])),
            "rounding": {
                "points": draw(st.sampled_from(["down", "half_up", "up"])),
                "of": draw(st.sampled_from(["line", "bill"])),
            },
            "available_after_days": draw(st.sampled_from([0, 14])),
            "lifetime": draw(st.sampled_from([None, {"months": 3}])),
        }
    )


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    """A line of a bill, in pieces or by weight, with a price or a sum."""
    line: dict[str, Any] = {
        "item": draw(st.sampled_from(ITEMS)),
        "group": draw(st.sampled_from(GROUPS)),
        "quantity": draw(st.sampled_from(["1", "1", "2", "3", "0.5", "1.333"])),
    }
    line[draw(st.sampled_from(["price", "sum"]))] = draw(st.integers(0, 60_000))
    return line


BILLS = st.lists(lines(), min_size=1, max_size=8)
SCALES = st.sampled_from([0, 2])


def basket(bill: list[dict[str, Any]]) -> Basket:
    """The bill as a basket."""
    return Basket.model_validate({"lines": bill})


def occasion(**more: Any) -> Occasion:
    """An ordinary purchase, with something special about it."""
    at = datetime(2026, 11, 24, 9, tzinfo=UTC).astimezone(ZONE)
    return Occasion.model_validate({"at": at, "organisation": "cafe", **more})
