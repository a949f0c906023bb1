"""How pushes reach emulated phones: one long poll of the push emulator's log for all of them.

Only pushes that the push service accepted (status 200) are delivered. What a push says does not
matter: Wallet ignores its content and asks the web service.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from walletsvc.core.closing import Closing
from walletsvc.emulators.phone.errors import Unreachable
from walletsvc.emulators.phone.transport import Transport

# Called with the topic and the moment (seconds, monotonic) on the stream's thread: be quick.
OnPush = Callable[[str, float], None]

_WAIT_SECONDS = 25
_PAGE = 5000
_TRIES = 5
_PAUSE_SECONDS = 0.5


class Pushes(Closing):
    """A subscription to the push emulator's control interface, shared by many phones.

    A context manager; nothing is read before it is entered. When the control interface stays
    silent, `failure` says so and every subscriber is woken to notice.
    """

    def __init__(self, control_url: str, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._url = control_url.rstrip("/")
        self._timer = timer
        self._transport = Transport(waits=())
        self._subscribers: dict[str, OnPush] = {}
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="pushes", daemon=True)
        self.failure: Unreachable | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def mint(self, topic: str) -> str:
        """A device token for a topic, as a phone gets one from Apple; raises Unreachable."""
        answer = self._transport.call("POST", f"{self._url}/_/devices", json={"topic": topic})
        if answer.status not in (200, 201):
            raise Unreachable(f"{self._url} gives no device token: status {answer.status}")
        return str(json.loads(answer.body)["token"]).lower()

    def subscribe(self, token: str, on_push: OnPush) -> None:
        """Have pushes to a token delivered."""
        with self._guard:
            self._subscribers[token] = on_push

    def unsubscribe(self, token: str) -> None:
        """Deliver no more pushes to a token."""
        with self._guard:
            self._subscribers.pop(token, None)

    def close(self) -> None:
        """Stop listening; breaks off the long poll under way."""
        self._closing.set()
        with self._guard:
            self._break_off()
        if self._thread.is_alive():
            self._thread.join()
        self._transport.close()

    def _run(self) -> None:
        after, tries = 0, 0
        while not self._closing.is_set():
            try:
                entries = self._poll(after)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                tries += 1
                if tries >= _TRIES and not self._closing.is_set():
                    return self._fail(error)
                self._closing.wait(_PAUSE_SECONDS)
                continue
            tries = 0
            for entry in entries:
                after = max(after, int(entry["seq"]))
                if entry.get("status") == 200:
                    self._deliver(str(entry["token"]).lower(), str(entry.get("topic", "")))
        return None

    def _poll(self, after: int) -> list[dict[str, Any]]:
        parts = urlsplit(self._url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=_WAIT_SECONDS + 10)
        try:
            connection.connect()
            with self._guard:
                self._socket = connection.sock
                if self._closing.is_set():
                    return []
            query = urlencode({"after": after, "wait": _WAIT_SECONDS, "limit": _PAGE})
            connection.request("GET", f"{parts.path}/_/log?{query}")
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            entries: list[dict[str, Any]] = json.loads(body)
            return entries
        finally:
            with self._guard:
                self._socket = None
            connection.close()

    def _break_off(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _deliver(self, token: str, topic: str) -> None:
        with self._guard:
            on_push = self._subscribers.get(token)
        if on_push is not None:
            on_push(topic, self._timer())

    def _fail(self, error: Exception) -> None:
        self.failure = Unreachable(f"The push emulator at {self._url} does not answer: {error}")
        with self._guard:
            subscribers = list(self._subscribers.values())
        for on_push in subscribers:
            on_push("", self._timer())
