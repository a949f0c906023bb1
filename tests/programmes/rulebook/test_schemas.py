"""A rule book is checked when it is saved: every mistake is found, and its field is named."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from pydantic import ValidationError

from walletsvc.programmes.rulebook.basket import Basket, Occasion
from walletsvc.programmes.rulebook.fields import Strict
from walletsvc.programmes.rulebook.schemas import RuleBook

NAME = {"ru": "Имя", "en": "Name"}
GOOD: dict[str, Any] = {
    "tiers": [
        {"code": "bronze", "name": NAME, "threshold": 0},
        {"code": "gold", "name": NAME, "threshold": 1_000_000},
    ],
    "earn": {"percent_by_tier": {"bronze": "3", "gold": "5"}},
    "promotions": [
        {
            "id": "happy",
            "name": NAME,
            "when": {
                "tiers": ["gold"],
                "weekdays": [1, 7],
                "hours": {"from": "22:00", "until": "03:00"},
                "dates": {"from": "2026-11-01", "until": "2026-11-30"},
            },
            "effect": {"kind": "percent", "percent": "2.5"},
            "limit": {"points": 100},
        },
        {"id": "stamp", "name": NAME, "effect": {"kind": "stamps", "count": 1, "per": "unit"}},
    ],
    "lifetime": {"months": 12},
    "events": {
        "registration": {"points": 100, "lifetime": {"days": 30}},
        "birthday": {"points": 300, "days_before": 7},
        "manual": {"review": {"points": 50, "name": NAME}},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good book with one value put in, or with `value` None taken out."""
    data = copy.deepcopy(GOOD)
    way: list[Any] = [int(part) if part.isdigit() else part for part in path.split(".")]
    last = way.pop()
    place: Any = data
    for part in way:
        place = place[part] if isinstance(place, list) else place.setdefault(part, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


def paths(model: type[Strict], data: dict[str, Any]) -> dict[str, str]:
    """The code of every error by its field, as the REST interface would name it."""
    with pytest.raises(ValidationError) as wrong:
        model.model_validate_json(json.dumps(data), strict=True)
    return {".".join(map(str, error["loc"])): error["type"] for error in wrong.value.errors()}


def test_a_good_book_is_kept_as_it_is() -> None:
    """Written and read again, also by its names in the file."""
    book = RuleBook.model_validate_json(json.dumps(GOOD), strict=True)
    stored = book.model_dump_json(exclude_defaults=True)
    assert json.loads(stored) == GOOD
    assert RuleBook.model_validate_json(stored) == book


@pytest.mark.parametrize(
    ("path", "value", "field", "code"),
    [
        ("earn.percent_by_tier", {"bronze": "3"}, "earn.percent_by_tier.gold", "required"),
        (
            "earn.percent_by_tier.platinum",
            "9",
            "earn.percent_by_tier.platinum",
            "unknown_tier",
        ),
        ("earn.percent_by_tier.gold", "100.01", "earn.percent_by_tier.gold", "less_than_equal"),
        ("earn.percent_by_tier.gold", "2,5", "earn.percent_by_tier.gold", "invalid_format"),
        ("earn.percent_by_tier.gold", 2.5, "earn.percent_by_tier.gold", "invalid_format"),
        ("earn.percent_by_tier.gold", "-1", "earn.percent_by_tier.gold", "invalid_format"),
        (
            "earn.percent_by_tier.gold",
            "2.505",
            "earn.percent_by_tier.gold",
            "decimal_max_places",
        ),
        ("earn.percent", "5", "earn.percent", "required"),
        ("earn", {}, "earn.percent", "required"),
        ("tiers.0.threshold", 1, "tiers.0.threshold", "not_zero"),
        ("tiers.1.threshold", 0, "tiers.1.threshold", "not_ascending"),
        ("tiers.1.threshold", -1, "tiers.1.threshold", "greater_than_equal"),
        ("tiers.1.code", "bronze", "tiers.1.code", "duplicate"),
        ("tiers.1.name", {"ru": "Золото"}, "tiers.1.name.en", "missing"),
        ("tiers.1.name.ru", "  ", "tiers.1.name.ru", "string_too_short"),
        ("tier_base.downgrade", "daily", "tier_base.downgrade", "literal_error"),
        ("tier_base.organisations", [], "tier_base.organisations", "too_short"),
        ("tier_base.window_days", 0, "tier_base.window_days", "greater_than_equal"),
        ("promotions.1.id", "happy", "promotions.1.id", "duplicate"),
        (
            "promotions.0.when.tiers",
            ["gold", "vip"],
            "promotions.0.when.tiers.1",
            "unknown_tier",
        ),
        ("promotions.0.when.items", [], "promotions.0.when.items", "too_short"),
        ("promotions.0.when.items", ["a", "b", "a"], "promotions.0.when.items.2", "duplicate"),
        ("promotions.0.when.weekdays", [8], "promotions.0.when.weekdays.0", "less_than_equal"),
        ("promotions.0.when.weekdays", [1, 1], "promotions.0.when.weekdays.1", "duplicate"),
        (
            "promotions.0.when.hours.until",
            "24:00",
            "promotions.0.when.hours.until",
            "string_pattern_mismatch",
        ),
        ("promotions.0.when.hours.until", "22:00", "promotions.0.when.hours.until", "empty"),
        (
            "promotions.0.when.dates.until",
            "2026-10-31",
            "promotions.0.when.dates.until",
            "not_ascending",
        ),
        ("promotions.0.when.dates", {}, "promotions.0.when.dates.from", "required"),
        ("promotions.0.when.colour", "red", "promotions.0.when.colour", "extra_forbidden"),
        ("promotions.0.stacking", "maybe", "promotions.0.stacking", "literal_error"),
        ("promotions.0.effect.kind", "gift", "promotions.0.effect.kind", "literal_error"),
        ("promotions.0.effect.percent", "0", "promotions.0.effect.percent", "greater_than"),
        ("promotions.0.effect.percent", None, "promotions.0.effect.percent", "required"),
        ("promotions.0.effect.factor", "2", "promotions.0.effect.factor", "not_allowed"),
        ("promotions.1.effect.per", None, "promotions.1.effect.per", "required"),
        ("promotions.0.limit", {"money": 5}, "promotions.0.limit.money", "not_allowed"),
        ("promotions.0.limit", {}, "promotions.0.limit.points", "required"),
        (
            "promotions.1.effect",
            {"kind": "multiplier", "factor": "1"},
            "promotions.1.effect.factor",
            "greater_than",
        ),
        ("spend.max_share_percent", "101", "spend.max_share_percent", "less_than_equal"),
        ("spend.step", 0, "spend.step", "greater_than_equal"),
        ("max_earn_percent", "1001", "max_earn_percent", "less_than_equal"),
        ("rounding.points", "nearest", "rounding.points", "literal_error"),
        ("lifetime.days", 5, "lifetime.days", "required"),
        ("lifetime", {}, "lifetime.days", "required"),
        ("point_value", 0, "point_value", "greater_than_equal"),
        ("available_after_days", True, "available_after_days", "int_type"),
        ("events.registration.points", 0, "events.registration.points", "greater_than_equal"),
        ("events.manual.review.name", None, "events.manual.review.name", "missing"),
        ("colour", "red", "colour", "extra_forbidden"),
    ],
)
def test_a_mistake_is_named_by_its_field(path: str, value: Any, field: str, code: str) -> None:
    """One mistake, one field, one code."""
    assert paths(RuleBook, changed(path, value)).get(field) == code


def test_percents_by_tier_need_tiers() -> None:
    """A percent for a tier that nobody can reach would never be paid."""
    found = paths(RuleBook, {"earn": {"percent_by_tier": {}}})
    assert found == {"earn.percent_by_tier": "not_allowed"}


def test_all_mistakes_are_told_at_once() -> None:
    """Whoever corrects one does not meet the next only then."""
    data = changed("tiers.1.threshold", 0)
    data["promotions"][0]["when"]["tiers"] = ["vip"]
    data["promotions"][1]["id"] = "happy"
    assert set(paths(RuleBook, data)) == {
        "tiers.1.threshold",
        "promotions.0.when.tiers.0",
        "promotions.1.id",
    }


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "lines"),
        ({"total": 1, "lines": [{"price": 1}]}, "lines"),
        ({"lines": []}, "lines"),
        ({"lines": [{"item": "a"}]}, "lines.0.price"),
        ({"lines": [{"price": 1, "sum": 1}]}, "lines.0.price"),
        ({"lines": [{"price": 1, "quantity": "0"}]}, "lines.0.quantity"),
        ({"lines": [{"price": 1, "quantity": "0.0001"}]}, "lines.0.quantity"),
        ({"lines": [{"price": 1, "quantity": 0.5}]}, "lines.0.quantity"),
        ({"lines": [{"price": -1}]}, "lines.0.price"),
        ({"total": 1.5}, "total"),
    ],
)
def test_a_wrong_bill_is_named_by_its_field(data: dict[str, Any], field: str) -> None:
    """Bills come from tills that were programmed by somebody else."""
    assert set(paths(Basket, data)) == {field}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"at": "2026-11-24T12:00:00"}, "at"),
        ({"at": "0001-01-01T00:00:00Z"}, "at"),
        ({"paid_with_points": -1}, "paid_with_points"),
        ({"paid_with_certificates": [{"id": "a", "amount": 0}]}, "paid_with_certificates.0.amount"),
        (
            {"paid_with_certificates": [{"id": "a", "amount": 1}, {"id": "a", "amount": 2}]},
            "paid_with_certificates.1.id",
        ),
    ],
)
def test_a_wrong_occasion_is_named_by_its_field(more: dict[str, Any], field: str) -> None:
    """A time without an offset could be any hour."""
    data = {"at": "2026-11-24T12:00:00+03:00", "organisation": "cafe"} | more
    assert set(paths(Occasion, data)) == {field}
