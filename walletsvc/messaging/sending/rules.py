"""What comes next for a message: which gateway, when again, which channel."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

# A claimed row comes back after so long when its sender died. Longer than the slowest request, and
# less than the minute in which sms.ru knows a repetition.
LEASE: Final = timedelta(seconds=45)
MOST_TRIES: Final = 6  # on one channel
MOST_UNKNOWN: Final = 2  # tries of which it is not known whether they sent
FIRST_DELAY: Final = timedelta(seconds=5)
LONGEST_DELAY: Final = timedelta(minutes=15)
# News of a delivery are told; when none came, they are asked for, ever more seldom.
FIRST_ASKING: Final = timedelta(minutes=1)
LAST_ASKING: Final = timedelta(hours=24)
FIRST_STOP: Final = timedelta(seconds=30)
LONGEST_STOP: Final = timedelta(minutes=30)

STARTED: Final = "started"
UNKNOWN: Final = "unknown"
REFUSED: Final = "refused"
History = Sequence[Mapping[str, Any]]


def backoff(attempts: int, rng: random.Random) -> timedelta:
    """How long to wait after so many tries; spread, so that many do not come at once."""
    delay: timedelta = min(FIRST_DELAY * 3 ** min(attempts - 1, 6), LONGEST_DELAY)
    return delay * rng.uniform(0.8, 1.2)


def stop_time(failures: int) -> timedelta:
    """How long a gateway is left alone that cannot work as it is configured."""
    longer: timedelta = FIRST_STOP * 2 ** min(failures - 1, 8)
    return min(longer, LONGEST_STOP)


def next_asking(waited: timedelta) -> timedelta:
    """When to ask again for news of a message that was handed over so long ago."""
    return max(waited, FIRST_ASKING)


def uncertain(history: History, step: int) -> int:
    """How many tries on this channel may have sent the message; one that only started may."""
    return sum(
        1 for entry in history if entry["step"] == step and entry["came"] in (STARTED, UNKNOWN)
    )


def preferred(ids: Sequence[int], history: History, step: int) -> list[int]:
    """Gateways in the order to be tried: who failed less often first, otherwise as the operator
    put them; who refused this message is not asked again."""
    tried = [entry for entry in history if entry["step"] == step]
    refused = {entry["gateway"] for entry in tried if entry["came"] == REFUSED}
    failures = {id_: sum(entry["gateway"] == id_ for entry in tried) for id_ in ids}
    fit = [id_ for id_ in ids if id_ not in refused]
    return sorted(fit, key=lambda id_: failures[id_])
