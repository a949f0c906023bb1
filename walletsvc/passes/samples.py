"""Passes that do not exist, for pre-flight: what cards say when their values are long.

Two of each language: one with what many cards say, one with what few do and any may. Which
numbers, sums and dates are long is a matter of digits; names of people are as long as they like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal

from walletsvc.passes import placeholders
from walletsvc.passes.content import imagine
from walletsvc.passes.placeholders import Kind
from walletsvc.passes.schemas import DateLook, Description, FieldSpec, Style
from walletsvc.programmes.rulebook.schemas import RuleBook

_NAMES: Final = {
    ("ru", False): ("Александра", "Константинова", "Марина Ковалёва"),
    ("ru", True): ("Анна-Виктория", "Воскресенская-Преображенская", "Екатерина и Константин"),
    ("en", False): ("Alexandra", "Montgomery", "Marina Campbell"),
    ("en", True): ("Maria Alexandra", "Featherstonehaugh-Montgomery", "Katherine and Maximilian"),
}
_SLUG: Final = "programme"
_POINTS: Final = {False: 12_450, True: 9_999_999}
_STAMPS: Final = {False: 17, True: 1_099}
_MONEY: Final = {False: 5_000, True: 1_000_000}
_RULES: Final = {
    long: RuleBook.model_validate(
        {
            "earn": {"percent": "5"},
            "tiers": [
                {"code": "first", "name": {"ru": ru, "en": en}, "threshold": 0},
                {"code": "next", "name": {"ru": ru, "en": en}, "threshold": threshold},
            ],
            "promotions": [
                {
                    "id": "discount",
                    "name": {"ru": ru, "en": en},
                    "effect": {"kind": "discount", "percent": percent},
                }
            ],
            "stamp_card": {"stamps": stamps, "reward": {"name": {"ru": ru, "en": en}}},
        }
    )
    for long, ru, en, threshold, percent, stamps in (
        (False, "Золото", "Gold", 2_500_000, "7", 10),
        (True, "Платиновый", "Platinum Guest", 100_000_000, "12.75", 100),
    )
}
# The longest month of both languages when it is shortened, and a day of two digits.
_MOMENT: Final = datetime(2028, 9, 30, 20, 59, 59, tzinfo=UTC)


@dataclass(frozen=True)
class Issuer:
    """What is known of the shop; the rest is made up."""

    organisation: str = "Кофейня «Северный берег»"
    programme: str = "Клуб «Северный берег»"
    phone: str | None = "+78126004020"
    website: str | None = "https://nordshore.example"
    currency: str = "RUB"
    time_zone: str = "Europe/Moscow"
    scale: int | None = None  # decimals of the programme's unit; None: usual for the style


@dataclass(frozen=True)
class Sample:
    """One imagined pass.

    `content` is its content as `Content.as_json` gives it; `shown` is what a phone in this
    language makes of each field, by field key. `long` tells the long one from the usual one.
    """

    language: str
    long: bool
    content: Mapping[str, Any]
    shown: Mapping[str, str]


def imagined(description: Description, issuer: Issuer) -> tuple[Sample, ...]:
    """The usual and the long sample of each language."""
    return tuple(
        _sample(description, issuer, language, long)
        for language in description.texts
        for long in (False, True)
    )


def _sample(description: Description, issuer: Issuer, language: str, long: bool) -> Sample:
    facts = _facts(description.style, issuer, language, long)
    shown_values = " ".join(spec.value or "" for spec in description.fields.everywhere())
    if "{stamps}" in shown_values:
        facts.balance = _STAMPS[long]
    content = imagine(description, facts)
    texts, values = description.texts[language], content["values"]
    shown = {}
    for spec in description.fields.everywhere():
        if spec.text is not None:
            shown[spec.key] = texts[spec.text]
        elif spec.key in values:
            kind = placeholders.kind(description.style, spec)
            shown[spec.key] = _shown(values[spec.key], kind, spec, language)
    return Sample(language, long, content, shown)


def _facts(style: Style, issuer: Issuer, language: str, long: bool) -> SimpleNamespace:
    first, last, recipient = _NAMES[language, long]
    gift = style is Style.GIFT
    scale = issuer.scale if issuer.scale is not None else (2 if gift else 0)
    amount = (_MONEY if gift else _POINTS)[long] * 10**scale
    return SimpleNamespace(
        generation=0,
        organisation=issuer.organisation,
        programme=issuer.programme,
        programme_slug=_SLUG,
        phone=issuer.phone,
        website=issuer.website,
        currency=issuer.currency,
        time_zone=issuer.time_zone,
        balance=amount,
        scale=scale,
        number="9000000000000000",
        member_since=_MOMENT,
        card_closed_at=None,
        first_name=first,
        last_name=last,
        language=language,
        tier="first",
        tier_base=0,
        rules=None if gift else _RULES[long],
        code="WWWW-WWWW-WWWW-WWWW",
        face_value=amount,
        recipient_name=recipient,
        expires_at=_MOMENT if gift else None,
        stopped_at=None,
    )


def _shown(value: Any, kind: Kind, spec: FieldSpec, language: str) -> str:
    """The value in the language's own way, as Wallet formats it."""
    if kind is Kind.NUMBER:
        return format_decimal(value, locale=language)
    if kind is Kind.MONEY:
        amount = Decimal(value["amount"]).scaleb(-value.get("scale", 2))
        return format_currency(amount, value["currency"], locale=language)
    if kind is Kind.DATE:
        moment = datetime.fromisoformat(value)
        if spec.date is DateLook.DATE:
            return format_date(moment, "medium", locale=language)
        return format_datetime(moment, "medium", locale=language)
    return str(value)
