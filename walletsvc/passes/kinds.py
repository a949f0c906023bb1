"""What a pass says of a stamp card and of a discount card: by the balance and the rules."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from babel.numbers import format_decimal

from walletsvc.passes.levels import language, rules, standing
from walletsvc.programmes.rulebook.stamp_cards import Collected, collected

PLACEHOLDERS: Final = frozenset({"stamps", "stamps_needed", "rewards", "discount"})

_PERCENT: Final = {"ru": "{n}\N{NO-BREAK SPACE}%", "en": "{n}%"}


def stamps(row: Any) -> int:
    """Stamps on the card that is being filled; all of them where the rules have no stamp card."""
    found = _collected(row)
    return found.stamps if found else int(row.balance)


def needed(row: Any) -> int | None:
    """How many stamps fill the card."""
    found = _collected(row)
    return found.needed if found else None


def rewards(row: Any) -> int | None:
    """Full cards that were not used yet."""
    found = _collected(row)
    return found.rewards if found else None


def discount(row: Any) -> str | None:
    """The discount of the holder's tier, such as `7.5%`; None without rules."""
    book = rules(row)
    if book is None:
        return None
    found = standing(row)
    percent = book.discounts[found.tier.code if found and found.tier else None]
    return _percent(str(percent), language(row))


def _collected(row: Any) -> Collected | None:
    book = rules(row)
    return collected(book.stamp_card, row.balance) if book and book.stamp_card else None


@lru_cache(maxsize=1024)
def _percent(percent: str, spoken: str) -> str:
    return _PERCENT[spoken].format(n=format_decimal(percent, "#,##0.##", locale=spoken))
