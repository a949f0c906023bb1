"""The terms that follow from a programme's rules, for shops that have written none of their own.

The sentences stand in `texts/`; which of them are said, and with which figures, is decided here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import phonenumbers
from babel.numbers import format_decimal
from babel.units import format_unit

from walletsvc.merchants.models import Organisation
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.rulebook.numerals import short_money
from walletsvc.programmes.rulebook.schemas import Lifetime, RuleBook

_TEXTS: Final = Path(__file__).parent / "texts"


def compose(
    programme: Programme, book: RuleBook | None, organisation: Organisation, language: str
) -> tuple[str, str]:
    """Title and body of the terms of a programme with these rules, in this language."""
    said = _texts(language)
    quoted = programme.name if language != "ru" or "«" in programme.name else f"«{programme.name}»"
    names = {"programme": quoted, "organisation": organisation.name}
    parts = [
        *_said(said, _opening(programme), names),
        *_said(said, _rules(programme, book, language), names),
        *_said(said, _closing(organisation), names),
    ]
    return said["title"].format(**names), "\n\n".join(parts)


_Line = tuple[str, dict[str, Any]]


def _said(said: dict[str, str], lines: Iterator[_Line], names: dict[str, str]) -> Iterator[str]:
    for key, values in lines:
        yield said[key].format(**names, **values)


def _opening(programme: Programme) -> Iterator[_Line]:
    yield "about_heading", {}
    yield ("about_gift" if programme.kind is ProgrammeKind.GIFT else "about"), {}
    if programme.kind is not ProgrammeKind.GIFT:
        yield "card", {}


def _rules(programme: Programme, book: RuleBook | None, language: str) -> Iterator[_Line]:
    match programme.kind:
        case ProgrammeKind.GIFT:
            yield "gift_heading", {}
            yield "gift", {}
        case ProgrammeKind.POINTS:
            yield "earn_heading", {}
            yield from _earning(book, language)
            yield "spend_heading", {}
            yield from _spending(programme, book, language)
        case ProgrammeKind.STAMPS:
            yield "stamps_heading", {}
            yield from _stamps(book, language)
        case ProgrammeKind.DISCOUNT:
            yield "discount_heading", {}
            yield "discount", {}
    if book is not None and book.tiers:
        yield "tiers_heading", {}
        yield "tiers", {}
    if programme.kind is not ProgrammeKind.GIFT:
        yield "returns_heading", {}
        yield f"returns_{programme.kind.value}", {}


def _earning(book: RuleBook | None, language: str) -> Iterator[_Line]:
    if book is None:
        yield "earn_later", {}
        return
    if book.earn.percent is not None:
        if book.earn.percent:
            yield "earn_percent", {"percent": _number(book.earn.percent, language)}
    else:
        percents = list((book.earn.percent_by_tier or {}).values())
        low, high = _number(min(percents), language), _number(max(percents), language)
        yield "earn_by_tier", {"low": low, "high": high}
    if book.available_after_days:
        yield "available_after", {"days": _count(book.available_after_days, "day", language)}
    if book.lifetime is None:
        yield "lasts_for_ever", {}
    else:
        yield _lasts(book.lifetime, language)


def _lasts(lifetime: Lifetime, language: str) -> _Line:
    if lifetime.days is not None:
        return "lasts", {"time": _count(lifetime.days, "day", language)}
    if lifetime.months is not None:
        return "lasts", {"time": _count(lifetime.months, "month", language)}
    if lifetime.until_end_of_year_plus:
        years = _count(lifetime.until_end_of_year_plus, "year", language)
        return "lasts_years", {"time": years}
    return "lasts_this_year", {}


def _spending(programme: Programme, book: RuleBook | None, language: str) -> Iterator[_Line]:
    if book is None or not book.spend.max_share_percent:
        yield "spend_never", {}
        return
    worth = short_money(Decimal(book.point_value) / 100, programme.currency, language)
    yield "spend", {"share": _number(book.spend.max_share_percent, language), "worth": worth}
    if book.spend.min_points:
        yield "spend_from", {"points": _number(book.spend.min_points, language)}
    yield "spend_cash", {}


def _stamps(book: RuleBook | None, language: str) -> Iterator[_Line]:
    if book is None or book.stamp_card is None:
        yield "stamps_later", {}
        return
    yield "stamps", {"stamps": _number(book.stamp_card.stamps, language)}


def _closing(organisation: Organisation) -> Iterator[_Line]:
    yield "closing_heading", {}
    yield "changes", {}
    yield "leaving", {}
    phone = _phone(organisation.phone) if organisation.phone else ""
    website = (organisation.website or "").removeprefix("https://")
    if phone and website:
        yield "contact_both", {"phone": phone, "website": website}
    elif phone or website:
        yield "contact", {"place": phone or website}


def _phone(stored: str) -> str:
    try:
        number = phonenumbers.parse(stored)
    except phonenumbers.NumberParseException:
        return stored
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _number(number: Decimal | int, language: str) -> str:
    return format_decimal(number, "#,##0.##", locale=language)


def _count(number: int, unit: str, language: str) -> str:
    """A number with its unit in the right form: `1 день`, `30 дней`."""
    return format_unit(number, f"duration-{unit}", locale=language)


@cache
def _texts(language: str) -> dict[str, str]:
    found: dict[str, str] = tomllib.loads((_TEXTS / f"{language}.toml").read_text(encoding="utf-8"))
    return found
