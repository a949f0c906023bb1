"""What Wallet demands of the fields of a pass, and how many of them it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from walletsvc.emulators.phone.errors import PackageRefused

GROUPS = (
    "headerFields",
    "primaryFields",
    "secondaryFields",
    "auxiliaryFields",
    "backFields",
    "additionalInfoFields",
    "footerFields",
)
# Tuples: what a pass holds may be anything, and an unhashable value must not break `in`.
_NUMBER_STYLES = tuple(
    f"PKNumberStyle{s}" for s in ("Decimal", "Percent", "Scientific", "SpellOut")
)
_DATE_STYLES = tuple(f"PKDateStyle{s}" for s in ("None", "Short", "Medium", "Long", "Full"))
_ALIGNMENTS = tuple(f"PKTextAlignment{s}" for s in ("Left", "Center", "Right", "Natural"))
_DETECTORS = tuple(
    f"PKDataDetectorType{s}" for s in ("PhoneNumber", "Link", "Address", "CalendarEvent")
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MARKUP = re.compile(r"<(?!/?a[\s>])[^>]*>")
# header, primary, secondary and auxiliary together; per style where they differ.
_SHOWN = {"generic": (3, 1, 8), "eventTicket": (3, 1, 8)}
_SHOWN_USUALLY = (3, 1, 4)


def all_fields(document: dict[str, Any], style: str) -> dict[str, dict[str, Any]]:
    """The fields of a checked pass by key."""
    groups = document[style]
    return {field["key"]: field for group in GROUPS for field in groups.get(group, [])}


def check_fields(document: dict[str, Any], style: str) -> Iterator[str]:
    """Check every field; raises PackageRefused naming it, yields notes on what stays hidden."""
    groups = document[style]
    seen: set[str] = set()
    for group in GROUPS:
        fields = groups.get(group, [])
        if not isinstance(fields, list):
            raise PackageRefused(f"pass.json: {style}.{group} must be a list")
        for index, field in enumerate(fields):
            where = f"{style}.{group}[{index}]"
            if not isinstance(field, dict):
                raise PackageRefused(f"pass.json: {where} must be an object")
            key = field.get("key")
            if not isinstance(key, str) or not key:
                raise PackageRefused(f"pass.json: {where}.key is missing")
            if key in seen:
                raise PackageRefused(f"pass.json: the field key '{key}' is used twice")
            seen.add(key)
            _check_field(f"field '{key}'", field)
            if "textAlignment" in field and group in ("primaryFields", "backFields"):
                yield f"field '{key}': textAlignment has no effect in {group}"
    yield from _hidden(groups, style)


def _hidden(groups: dict[str, Any], style: str) -> Iterator[str]:
    header, primary, rows = _SHOWN.get(style, _SHOWN_USUALLY)
    counts = {group: len(groups.get(group, [])) for group in GROUPS}
    for name, count, room in (
        ("headerFields", counts["headerFields"], header),
        ("primaryFields", counts["primaryFields"], primary),
        (
            "secondaryFields and auxiliaryFields",
            counts["secondaryFields"] + counts["auxiliaryFields"],
            rows,
        ),
    ):
        if count > room and style != "boardingPass":
            yield f"{name}: {count} fields, of which Wallet shows {room}"


def _check_field(where: str, field: dict[str, Any]) -> None:
    value = field.get("value")
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise _wrong(where, "value must be a text or a number")
    for key in ("label", "attributedValue", "changeMessage"):
        if not isinstance(field.get(key, ""), (str, int, float)):
            raise _wrong(where, f"{key} must be a text")
    if _MARKUP.search(str(field.get("attributedValue", ""))):
        raise _wrong(where, "attributedValue may hold no markup but links")
    _check_number(where, field)
    _check_moment(where, field)
    if field.get("textAlignment", "PKTextAlignmentNatural") not in _ALIGNMENTS:
        raise _wrong(where, f"textAlignment '{field['textAlignment']}' is not known")
    detectors = field.get("dataDetectorTypes", [])
    if not isinstance(detectors, list) or not all(d in _DETECTORS for d in detectors):
        raise _wrong(where, "dataDetectorTypes must be a list of known types")
    amount = field.get("semantics", {})
    if isinstance(amount, dict) and "balance" in amount:
        _check_balance(where, amount["balance"])


def _check_number(where: str, field: dict[str, Any]) -> None:
    number = isinstance(field["value"], (int, float))
    currency, style = field.get("currencyCode"), field.get("numberStyle")
    if currency is None and style is None:
        return
    if not number:
        raise _wrong(where, "value must be a number to go with currencyCode or numberStyle")
    if currency is not None and style is not None:
        raise _wrong(where, "currencyCode and numberStyle exclude each other")
    if currency is not None and not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        raise _wrong(where, f"currencyCode '{currency}' is not an ISO 4217 code")
    if style is not None and style not in _NUMBER_STYLES:
        raise _wrong(where, f"numberStyle '{style}' is not known")


def _check_moment(where: str, field: dict[str, Any]) -> None:
    for key in ("dateStyle", "timeStyle"):
        if key in field and field[key] not in _DATE_STYLES:
            raise _wrong(where, f"{key} '{field[key]}' is not known")
    for key in ("isRelative", "ignoresTimeZone"):
        if not isinstance(field.get(key, False), bool):
            raise _wrong(where, f"{key} must be true or false")
    if "dateStyle" in field or "timeStyle" in field:
        check_moment(f"{where}: value", field["value"])


def _check_balance(where: str, balance: object) -> None:
    if not isinstance(balance, dict) or not isinstance(balance.get("amount"), str):
        raise _wrong(where, "semantics.balance.amount must be a text such as '12.50'")


def check_moment(what: str, value: object) -> datetime:
    """A moment as Wallet reads it: to the minute at least, with a zone, no fractions."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # the shape is right, but there is no such day or hour
    raise PackageRefused(f"pass.json: {what} '{value}' is not a date like 2026-11-22T18:30+03:00")


def _wrong(where: str, message: str) -> PackageRefused:
    return PackageRefused(f"pass.json: {where}: {message}")
