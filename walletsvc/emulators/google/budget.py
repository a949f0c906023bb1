"""What would have buzzed on phones, and the allowance of three notifications per pass in 24 hours.

Both kinds, an update with NOTIFY_ON_UPDATE and a message with TEXT_AND_NOTIFY, share it. Only
passes that somebody holds buzz and spend. A notification of a class spends the allowance of every
holder; a holder without one left is passed over, and a class is refused its fourth in 24 hours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from walletsvc.core.clock import rfc3339
from walletsvc.emulators.google.errors import Json, quota_exceeded

ALLOWANCE: Final = 3
WINDOW: Final = timedelta(hours=24)
KEPT: Final = 100_000
# The fields of Google's allow-list, of loyalty cards only. Gift cards have none.
NOTIFYING: Final[Mapping[str, tuple[str, ...]]] = {
    "LoyaltyObject": ("loyaltyPoints", "secondaryLoyaltyPoints"),
    "LoyaltyClass": ("rewardsTier", "secondaryRewardsTier", "programName"),
}


def notifying_fields(schema: str, patch: Json) -> dict[str, Any]:
    """What a body with NOTIFY_ON_UPDATE names of the allow-list, with the values.

    Equal values count: whether Google compares is not known, so a repeated PATCH buzzes again.
    """
    if patch.get("notifyPreference") != "NOTIFY_ON_UPDATE":
        return {}
    found: dict[str, Any] = {}
    for field in NOTIFYING.get(schema, ()):
        value = patch.get(field)
        if schema == "LoyaltyObject":
            if value is not None and value.get("balance") is not None:
                found[f"{field}.balance"] = value["balance"]
        elif value is not None:
            found[field] = value
    return found


class Buzzes:
    """The log of notifications and who has how many left; the caller holds the store's lock."""

    def __init__(self) -> None:
        self._spent: dict[str, deque[datetime]] = {}
        self._log: deque[Json] = deque(maxlen=KEPT)
        self._last = 0

    def left(self, resource_id: str, now: datetime) -> int:
        """How many notifications a pass or class still has."""
        spent = self._spent.get(resource_id)
        if spent is None:
            return ALLOWANCE
        while spent and spent[0] <= now - WINDOW:
            spent.popleft()
        return ALLOWANCE - len(spent)

    def spend(self, resource_id: str, now: datetime, count: int = 1) -> None:
        """Take from the allowance of one pass or class; raises quotaExceeded when it is spent."""
        if self.left(resource_id, now) < count:
            raise quota_exceeded(
                f"Quota exceeded: {resource_id} had {ALLOWANCE} notifications in 24 hours."
            )
        self._spent.setdefault(resource_id, deque()).extend([now] * count)

    def buzz(self, object_id: str, kind: str, now: datetime, **what: Any) -> None:
        """Note that the phones with this pass were told."""
        self._note(object_id, kind, now, what)

    def buzz_holders(
        self, holders: Iterable[str], class_id: str, kind: str, now: datetime, **what: Any
    ) -> None:
        """Tell every holder of a class that has an allowance left; spends one of each."""
        for object_id in holders:
            suppressed = self.left(object_id, now) < 1
            if not suppressed:
                self.spend(object_id, now)
            extra = {"suppressed": True} if suppressed else {}
            self._note(object_id, kind, now, {"classId": class_id, **what, **extra})

    def _note(self, object_id: str, kind: str, now: datetime, what: Mapping[str, Any]) -> None:
        self._last += 1
        self._log.append(
            {"seq": self._last, "at": rfc3339(now), "objectId": object_id, "kind": kind, **what}
        )

    def log(self, after: int = 0, object_id: str | None = None) -> list[Json]:
        """What buzzed, newest last; `suppressed` where a holder's allowance was spent."""
        return [
            entry
            for entry in self._log
            if entry["seq"] > after and object_id in (None, entry["objectId"])
        ]

    def clear(self) -> None:
        """Forget the log and every spent allowance."""
        self._log.clear()
        self._spent.clear()

    def dump(self) -> Json:
        """What is to be kept over a restart: the spent allowances."""
        return {key: [moment.isoformat() for moment in spent] for key, spent in self._spent.items()}

    def load(self, dumped: Mapping[str, list[str]]) -> None:
        """Take over what `dump` gave."""
        self._spent = {
            key: deque(map(datetime.fromisoformat, spent)) for key, spent in dumped.items()
        }
