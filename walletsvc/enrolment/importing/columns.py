"""How people head the columns of such lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from walletsvc.core.errors import wrong

IGNORED: Final = ""
HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": (
        "number", "card", "card number", "plastic", "plastic number", "barcode",
        "номер", "карта", "номер карты", "штрихкод", "штрих-код",
    ),
    "phone": ("phone", "mobile", "phone number", "телефон", "мобильный", "номер телефона"),
    "surname_first": ("surname first", "фио", "клиент", "покупатель"),
    "full_name": ("full name", "name", "client", "customer"),
    "first_name": ("first name", "имя"),
    "last_name": ("last name", "surname", "фамилия"),
    "birthday": ("birthday", "birth date", "date of birth", "дата рождения", "день рождения"),
    "balance": ("balance", "points", "bonus", "баланс", "баллы", "бонусы", "остаток"),
    "turnover": ("turnover", "spent", "purchases", "оборот", "сумма покупок", "накопления"),
    "tier": ("tier", "level", "status", "уровень", "статус"),
    "email": ("email", "e-mail", "mail", "почта", "эл. почта", "электронная почта"),
    "registered_on": (
        "registered on", "registered", "since", "дата регистрации", "дата выдачи",
    ),
    "language": ("language", "lang", "язык"),
    IGNORED: ("patronymic", "middle name", "отчество"),
}  # fmt: skip
_NO_COLUMN: Final = (
    "is not set to a column of an import: "
    f"{', '.join(name for name in HEADINGS if name)}, or nothing, to pass it over"
)


def columns(heading: Sequence[str], named: Mapping[str, str]) -> list[str]:
    """What each column is, in their order; `named` says it of headings that nobody knows, and of
    which to ignore. Raises InputError naming the column."""
    chosen = {_tidy(title): column for title, column in named.items()}
    for title, column in named.items():
        if column not in HEADINGS:
            raise wrong(f"columns.{title[:40]}", _NO_COLUMN, "not_allowed")
    found: list[str] = []
    for place, title in enumerate(heading, start=1):
        field = f"heading, column {place}"
        tidy = _tidy(title)
        meant = chosen[tidy] if tidy in chosen else _known(title)
        if meant is None:
            raise wrong(field, "is not known: say in `columns` what it is", "unknown_field")
        if meant in found and meant != IGNORED:
            raise wrong(field, "is there twice", "duplicate_key")
        found.append(meant)
    if "number" not in found and "phone" not in found:
        raise wrong("heading", "has neither a card number nor a phone", "required")
    return found


def _known(title: str) -> str | None:
    tidy = _tidy(title)
    if not tidy:
        return IGNORED
    return next((name for name, words in HEADINGS.items() if tidy in words), None)


def _tidy(title: str) -> str:
    return " ".join(title.replace("_", " ").split()).casefold()
