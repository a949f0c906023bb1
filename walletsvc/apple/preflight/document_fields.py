"""The fields of a pass.json: types, attributes and where they may stand, how many are shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final

from babel.numbers import list_currencies

from walletsvc.passes.findings import BUILT, Finding, error, warning
from walletsvc.passes.template_checks import VALUE

GROUPS: Final = (
    "headerFields",
    "primaryFields",
    "secondaryFields",
    "auxiliaryFields",
    "backFields",
    "additionalInfoFields",
    "footerFields",
)
# header, primary, secondary and auxiliary together, as far as they differ from a store card's.
_SHOWN: Final = {"generic": (3, 1, 8), "eventTicket": (3, 1, 8), "posterGeneric": (1, 4, 8)}
_SHOWN_USUALLY: Final = (3, 1, 4)

_NUMBER_STYLES: Final = frozenset(
    f"PKNumberStyle{name}" for name in ("Decimal", "Percent", "Scientific", "SpellOut")
)
_DATE_STYLES: Final = frozenset(
    f"PKDateStyle{name}" for name in ("None", "Short", "Medium", "Long", "Full")
)
_ALIGNMENTS: Final = frozenset(
    f"PKTextAlignment{name}" for name in ("Left", "Center", "Right", "Natural")
)
_DETECTORS: Final = frozenset(
    f"PKDataDetectorType{name}" for name in ("PhoneNumber", "Link", "Address", "CalendarEvent")
)
# The values of an attribute that has only a few.
_CHOICES: Final = {
    "numberStyle": _NUMBER_STYLES,
    "dateStyle": _DATE_STYLES,
    "timeStyle": _DATE_STYLES,
    "textAlignment": _ALIGNMENTS,
}
_TYPES: Final[dict[str, type]] = {
    **dict.fromkeys(("label", "attributedValue", "changeMessage", "currencyCode"), str),
    **dict.fromkeys(_CHOICES, str),
    "isRelative": bool,
    "ignoresTimeZone": bool,
    "dataDetectorTypes": list,
    "semantics": dict,
    "row": int,
}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")
_MARKUP: Final = re.compile(r"<(?!/?a[\s>])[^>]*>")


def moment(value: object) -> datetime | None:
    """A date as Wallet reads it (hours and minutes at least, and a zone), None if it is none."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:  # the shape is right, but there is no such day or hour
        return None


def findings(document: dict[str, Any], style: str) -> Iterator[Finding]:
    """What Wallet would refuse, ignore or hide of the fields of a pass."""
    yield from _style_findings(document[style], style)
    # The older style beside a poster stands for itself: it repeats keys, it does not clash.
    if style != "posterGeneric" and "posterGeneric" in document:
        yield from _style_findings(document["posterGeneric"], "posterGeneric")


def _style_findings(groups: dict[str, Any], style: str) -> Iterator[Finding]:
    keys: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for group in GROUPS:
        fields = groups.get(group, [])
        if not isinstance(fields, list):
            yield error("field", BUILT, f"{style}.{group}", "must be a list")
            continue
        counts[group] = len(fields)
        for index, field in enumerate(fields):
            where = f"{style}.{group}[{index}]"
            if not isinstance(field, dict):
                yield error("field", BUILT, where, "must be an object")
                continue
            key = field.get("key")
            if not isinstance(key, str) or not key:
                yield error("field", BUILT, f"{where}.key", "is missing")
            else:
                keys[key] += 1
            yield from _field(where, group, style, field)
    for key, times in keys.items():
        if times > 1:
            yield error("key-twice", BUILT, style, f"the field key '{key}' is used {times} times")
    yield from _hidden(counts, style)


def _hidden(counts: Counter[str], style: str) -> Iterator[Finding]:
    if style == "boardingPass":
        return
    header, primary, rows = _SHOWN.get(style, _SHOWN_USUALLY)
    both = counts["secondaryFields"] + counts["auxiliaryFields"]
    for name, count, room in (
        ("headerFields", counts["headerFields"], header),
        ("primaryFields", counts["primaryFields"], primary),
        ("secondaryFields and auxiliaryFields", both, rows),
    ):
        if count > room:
            text = f"{name}: {count} fields, of which Wallet shows {room}"
            yield warning("hidden-fields", BUILT, style, text)


def _field(where: str, group: str, style: str, field: dict[str, Any]) -> Iterator[Finding]:
    value = field.get("value")
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        yield error("field", BUILT, f"{where}.value", "must be a text or a number")
        return
    wrong = False
    for name, given in field.items():
        if name in ("key", "value"):
            continue
        wanted = _TYPES.get(name)
        if wanted is None:
            yield warning("field", BUILT, f"{where}.{name}", "is not an attribute of fields")
        elif not isinstance(given, wanted) or (wanted is int and isinstance(given, bool)):
            yield error("field", BUILT, f"{where}.{name}", "is of the wrong type")
            wrong = True
        elif name in _CHOICES and given not in _CHOICES[name]:
            yield error("field", BUILT, f"{where}.{name}", f"'{given}' is not known")
    if wrong:
        return
    yield from _number(where, field)
    yield from _texts(where, field)
    yield from _standing(where, group, style, field)


def _number(where: str, field: dict[str, Any]) -> Iterator[Finding]:
    currency, style = field.get("currencyCode"), field.get("numberStyle")
    if (currency or style) and isinstance(field["value"], str):
        text = "must be a number to go with currencyCode or numberStyle"
        yield error("currency", BUILT, f"{where}.value", text)
    if currency and style:
        text = "currencyCode and numberStyle exclude each other"
        yield error("currency", BUILT, where, text)
    if currency and currency not in _currencies():
        text = f"'{currency}' is not a currency of ISO 4217"
        yield error("currency", BUILT, f"{where}.currencyCode", text)
    if {"dateStyle", "timeStyle"} & set(field) and moment(field["value"]) is None:
        text = "is not a date such as 2026-11-22T18:30:00+03:00"
        yield error("date", BUILT, f"{where}.value", text)
    balance = field.get("semantics", {}).get("balance")
    if balance is not None and not (
        isinstance(balance, dict) and isinstance(balance.get("amount"), str)
    ):
        text = "must be a text such as '12.50'"
        yield error("currency", BUILT, f"{where}.semantics.balance.amount", text)


@cache
def _currencies() -> frozenset[str]:
    return frozenset(list_currencies())


def _texts(where: str, field: dict[str, Any]) -> Iterator[Finding]:
    change = field.get("changeMessage")
    if change is not None and change.count(VALUE) != 1:
        text = "needs %@ exactly once, where the new value goes"
        yield error("change-value", BUILT, f"{where}.changeMessage", text)
    if _MARKUP.search(field.get("attributedValue", "")):
        text = "may hold no markup but links"
        yield error("field", BUILT, f"{where}.attributedValue", text)


def _standing(where: str, group: str, style: str, field: dict[str, Any]) -> Iterator[Finding]:
    """Attributes that have no effect at their place."""
    ineffective = []
    if "textAlignment" in field and group in ("primaryFields", "backFields"):
        ineffective.append("textAlignment")
    if "dataDetectorTypes" in field and group not in ("backFields", "additionalInfoFields"):
        ineffective.append("dataDetectorTypes")
    if "row" in field and (style, group) != ("eventTicket", "auxiliaryFields"):
        ineffective.append("row")
    for name in ineffective:
        yield warning("field", BUILT, f"{where}.{name}", f"has no effect in {group}")
    for name in field.get("dataDetectorTypes", []):
        if name not in _DETECTORS:
            yield error("field", BUILT, f"{where}.dataDetectorTypes", f"'{name}' is not known")
