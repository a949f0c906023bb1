"""Google's root keys for callbacks, kept until they expire.

They are fetched when they are needed and not known, never because a signature was wrong: whoever
sends forged callbacks must not make us ask Google once for each.
"""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from typing import Final

import orjson
import requests
import structlog
from urllib3.exceptions import HTTPError

from walletsvc.core.clock import Clock
from walletsvc.core.errors import Unavailable
from walletsvc.google.signatures import RootKey, root_keys

PATH: Final = "/gp/m/issuer/keys"
_SECONDS: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
# Between two tries while Google's keys cannot be had.
_PAUSE: Final = timedelta(seconds=30)
# However long Google lets them be kept, a key that was withdrawn early must go at last.
_LONGEST: Final = timedelta(days=1)
_SHORTEST: Final = timedelta(minutes=10)
_MAX_AGE: Final = re.compile(r"max-age=(\d{1,9})")

log = structlog.get_logger(__name__)


class RootKeys:
    """The keys of one process; any number of threads may ask."""

    def __init__(self, pay_url: str, clock: Clock) -> None:
        """`pay_url` is where Google publishes them, without a path."""
        self._url = pay_url + PATH
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[RootKey] = []
        self._next: datetime | None = None  # when they may be fetched again

    def valid(self) -> list[RootKey]:
        """The keys that are valid now. Raises Unavailable when none is and none can be had."""
        now = self._clock()
        with self._lock:  # one fetch at a time: the others wait for what it brings
            if self._next is None or now >= self._next:
                self._fetch(now)
            found = [key for key in self._keys if key.expires_at > now]
        if not found:
            raise Unavailable("Google's keys for callbacks cannot be had at present.")
        return found

    def _fetch(self, now: datetime) -> None:
        """Renew the keys; those that are known stay if that fails."""
        self._next = now + _PAUSE
        try:
            with requests.get(self._url, timeout=_SECONDS, stream=True) as answer:
                answer.raise_for_status()
                body = answer.raw.read(_MOST_BYTES, decode_content=True)
                keys = root_keys(orjson.loads(body))
                kept = _kept(answer.headers.get("Cache-Control", ""))
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            log.warning("Google's keys for callbacks were not renewed", error=type(error).__name__)
            return
        if not any(key.expires_at > now for key in keys):
            log.warning("Google published no key for callbacks that is valid")
            return
        self._keys = keys
        # A key that expires before is replaced in time.
        self._next = min([now + kept, *(key.expires_at for key in keys if key.expires_at > now)])


def _kept(cache_control: str) -> timedelta:
    """How long the published keys may be used without asking again."""
    told = _MAX_AGE.search(cache_control)
    seconds = timedelta(seconds=int(told[1])) if told else _LONGEST
    return min(max(seconds, _SHORTEST), _LONGEST)
