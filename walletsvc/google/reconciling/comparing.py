"""Whether Google's copy says what ours says. Pure functions.

Google writes constants as it likes, numbers as text, times in another form, leaves out what is
empty and adds what it knows. None of that is a difference; it would be put right every night.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from walletsvc.google.models import Kind

# What an object's body consists of: the part of Google's copy that is asked for.
_EVERYWHERE: Final = (
    "state", "barcode", "rotatingBarcode", "validTimeInterval", "textModulesData",
    "linksModuleData",
)  # fmt: skip
FIELDS: Final = {
    Kind.LOYALTY: (
        *_EVERYWHERE, "loyaltyPoints", "secondaryLoyaltyPoints", "accountName", "accountId",
    ),
    Kind.GIFT_CARD: (*_EVERYWHERE, "balance", "balanceUpdateTime", "cardNumber"),
}  # fmt: skip
# Names, and what is Google's to decide.
_NOT_COMPARED: Final = frozenset({"id", "classId", "reviewStatus"})
_CONSTANTS: Final = frozenset(
    {"state", "type", "algorithm", "renderEncoding", "multipleDevicesAndHoldersAllowedStatus"}
)
_ANY_CASE: Final = frozenset({"hexBackgroundColor", "countryCode", "key"})
_NUMBERS: Final = frozenset({"micros", "int", "double"})
_EXPIRED: Final = "expired"
_SAME_MOMENT: Final = timedelta(seconds=1)


def differing(theirs: Mapping[str, Any], ours: Mapping[str, Any], now: datetime) -> list[str]:
    """The names of the fields in which Google's copy differs from a body of ours."""
    return [
        name
        for name, value in ours.items()
        if name not in _NOT_COMPARED
        and not _same(theirs.get(name), value, name)
        and not (name == "state" and _ended(theirs, ours, now))
    ]


def _ended(theirs: Mapping[str, Any], ours: Mapping[str, Any], now: datetime) -> bool:
    """Whether Google let a pass expire whose time is over: we say so an hour later at most."""
    end = ((ours.get("validTimeInterval") or {}).get("end") or {}).get("date")
    moment = _moment(end)
    return _plain(theirs.get("state")) == _EXPIRED and moment is not None and moment <= now


def _same(theirs: Any, ours: Any, name: str) -> bool:
    if _nothing(ours):
        return _nothing(theirs)
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping | None) and all(
            _same((theirs or {}).get(part), value, part) for part, value in ours.items()
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(theirs) == len(ours)
            and all(_same(*pair, name) for pair in zip(theirs, ours, strict=True))
        )
    return bool(theirs == ours) or _alike(theirs, ours, name)


def _alike(theirs: Any, ours: Any, name: str) -> bool:
    """Whether two values that are spelled differently mean the same."""
    if name in _CONSTANTS:
        return _plain(theirs) == _plain(ours)
    if name in _NUMBERS:
        return _number(theirs) == _number(ours)
    if name in _ANY_CASE:
        return str(theirs).lower() == str(ours).lower()
    if name == "date":
        one, other = _moment(theirs), _moment(ours)
        return one is not None and other is not None and abs(one - other) < _SAME_MOMENT
    return isinstance(theirs, str) and isinstance(ours, str) and theirs.strip() == ours.strip()


def _nothing(value: Any) -> bool:
    """Google does not say what is empty, zero or not specified; nor do we always."""
    if isinstance(value, Mapping):
        return all(_nothing(part) for name, part in value.items() if name != "kind")
    if isinstance(value, str) and value.lower().endswith("unspecified"):
        return True
    return not value


def _plain(constant: Any) -> str:
    return str(constant).replace("_", "").lower()


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value or 0))
    except InvalidOperation:
        return None


def _moment(value: Any) -> datetime | None:
    """A moment; None for what is none, or the local time of wherever the phone is."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
