"""The chain's rules: three tiers, double points for cakes, points for half of a bill."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from walletsvc.cli.demo.shop import TILL, Shop
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook

RULES: Final[dict[str, Any]] = {
    "tiers": [
        {"code": "guest", "name": {"ru": "Гость", "en": "Guest"}, "threshold": 0},
        {"code": "friend", "name": {"ru": "Друг", "en": "Friend"}, "threshold": 500_000},
        {"code": "captain", "name": {"ru": "Капитан", "en": "Captain"}, "threshold": 1_500_000},
    ],
    "earn": {"percent_by_tier": {"guest": "5", "friend": "7", "captain": "10"}},
    "promotions": [
        {
            "id": "cakes",
            "name": {"ru": "Торты вдвойне", "en": "Cakes count twice"},
            "when": {"item_groups": ["cakes"]},
            "effect": {"kind": "multiplier", "factor": "2"},
        }
    ],
    "exclusions": {"item_groups": ["press"]},
    "spend": {"max_share_percent": "50"},
    "lifetime": {"days": 365},
}
# Tried in the story, never published: less for everybody, cheaper drinks.
DRAFT: Final[dict[str, Any]] = RULES | {
    "earn": {"percent_by_tier": {"guest": "3", "friend": "6", "captain": "10"}},
    "promotions": [
        *RULES["promotions"],
        {
            "id": "drinks",
            "name": {"ru": "Кофе дешевле", "en": "Cheaper coffee"},
            "when": {"item_groups": ["drinks"]},
            "effect": {"kind": "discount", "percent": "10"},
        },
    ],
}


def publish(session: Session, shop: Shop, at: datetime) -> None:
    """The rules from `at` on, unless there are some."""
    if versions.current(session, shop.loyalty.id) is None:
        book = RuleBook.model_validate(RULES)
        versions.save_draft(session, shop.loyalty, book, TILL, "The first rules", at)
        versions.publish(session, shop.loyalty, TILL, at)
