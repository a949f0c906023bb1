"""What the benchmarks of sales share: rules such as shops have, and bills."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text

from bench.books import Books
from walletsvc.cards.rules import number_valid
from walletsvc.core.actor import Actor
from walletsvc.core.ids import luhn_digit
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook

TILL: Final = Actor("till", "bench")
RULES: Final[dict[str, Any]] = {
    "tiers": [
        {"code": "bronze", "name": {"ru": "Бронза", "en": "Bronze"}, "threshold": 0},
        {"code": "gold", "name": {"ru": "Золото", "en": "Gold"}, "threshold": 5_000_000},
    ],
    "earn": {"percent_by_tier": {"bronze": "5", "gold": "7"}},
    "spend": {"max_share_percent": "50"},
    "lifetime": {"months": 12},
    "promotions": [
        {
            "id": "coffee",
            "name": {"ru": "Кофе", "en": "Coffee"},
            "when": {"item_groups": ["coffee"]},
            "effect": {"kind": "percent", "percent": "5"},
        },
        {
            "id": "morning",
            "name": {"ru": "Утро", "en": "Morning"},
            "when": {"hours": {"from": "06:00", "until": "12:00"}},
            "effect": {"kind": "multiplier", "factor": "2"},
        },
        {
            "id": "cake",
            "name": {"ru": "Торт недели", "en": "Cake of the week"},
            "stacking": "best",
            "when": {"items": ["cake"]},
            "effect": {"kind": "discount", "percent": "10"},
        },
        {
            "id": "birthday",
            "name": {"ru": "День рождения", "en": "Birthday"},
            "when": {"birthday_days": {"before": 3, "after": 3}},
            "effect": {"kind": "multiplier", "factor": "3"},
        },
    ],
}
ITEMS: Final[list[dict[str, Any]]] = [
    {"item": "latte", "group": "coffee", "name": "Латте", "quantity": "2", "price": 25_000},
    {"item": "cake", "group": "pastry", "name": "Торт", "price": 40_000},
    {"item": "water", "name": "Вода", "price": 9_900},
]


def publish(found: Books) -> None:
    """Publish the rules."""
    now = found.installation.clock()
    with found.installation.database.write_tx() as session:
        book = RuleBook.model_validate(RULES)
        versions.save_draft(session, found.programme, book, TILL, "", now)
        versions.publish(session, found.programme, TILL, now)


def card_id(number: int) -> str:
    """The public id of a member's card, as `books.fill` numbers them from 1."""
    return f"card{number:016}"


def scannable(found: Books, number: int) -> str:
    """Give the card of a member a number with its check digit; returns it."""
    body = f"9{number:014}"
    scanned = body + luhn_digit(body)
    if not number_valid(scanned):
        raise RuntimeError(f"{scanned} is not a number of ours.")
    with found.installation.database.write_tx() as session:
        session.execute(
            text("UPDATE cards SET number = :number WHERE public_id = :id"),
            {"number": scanned, "id": card_id(number)},
        )
    return scanned
