"""Rule books for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from walletsvc.programmes.rulebook.schemas import RuleBook


def tier(code: str, threshold: int) -> dict[str, Any]:
    """A tier; its English name is the code with a capital."""
    names = {"bronze": "Бронза", "silver": "Серебро", "gold": "Золото"}
    return {
        "code": code,
        "name": {"ru": names.get(code, code), "en": code.capitalize()},
        "threshold": threshold,
    }


def book(*tiers: tuple[str, int], **more: Any) -> RuleBook:
    """Five percent of everything, with these tiers and whatever else is said."""
    return RuleBook.model_validate(
        {"earn": {"percent": Decimal(5)}, "tiers": [tier(*each) for each in tiers]} | more
    )


LEVELS = (("bronze", 0), ("silver", 100_000), ("gold", 500_000))
