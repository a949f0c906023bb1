"""What a pass says of the holder's tier: its name, and how much is missing to the next one.

In the language of the person: a name of a tier is data, not a text of the template, which has
both languages.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from walletsvc.programmes.rulebook.fields import Names
from walletsvc.programmes.rulebook.numerals import short_money
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.queries import Standing, standing_in
from walletsvc.programmes.versions import known_book

PLACEHOLDERS: Final = frozenset({"tier", "next_tier"})

_MORE: Final = {
    "ru": "ещё {sum} до уровня «{name}»",
    "en": "{sum} more to “{name}”",
}
_MINOR: Final = 100


class BookForgotten(LookupError):
    """The rules have to be read first; others may have pushed them out since they were."""


def name(row: Any) -> str | None:
    """The name of the tier; None for a card without one."""
    found = standing(row)
    return _named(found.tier.name, row) if found and found.tier else None


def next_name(row: Any) -> str | None:
    """What is missing to which tier; None at the top."""
    found = standing(row)
    if found is None or found.next is None or found.missing is None:
        return None
    return _more(found.missing, row.currency, _named(found.next.name, row), language(row))


def still(missing: int, currency: str, language: str) -> str:
    """What is missing in whole units, rounded up: who buys for so much is there."""
    return short_money(Decimal(-(-missing // _MINOR)), currency, language)


def rules(row: Any) -> RuleBook | None:
    """The published rules: `row.rules` is their public id, or they. Raises BookForgotten when this
    process does not know them, or any more."""
    if row.rules is None or isinstance(row.rules, RuleBook):
        found: RuleBook | None = row.rules
    elif (found := known_book(row.rules)) is None:
        raise BookForgotten(row.rules)
    return found


def standing(row: Any) -> Standing | None:
    """Where the card stands; None without tiers."""
    book = rules(row)
    if book is None or not book.tiers:
        return None
    return standing_in(book, row.tier, row.tier_base or 0)


def _named(names: Names, row: Any) -> str:
    return names.en if language(row) == "en" else names.ru


def language(row: Any) -> str:
    """The holder's language."""
    return "en" if row.language == "en" else "ru"


@lru_cache(maxsize=4096)
def _more(missing: int, currency: str, name: str, language: str) -> str:
    return _MORE[language].format(sum=still(missing, currency, language), name=name)
