"""The block of a receipt: who, earned, paid with points, what there is and what is to come."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date

from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.rulebook import numerals
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.stamp_cards import collected
from walletsvc.sales.preparing import Prepared

Language = Literal["ru", "en"]
WIDTHS: Final = (32, 40, 48)
_SHORTEST_LABEL: Final = 10

_WORDS: Final[Mapping[str, Mapping[Language, str]]] = {
    "card": {"ru": "Карта", "en": "Card"},
    "phone": {"ru": "Телефон", "en": "Phone"},
    "discount": {"ru": "Скидка", "en": "Discount"},
    "earned": {"ru": "Начислено баллов", "en": "Points earned"},
    "stamps": {"ru": "Начислено штампов", "en": "Stamps earned"},
    "stamps_used": {"ru": "Использовано штампов", "en": "Stamps used"},
    "stamps_there": {"ru": "Штампов на карте", "en": "Stamps on the card"},
    "of": {"ru": "{stamps} из {needed}", "en": "{stamps} of {needed}"},
    "rewards": {"ru": "Наград к получению", "en": "Rewards waiting"},
    "points": {"ru": "Оплачено баллами", "en": "Paid with points"},
    "certificate": {"ru": "Оплачено сертификатом", "en": "Paid with certificate"},
    "left": {"ru": "Осталось на сертификате", "en": "Left on the certificate"},
    "valid": {"ru": "Доступно баллов", "en": "Points available"},
    "promotional": {"ru": "в том числе акционных", "en": "of these promotional"},
    "future": {"ru": "Будет доступно {day}", "en": "Available from {day}"},
}


def masked_phone(e164: str | None) -> str | None:
    """A phone that its owner recognises and nobody else learns: `+7 *** ***-45-67`."""
    if e164 is None:
        return None
    code = "+7" if e164.startswith("+7") else "+"
    return f"{code} *** ***-{e164[-4:-2]}-{e164[-2:]}"


def figures(prepared: Prepared) -> dict[str, Any]:
    """What a receipt says, as data that is stored: names and figures after the purchase."""
    card, branch = prepared.facts.card, prepared.branch
    found: dict[str, Any] = {
        "organisation": prepared.facts.organisation_name,
        "branch": branch.public_id if branch else None,
        "time_zone": branch.time_zone if branch else None,
        "card": None,
        "certificates": [
            {
                "id": each.id,
                "amount": each.amount,
                "left": prepared.together.outlook(prepared.facts.certificates[each.id].account_id)[
                    1
                ],
            }
            for each in prepared.sale.certificates
        ],
    }
    if card is not None:
        outlook = prepared.together.outlook(card.account_id)
        found |= {
            "card": card.public_id,
            "programme": card.programme.slug,
            "kind": card.programme.kind.value,
            "scale": card.scale,
            "time_zone": found["time_zone"] or card.programme.time_zone,
            "rules": card.version.number if card.version else None,
            "stamps": _stamps(card.book, outlook.valid),
            "language": card.language,
            "number": f"**** {card.number[-4:]}",
            "phone": masked_phone(card.phone),
            "balance": outlook.balance,
            "valid": outlook.valid,
            "promotional": outlook.promotional,
            "future": [
                {"amount": amount, "available_from": at.isoformat()}
                for at, amount in outlook.future
            ],
        }
    return found


def _stamps(book: RuleBook, valid: int) -> dict[str, int] | None:
    """What of the stamps that may be used is a full card, and what the next one has."""
    card = book.stamp_card
    return collected(card, valid)._asdict() if card else None


def printed(
    receipt: Mapping[str, Any],
    sums: Mapping[str, int],
    *,
    currency: str,
    language: Language,
    width: int,
) -> str:
    """The block as text, no line longer than `width`.

    `sums` are `discount` in minor units of money, `earned` and `points` in those of points, and
    `stamps`.
    """
    speech = _Speech(language, currency, int(receipt.get("scale") or 0))
    rows: list[tuple[str, str]] = []
    if receipt["card"] is not None:
        rows.append((speech.word("card"), receipt["number"]))
        if receipt["phone"]:
            rows.append((speech.word("phone"), receipt["phone"]))
    if sums["discount"]:
        rows.append((speech.word("discount"), speech.money(sums["discount"])))
    for each in receipt["certificates"]:
        rows.append((speech.word("certificate"), speech.money(each["amount"])))
        rows.append((speech.word("left"), speech.money(each["left"])))
    if receipt["card"] is not None and receipt["kind"] == ProgrammeKind.STAMPS:
        rows += _stamp_card(speech, receipt, sums)
    elif receipt["card"] is not None and receipt["kind"] != ProgrammeKind.DISCOUNT:
        rows += _points(speech, receipt, sums)
    return "\n".join(line for label, value in rows for line in _row(label, value, width))


def _points(
    speech: _Speech, receipt: Mapping[str, Any], sums: Mapping[str, int]
) -> list[tuple[str, str]]:
    rows = []
    if sums["points"]:
        rows.append((speech.word("points"), speech.points(sums["points"])))
    rows.append((speech.word("earned"), speech.points(sums["earned"])))
    if sums["stamps"]:
        rows.append((speech.word("stamps"), str(sums["stamps"])))
    rows.append((speech.word("valid"), speech.points(receipt["valid"])))
    if receipt["promotional"]:
        rows.append((speech.word("promotional"), speech.points(receipt["promotional"])))
    return rows + _future(speech, receipt)


def _stamp_card(
    speech: _Speech, receipt: Mapping[str, Any], sums: Mapping[str, int]
) -> list[tuple[str, str]]:
    rows = []
    if sums["points"]:
        rows.append((speech.word("stamps_used"), str(sums["points"])))
    rows.append((speech.word("stamps"), str(sums["stamps"])))
    card = receipt.get("stamps")
    there = str(receipt["valid"]) if card is None else speech.word("of").format(**card)
    rows.append((speech.word("stamps_there"), there))
    if card is not None and card["rewards"]:
        rows.append((speech.word("rewards"), str(card["rewards"])))
    return rows + _future(speech, receipt)


def _future(speech: _Speech, receipt: Mapping[str, Any]) -> list[tuple[str, str]]:
    zone, rows = ZoneInfo(receipt["time_zone"]), []
    for each in receipt["future"]:
        day = speech.day(datetime.fromisoformat(each["available_from"]).astimezone(zone))
        rows.append((speech.word("future").format(day=day), speech.points(each["amount"])))
    return rows


def _row(label: str, value: str, width: int) -> Sequence[str]:
    """Label on the left, value on the right; a label that is too long gets lines of its own."""
    room = width - len(value) - 1
    if len(label) <= room:
        return [label + " " * (width - len(label) - len(value)) + value]
    *before, last = textwrap.wrap(label, max(room, _SHORTEST_LABEL))
    if len(last) > room:
        return [*before, last, value.rjust(width)]
    return [*before, last + " " * (width - len(last) - len(value)) + value]


class _Speech:
    """How one language writes amounts and days on a receipt."""

    def __init__(self, language: Language, currency: str, scale: int) -> None:
        self._language = language
        self._currency = currency
        self._whole = 10**scale

    def word(self, key: str) -> str:
        return _WORDS[key][self._language]

    def money(self, minor: int) -> str:
        return _plain(numerals.money(minor, self._currency, self._language))

    def points(self, minor: int) -> str:
        return _plain(numerals.counted(minor, self._whole, self._language)[0])

    def day(self, at: datetime) -> str:
        return format_date(at.date(), "short", locale=self._language)


def _plain(text: str) -> str:
    """Receipt printers know no narrow or hard spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
