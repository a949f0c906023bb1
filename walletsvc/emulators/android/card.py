"""What a card says: Google's object, read as a phone in one language shows it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from walletsvc.emulators.google.pages import money
from walletsvc.emulators.phone.events import Change

_MICROS: Final = 1_000_000
_POINTS: Final = ("loyaltyPoints", "secondaryLoyaltyPoints")
_PLAIN: Final = ("accountName", "accountId", "cardNumber", "state")


@dataclass(frozen=True)
class Line:
    """One value of a card: as data, and as the phone shows it."""

    key: str
    label: str
    value: Any
    shown: str


@dataclass(frozen=True)
class Barcode:
    """What a scanner reads from the card: always the same, or made anew with the time."""

    value: str
    keys: tuple[tuple[bytes, int], ...] = ()
    period_millis: int = 0

    def at(self, moment: datetime) -> str:
        """What it is at a moment by the phone's clock."""
        if not self.keys:
            return self.value
        millis = int(moment.timestamp() * 1000)
        said = self.value.replace("{totp_timestamp_millis}", str(millis))
        said = said.replace("{totp_timestamp_seconds}", str(millis // 1000))
        for number, (key, length) in enumerate(self.keys):
            code = _totp(key, millis // self.period_millis, length)
            said = said.replace(f"{{totp_value_{number}}}", code)
        return said


@dataclass(frozen=True)
class Card:
    """A card in a phone: its lines and its messages, by key and id."""

    object_id: str
    lines: Mapping[str, Line]
    messages: Mapping[str, str]
    barcode: Barcode | None = None

    @property
    def says(self) -> str:
        """All lines in one."""
        return ", ".join(f"{line.label or line.key} {line.shown}" for line in self.lines.values())

    def changes_since(self, before: Card) -> tuple[Change, ...]:
        """The lines that say something else, came, or went."""
        changes = []
        for key in dict.fromkeys((*before.lines, *self.lines)):
            old, new = before.lines.get(key, _EMPTY), self.lines.get(key, _EMPTY)
            if (old.value, old.shown) != (new.value, new.shown):
                label = new.label or old.label
                changes.append(Change(key, label, old.value, new.value, old.shown, new.shown))
        return tuple(changes)


_EMPTY: Final = Line("", "", None, "")


def read(body: Mapping[str, Any], language: str) -> Card:
    """The card that this object is."""
    lines = {line.key: line for line in _lines(body, language)}
    messages = {
        str(each.get("id")): _joined(
            _said(each, "header", "localizedHeader", language),
            _said(each, "body", "localizedBody", language),
        )
        for each in body.get("messages") or ()
    }
    return Card(str(body["id"]), lines, messages, _barcode(body))


def _barcode(body: Mapping[str, Any]) -> Barcode | None:
    if (rotating := body.get("rotatingBarcode")) is not None:
        details = rotating["totpDetails"]
        keys = ((bytes.fromhex(one["key"]), int(one["valueLength"])) for one in
                details["parameters"])  # fmt: skip
        return Barcode(rotating["valuePattern"], tuple(keys), int(details["periodMillis"]))
    fixed = body.get("barcode")
    return None if fixed is None else Barcode(str(fixed.get("value") or ""))


def _totp(key: bytes, counter: int, digits: int) -> str:
    """RFC 6238, by its text: the phone knows nothing of how the service does it."""
    digest = hmac.digest(key, counter.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def _lines(body: Mapping[str, Any], language: str) -> Iterator[Line]:
    for name in _POINTS:
        if points := body.get(name):
            label = _said(points, "label", "localizedLabel", language)
            value, shown = balance(points.get("balance") or {})
            yield Line(name, label, value, shown)
    if left := body.get("balance"):
        yield Line("balance", "", _amount(left), money(left))
    for name in _PLAIN:
        if (value := body.get(name)) is not None:
            yield Line(name, "", value, str(value))
    for module in body.get("textModulesData") or ():
        said = _said(module, "body", "localizedBody", language)
        header = _said(module, "header", "localizedHeader", language)
        yield Line(f"text {module.get('id')}", header, said, said)


def balance(balance: Mapping[str, Any]) -> tuple[Any, str]:
    """A LoyaltyPointsBalance as data and as it is shown."""
    if given := balance.get("money"):
        return _amount(given), money(given)
    for name in ("int", "double", "string"):
        if (value := balance.get(name)) is not None:
            return value, str(value)
    return None, ""


def _amount(given: Mapping[str, Any]) -> float:
    return int(given.get("micros") or 0) / _MICROS


def _said(of: Mapping[str, Any], plain: str, localised: str, language: str) -> str:
    """A text in the phone's language, or as it is for all."""
    given = of.get(localised) or {}
    for each in (*(given.get("translatedValues") or ()), given.get("defaultValue") or {}):
        if each.get("language") == language:
            return str(each.get("value"))
    return str(of.get(plain) or "")


def _joined(header: str, body: str) -> str:
    return ": ".join(filter(None, (header, body)))
