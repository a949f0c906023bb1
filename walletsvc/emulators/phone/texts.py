"""`xx.lproj/pass.strings`: the texts of a pass in one language, and values as a phone shows them.

The format is Apple's `.strings`: `"key" = "value";` with comments, in UTF-16 (by its byte
order mark) or UTF-8.
"""

from __future__ import annotations

import codecs
import re
from datetime import datetime
from typing import Any

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, format_percent, format_scientific

from walletsvc.emulators.phone.errors import PackageRefused

_GAP = re.compile(r"(?:\s+|/\*.*?\*/|//[^\n]*)*", re.DOTALL)
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_ENTRY = re.compile(rf"{_QUOTED}\s*=\s*{_QUOTED}\s*;", re.DOTALL)
_ESCAPE = re.compile(r"\\(U[0-9a-fA-F]{4}|.)", re.DOTALL)
_PLAIN_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_LENGTHS = {
    "PKDateStyleShort": "short",
    "PKDateStyleMedium": "medium",
    "PKDateStyleLong": "long",
    "PKDateStyleFull": "full",
}


def parse_strings(name: str, data: bytes) -> dict[str, str]:
    """The texts of a `.strings` file; raises PackageRefused naming file and line."""
    text = _decode(name, data)
    texts: dict[str, str] = {}
    position = _skip(text, 0)
    while position < len(text):
        entry = _ENTRY.match(text, position)
        if entry is None:
            line = text.count("\n", 0, position) + 1
            raise PackageRefused(f'{name}: line {line} is not `"key" = "text";`')
        key = _unescape(entry[1])
        if key in texts:
            raise PackageRefused(f"{name}: the key '{key}' occurs twice")
        texts[key] = _unescape(entry[2])
        position = _skip(text, entry.end())
    return texts


def _decode(name: str, data: bytes) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise PackageRefused(f"{name}: is neither UTF-8 nor UTF-16 ({error})") from error


def _skip(text: str, position: int) -> int:
    gap = _GAP.match(text, position)
    return gap.end() if gap else position


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        return _PLAIN_ESCAPES.get(code, code)

    return _ESCAPE.sub(one, text)


def shown(field: dict[str, Any], texts: dict[str, str], language: str) -> str:
    """The value of a field as the phone's screen would show it in a language."""
    value = field.get("value")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, field, language)
    text = str(value)
    date, time = field.get("dateStyle"), field.get("timeStyle")
    if date or time:
        return _moment(datetime.fromisoformat(text), date, time, language)
    return texts.get(text, text)


def _number(value: float, field: dict[str, Any], language: str) -> str:
    if currency := field.get("currencyCode"):
        return format_currency(value, currency, locale=language)
    style = field.get("numberStyle")
    if style == "PKNumberStylePercent":
        return format_percent(value, locale=language)
    if style == "PKNumberStyleScientific":
        return format_scientific(value, locale=language)
    return format_decimal(value, locale=language)


def _moment(moment: datetime, date: str | None, time: str | None, language: str) -> str:
    day, hour = _LENGTHS.get(date or ""), _LENGTHS.get(time or "")
    if day and hour:
        return format_datetime(moment, day, locale=language)
    if hour:
        return format_time(moment, hour, locale=language)
    return format_date(moment, day or "medium", locale=language)
