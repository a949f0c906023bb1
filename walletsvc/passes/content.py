"""What passes say right now, gathered for many passes at once.

Broadcasts render a hundred thousand passes: one statement fetches the facts of all of them,
a plan made once per template version turns each row into content, and nothing is validated
per pass. `Content.model_validate` accepts every rendered content.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import phonenumbers
from sqlalchemy import BigInteger, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Row
from sqlmodel import Session, col

from walletsvc.core.clock import rfc3339
from walletsvc.core.money import decimal_text
from walletsvc.passes import kinds, levels, placeholders
from walletsvc.passes.facts import facts
from walletsvc.passes.models import Pass, TemplateVersion
from walletsvc.passes.schemas import PLACEHOLDER, Description
from walletsvc.programmes.versions import known_book, learn_book


@dataclass(frozen=True, slots=True)
class Rendered:
    """The present content of a pass, under the published version of its template.

    `digest` differs whenever anything a phone would show differs: content or template.
    """

    pass_id: int
    content: dict[str, Any]
    version_id: int
    digest: bytes


_Getter = Callable[[Row[Any]], Any]


def render(session: Session, pass_ids: Sequence[int]) -> dict[int, Rendered]:
    """The content of these passes by pass id; a pass without a published template is left out."""
    rows = session.execute(_FACTS, {"ids": list(pass_ids)})
    return {row.pass_id: said(row, lambda: session) for row in rows}


def at_balance(session: Session, pass_id: int, balance: int) -> Rendered | None:
    """What a pass will say once its account holds so much: what time has brought counts at once,
    the books follow within the hour. None without a published template."""
    row = session.execute(_FACTS, {"ids": [pass_id]}).first()
    if row is None:
        return None
    if row.balance == balance:
        return said(row, lambda: session)
    return said(SimpleNamespace(**{**row._mapping, "balance": balance}), lambda: session)


def said(row: Any, session: Callable[[], Session]) -> Rendered:
    """What a row of `facts` comes to; `session` is called when its template, or the
    rules that it tells of, are new here."""
    plan = _PLANS.get(row.version_digest) or _make_plan(session(), row)
    if plan.tells_rules and row.rules is not None and known_book(row.rules) is None:
        learn_book(session(), row.rules)
    try:
        content = plan.content(row)
    except levels.BookForgotten:  # others pushed it out in this moment
        return said(row, session)
    packed = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(row.version_digest + packed).digest()
    return Rendered(row.pass_id, content, row.version_id, digest)


def description(session: Session, version_id: int) -> Description:
    """The description of a template version."""
    version = session.get_one(TemplateVersion, version_id)
    return Description.model_validate(version.description)


def imagine(described: Description, row: Any) -> dict[str, Any]:
    """The content of a pass that does not exist; `row` has the attributes of a row of facts."""
    return _Plan(described).content(row)


_FACTS: Final = facts().where(
    col(TemplateVersion.id).is_not(None),
    col(Pass.id) == any_(bindparam("ids", type_=ARRAY(BigInteger))),
)


def grouped(number: str) -> str:
    """A number or code as people read it: groups of four. Codes with hyphens stay as they are."""
    if "-" in number or " " in number:
        return number
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


@lru_cache(maxsize=1024)
def _phone(stored: str) -> str:
    """A phone as people read it; phones on the back of a card stay tappable in this form."""
    try:
        number = phonenumbers.parse(stored)
    except phonenumbers.NumberParseException:
        return stored
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local(moment: datetime, row: Row[Any]) -> str:
    """In the programme's zone, so that a date is the same date wherever the phone travels."""
    return moment.astimezone(_zone(row.time_zone)).replace(microsecond=0).isoformat()


def _money(amount: int, row: Row[Any]) -> dict[str, Any]:
    money = {"amount": amount, "currency": row.currency}
    return money if row.scale == 2 else {**money, "scale": row.scale}


def _number(row: Row[Any]) -> int | float:
    amount: int = row.balance
    return amount / 10**row.scale if row.scale else amount


def _valid_until(row: Row[Any]) -> str | None:
    # An end that is written as midnight must not be shown as the day after the last good one.
    return _local(row.expires_at - timedelta(seconds=1), row) if row.expires_at else None


def _plain(number: int | None) -> str | None:
    return None if number is None else str(number)


