"""The manual's examples: each rule book is valid, and says what the page says it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from tests.programmes.rulebook.strategies import ZONE, occasion
from tests.programmes.rulebook.test_cases import plain
from walletsvc.programmes.rulebook.basket import Basket
from walletsvc.programmes.rulebook.evaluate import evaluate
from walletsvc.programmes.rulebook.reasons import words
from walletsvc.programmes.rulebook.schemas import RuleBook

DOCS = Path(__file__).parents[3] / "docs"
COFFEE: Final = [
    {"item": "cappuccino", "group": "coffee", "name": "Капучино", "price": 25_000, "quantity": 3},
    {"item": "bun", "group": "bakery", "name": "Булочка", "price": 12_000},
]
SWEET: Final = [
    {"item": "tea", "name": "Чай", "price": 20_000},
    {"item": "cake", "name": "Торт", "price": 40_000},
]
# What is bought in each example, in the order of the pages: bill, and what is special about it.
PURCHASES: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "base": (99_999, {}),
    "tiers": (100_000, {"tier": "bronze", "turnover": 4_950_000}),
    "spend": (99_900, {"paid_with_points": 290}),
    "percent": (
        [
            {"item": "ethiopia", "name": "Эфиопия", "price": 100_000},
            {"item": "filter", "name": "Фильтры", "price": 30_000},
        ],
        {},
    ),
    "multiplier": (42_000, {"branch_groups": ["moscow"]}),
    "fixed": (60_000, {"first_purchase": True}),
    "per_item": (COFFEE, {}),
    "stamps": (COFFEE, {}),
    "stamp_card": (COFFEE, {"paid_with_points": 6}),
    "discount": (1_000_000, {"tier": "regular", "turnover": 1_200_000}),
    "best": (SWEET, {}),
    "exclusive": (SWEET, {}),
    "exclusions": (
        [
            {"item": "cigarettes", "group": "tobacco", "name": "Сигареты", "price": 25_000},
            {"item": "wine", "group": "alcohol", "name": "Вино", "price": 60_000},
            {"item": "steak", "group": "food", "name": "Стейк", "price": 40_000},
        ],
        {},
    ),
    "cap": (33_333, {}),
    "dates": (100_000, {}),
}


def evaluate_example(rules: dict[str, Any], name: str, language: str) -> list[str]:
    """What the customer reads about the purchase of an example."""
    bill, special = PURCHASES[name]
    basket = {"total": bill} if isinstance(bill, int) else {"lines": bill}
    outcome = evaluate(
        RuleBook.model_validate(rules),
        Basket.model_validate(basket),
        occasion(**special),
        zone=ZONE,
    )
    return [words(reason, language) for reason in outcome.explanation]


@pytest.mark.parametrize(("page", "language"), [("rules.md", "en"), ("ru/rules.md", "ru")])
def test_every_example_says_what_the_page_says(page: str, language: str) -> None:
    """A rule book in JSON, and below it its explanation in words."""
    text = (DOCS / page).read_text(encoding="utf-8")
    books = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    told = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert len(books) == len(told) == len(PURCHASES)
    for name, book, said in zip(PURCHASES, books, told, strict=True):
        found = evaluate_example(json.loads(book), name, language)
        assert [plain(line) for line in found] == said.splitlines(), name


def test_both_pages_show_the_same_rules() -> None:
    """Only the words around them differ."""
    pages = [(DOCS / page).read_text(encoding="utf-8") for page in ("rules.md", "ru/rules.md")]
    english, russian = (re.findall(r"```json\n.*?```", page, re.DOTALL) for page in pages)
    assert english == russian
    fields = [set(re.findall(r"^\| `([a-z_.]+)`", page, re.MULTILINE)) for page in pages]
    assert fields[0] == fields[1]


def test_every_field_of_a_book_is_in_the_manual() -> None:
    """A field that nobody can read about does not exist for marketers."""
    schema = RuleBook.model_json_schema()
    known = {name for part in schema["$defs"].values() for name in part.get("properties", {})}
    known |= set(schema["properties"])
    for page in ("rules.md", "ru/rules.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        assert {name for name in known if not re.search(rf"\b{name}\b", text)} == set()
