"""What a row means. Problems name columns and reasons, never what stood there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import orjson

from walletsvc.cards.plastic.rules import normalise
from walletsvc.core.errors import InputError
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.lists import values
from walletsvc.merchants.rules import check_text
from walletsvc.people.rules import name_key, normalise_phone

_OLDEST: Final = date(1900, 1, 1)
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]{2,}")


@dataclass(frozen=True, slots=True)
class Terms:
    """What rows are read by: scales of points and money, the tiers there are, and today."""

    scale: int
    money_scale: int
    tiers: Collection[str]
    today: date
    language: str = "ru"


@dataclass(slots=True)
class Meant:
    """A row understood; `problems` are lists of column, code and message."""

    number: str | None = None
    phone: str | None = None
    balance: int = 0
    turnover: int = 0
    given: dict[str, Any] = field(default_factory=dict)
    problems: list[list[str]] = field(default_factory=list)

    @property
    def name_key(self) -> str:
        """The name, to compare it."""
        return name_key(self.given["first_name"], self.given["last_name"])

    @property
    def digest(self) -> bytes:
        """The same for rows that say the same."""
        told = [self.number, self.phone, self.balance, self.turnover, sorted(self.given.items())]
        return hashlib.sha256(orjson.dumps(told)).digest()


def understand(columns: Sequence[str], cells: Sequence[str], terms: Terms) -> Meant:
    """What the cells of a row say."""
    cell = dict(zip(columns, cells, strict=True))
    meant = Meant()
    _names(meant, cell)
    if cell.get("number"):
        meant.number = _try(meant, "number", normalise, cell["number"])
    if cell.get("phone"):
        meant.phone = _try(meant, "phone", normalise_phone, cell["phone"])
    if not cell.get("number") and not cell.get("phone"):
        _bad(meant, "number", "required", "is missing, and so is a phone")
    meant.balance = _amount(meant, "balance", cell, terms.scale)
    meant.turnover = _amount(meant, "turnover", cell, terms.money_scale)
    for column in ("birthday", "registered_on"):
        meant.given[column] = _day(meant, column, cell, terms.today)
    _rest(meant, cell, terms)
    return meant


def moment(day: str | None, first: datetime) -> datetime:
    """When somebody became a member: the beginning of that day, or `first`."""
    return first if day is None else min(datetime.fromisoformat(day + "T00:00:00+00:00"), first)


def _names(meant: Meant, cell: Mapping[str, str]) -> None:
    first, last = cell.get("first_name", ""), cell.get("last_name", "")
    if not first and not last:
        first, _, last = cell.get("full_name", "").partition(" ")
        # Surname, name, patronymic, as lists are kept in Russia; a single word is a name.
        if words := cell.get("surname_first", "").split():
            first, last = (words[0], "") if len(words) == 1 else (words[1], words[0])
    for column, name in (("first_name", first), ("last_name", last)):
        meant.given[column] = ""
        try:
            meant.given[column] = check_text(column, name, 80, required=False)
        except InputError as error:
            _bad(meant, column, error.fields[0].code, error.fields[0].message)
    if not meant.given["first_name"] and meant.given["last_name"]:
        meant.given["first_name"], meant.given["last_name"] = meant.given["last_name"], ""


def _rest(meant: Meant, cell: Mapping[str, str], terms: Terms) -> None:
    email = cell.get("email", "")
    meant.given["email"] = email or None
    if email and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        _bad(meant, "email", "invalid_format", "is not an e-mail address")
    language = cell.get("language", "").lower()
    meant.given["language"] = language or terms.language
    if language not in ("", "ru", "en"):
        _bad(meant, "language", "not_allowed", "must be ru or en")
    tier = cell.get("tier", "").strip().lower()
    meant.given["tier"] = tier or None
    if tier and tier not in terms.tiers:
        _bad(meant, "tier", "unknown", "is not the code of a tier of the published rules")


def _try(meant: Meant, column: str, verb: Any, written: str) -> str | None:
    try:
        return str(verb(written))
    except InputError as error:
        _bad(meant, column, error.fields[0].code, error.fields[0].message)
        return None


def _amount(meant: Meant, column: str, cell: Mapping[str, str], scale: int) -> int:
    written = cell.get(column, "")
    if not written:
        return 0
    amount = values.minor_units(written, scale)
    if amount is None or amount > MAX_AMOUNT // 1000:
        message = values.not_an_amount(written, scale, "of 0 or more")
        _bad(meant, column, "invalid_format", message)
        return 0
    return amount


def _day(meant: Meant, column: str, cell: Mapping[str, str], today: date) -> str | None:
    written = cell.get(column, "")
    if not written:
        return None
    day = values.day(written)
    if day is None:
        _bad(meant, column, "invalid_date", "must be a day such as 31.12.1990 or 1990-12-31")
        return None
    if not _OLDEST <= day <= today:
        _bad(meant, column, "out_of_range", "must be a day that has been")
        return None
    return day.isoformat()


def _bad(meant: Meant, column: str, code: str, message: str) -> None:
    meant.problems.append([column, code, message])
