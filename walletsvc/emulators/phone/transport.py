"""HTTP as a phone speaks it: bounded answers, no cookies, a few retries with growing waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests

from walletsvc.emulators.phone.archive import MAX_PACKAGE_BYTES
from walletsvc.emulators.phone.errors import ProtocolViolation, Unreachable

# Apple's archived reference says "a few times with growing waits" and no figures.
RETRY_WAITS = (1.0, 4.0, 16.0)
_TIMEOUT = (5.0, 30.0)
_CHUNK = 64 * 1024

Retrying = Callable[[str, float], None]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read in full."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def has_body(self) -> bool:
        """Whether a body was sent, even where HTTP has a client ignore it (204, 304)."""
        announced = self.headers.get("Content-Length", "0").strip()
        return bool(self.body) or announced != "0" or "Transfer-Encoding" in self.headers


class Transport:
    """Requests of any number of phones; threads may share one.

    `ca_file` is trusted instead of the system's authorities. `sleep` takes seconds; without
    it the waits are real, and `hurry()` ends them.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        waits: tuple[float, ...] = RETRY_WAITS,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._verify: bool | str = str(ca_file) if ca_file else True
        self._waits = waits
        self._hurrying = threading.Event()
        self._sleep = sleep or self._hurrying.wait
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._guard = threading.Lock()

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        follow: bool = False,
        retrying: Retrying | None = None,
    ) -> Answer:
        """Send a request; with `retrying`, failures and 5xx are tried again after a wait.

        `retrying` is told the reason and the wait before each new try. Raises Unreachable when
        there is no answer or the last one is a 5xx after all tries.
        """
        for wait in self._waits if retrying else ():
            try:
                answer = self._once(method, url, headers, json, follow)
            except Unreachable as error:
                reason = error.detail
            else:
                if answer.status < 500:
                    return answer
                reason = f"{method} {url} answered {answer.status}"
            if retrying:
                retrying(reason, wait)
            self._sleep(wait)
        answer = self._once(method, url, headers, json, follow)
        if retrying and answer.status >= 500:
            raise Unreachable(
                f"{method} {url} answered {answer.status}, after {len(self._waits)} retries too"
            )
        return answer

    def hurry(self) -> None:
        """Wait no more between tries, from now on: somebody wants to leave."""
        self._hurrying.set()

    def close(self) -> None:
        """Close all connections."""
        with self._guard:
            for session in self._sessions:
                session.close()
            self._sessions.clear()

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        json: object,
        follow: bool,
    ) -> Answer:
        try:
            with self._session().request(
                method,
                url,
                headers=headers,
                json=json,
                allow_redirects=follow,
                timeout=_TIMEOUT,
                stream=True,
            ) as response:
                return Answer(response.status_code, response.headers, _body(response, url))
        except (requests.RequestException, OSError) as error:
            raise Unreachable(f"{method} {url} failed: {_reason(error)}") from error

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.verify = self._verify
            session.headers["User-Agent"] = "walletsvc-phone"
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._local.session = session
            with self._guard:
                self._sessions.append(session)
        return session


def _body(response: requests.Response, url: str) -> bytes:
    parts: list[bytes] = []
    room = MAX_PACKAGE_BYTES
    chunk: Any
    for chunk in response.iter_content(_CHUNK):
        room -= len(chunk)
        if room < 0:
            raise ProtocolViolation(f"{url} sends more than {MAX_PACKAGE_BYTES} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _reason(error: BaseException) -> str:
    """The innermost reason in a few words: what the layers above say is mostly repetition."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