_FOR_PEOPLE: Final[dict[str, _Getter]] = {
    "points": _number,
    "balance": lambda row: _money(row.balance, row),
    "face_value": lambda row: _money(row.face_value, row),
    "holder_name": lambda row: f"{row.first_name} {row.last_name}".strip(),
    "first_name": lambda row: row.first_name,
    "recipient_name": lambda row: row.recipient_name,
    "card_number": lambda row: grouped(row.number),
    "code": lambda row: grouped(row.code),
    "member_since": lambda row: _local(row.member_since, row),
    "valid_until": _valid_until,
    "programme": lambda row: row.programme,
    "organisation": lambda row: row.organisation,
    "support_phone": lambda row: _phone(row.phone) if row.phone else None,
    "website": lambda row: row.website,
    "terms_url": lambda row: f"/terms/{row.programme_slug}",
    "tier": levels.name,
    "next_tier": levels.next_name,
    "stamps": kinds.stamps,
    "stamps_needed": kinds.needed,
    "rewards": kinds.rewards,
    "discount": kinds.discount,
}
_IN_TEXT: Final[dict[str, _Getter]] = {
    **_FOR_PEOPLE,
    "points": lambda row: decimal_text(row.balance, row.scale),
    "stamps": lambda row: str(kinds.stamps(row)),
    "stamps_needed": lambda row: _plain(kinds.needed(row)),
    "rewards": lambda row: _plain(kinds.rewards(row)),
}
_FOR_SCANNERS: Final[dict[str, _Getter]] = {
    **_IN_TEXT,
    "card_number": lambda row: row.number,
    "code": lambda row: row.code,
}
_ON_BARCODES: Final[dict[str, _Getter]] = {
    **_FOR_SCANNERS,
    "card_number": lambda row: row.number + (row.rolling_code or ""),
}
# What stands for the code in Google's pattern.
_MOVING: Final = "{totp_value_0}"
_ON_ROTATING: Final[dict[str, _Getter]] = {
    **_FOR_SCANNERS,
    "card_number": lambda row: row.number + _MOVING,
}


def _text(value: str, getters: dict[str, _Getter]) -> _Getter:
    """A text with placeholders in it; it is missing as a whole when one of its values is."""
    # Literals at even places, placeholder names at odd ones; a value is never searched again.
    parts = PLACEHOLDER.split(value)
    literals, wanted = parts[::2], [getters[name] for name in parts[1::2]]

    def getter(row: Row[Any]) -> str | None:
        text = literals[0]
        for get, literal in zip(wanted, literals[1:], strict=True):
            found = get(row)
            if not found:
                return None
            text += found + literal
        return text

    return getter


def _value(value: str) -> _Getter:
    """A placeholder that stands alone keeps its type; in company it becomes text."""
    name = placeholders.sole(value)
    return _FOR_PEOPLE[name] if name else _text(value, _IN_TEXT)


class _Plan:
    """How the passes of one template version get their content."""

    def __init__(self, described: Description) -> None:
        self._values = [
            (spec.key, _value(spec.value))
            for spec in described.fields.everywhere()
            if spec.value is not None
        ]
        message = described.barcode.message
        self._barcode = _text(message, _ON_BARCODES)
        self._rotates = "card_number" in PLACEHOLDER.findall(message)
        self._rotating = _text(message, _ON_ROTATING)
        self._alt = _text(described.barcode.alt, _IN_TEXT)
        self._nfc = _text(described.nfc.message, _FOR_SCANNERS) if described.nfc else None
        texts = (message, described.barcode.alt)
        shown = (spec.value for spec in described.fields.everywhere() if spec.value is not None)
        named = {name for text in (*texts, *shown) for name in PLACEHOLDER.findall(text)}
        self.tells_rules = bool(named & (levels.PLACEHOLDERS | kinds.PLACEHOLDERS))

    def content(self, row: Row[Any]) -> dict[str, Any]:
        """The pass's content; what has its default is left out, as `Content.as_json` does."""
        values = {}
        for key, get in self._values:
            found = get(row)
            if found is not None and found != "":
                values[key] = found
        content = {
            "values": values,
            "barcode": self._barcode(row) or "",
            "organisation": row.organisation,
        }
        alt = self._alt(row)
        if alt:
            content["barcode_alt"] = alt
        nfc = self._nfc(row) if self._nfc else None
        if nfc:
            content["nfc"] = nfc
        if row.card_closed_at or row.stopped_at:
            content["voided"] = True
        if row.expires_at:
            content["expires_at"] = rfc3339(row.expires_at)
        if row.rotating_card is not None and self._rotates:
            content["rotating"] = self._rotating(row) or ""
        if row.generation:
            content["generation"] = row.generation
        return content


# By the version's digest, not its id: what is found can never be another database's.
_PLANS: Final[dict[bytes, _Plan]] = {}
_PLANS_LOCK: Final = threading.Lock()


def _make_plan(session: Session, row: Row[Any]) -> _Plan:
    plan = _Plan(description(session, row.version_id))
    with _PLANS_LOCK:
        if len(_PLANS) >= 256:  # versions of years ago need no place
            _PLANS.clear()
        _PLANS[row.version_digest] = plan
    return plan
