"""A small pass web service with the push emulator's control interface, on loopback.

It does right unless `misbehave` holds the name of a fault; tests set that on the fly.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.emulators.phone.handmade import PASS_TYPE, TOKEN, Recipe, document, files

# Long enough for a loaded machine; no test that passes waits for it.
PATIENCE = 10.0

_REGISTRATION = re.compile(r"/apple/v1/devices/([^/]+)/registrations/([^/]+)(?:/([^/]+))?")
_UNREGISTER = re.compile(r"/_/devices/([0-9a-f]+)/unregister")


class PassServer:
    """One card, the devices that hold it, and a push service that accepts everything.

    `requests` are method and path of all that came to the web service; `logs` what was
    complained about; `failing` forces the next answer to a method and path prefix;
    `on_registered` is called after every registration.
    """

    def __init__(self) -> None:
        self.points = 100
        self.version = 1
        self.modified = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self.recipe = Recipe()
        self.changes: dict[str, Any] = {}
        self.misbehave: set[str] = set()
        self.failing: list[tuple[str, str, int]] = []
        self.registered: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.logs: list[str] = []
        self.pushes: list[dict[str, Any]] = []
        self.minted = 0
        self.other_topics: set[str] = set()
        self.on_registered: Callable[[], None] = lambda: None
        self.changed = threading.Condition()
        self.url = ""
        self._stopping = False

    @property
    def pass_url(self) -> str:
        """Where a customer finds the card."""
        return f"{self.url}/p/secret.pkpass"

    def credit(self, points: int, *, push: bool = True) -> None:
        """A new balance, and a push to every device."""
        self.points += points
        self.version += 1
        self.modified += timedelta(seconds=1)
        if push:
            self.push()

    def push(self, status: int = 200) -> None:
        """Push to every registered device, with this answer of the push service."""
        with self.changed:
            for token in self.registered.values():
                self.pushes.append(
                    {
                        "seq": len(self.pushes) + 1,
                        "token": token,
                        "topic": PASS_TYPE,
                        "status": status,
                    }
                )
            self.changed.notify_all()

    def package(self) -> bytes:
        """The card as it is now."""
        self.recipe.contents = files(
            document(
                self.points,
                webServiceURL=f"{self.url}/apple/",
                authenticationToken=TOKEN,
                **self.changes,
            )
        )
        return self.recipe.build()

    def paths(self, method: str = "") -> list[str]:
        """The paths called, in order, without query."""
        return [p.split("?")[0] for m, p, _ in self.requests if method in ("", m)]

    def log_after(self, after: int, wait: float) -> list[dict[str, Any]]:
        """The control interface's long poll."""
        with self.changed:
            self.changed.wait_for(
                lambda: self._stopping or (self.pushes and self.pushes[-1]["seq"] > after), wait
            )
            return [p for p in self.pushes if p["seq"] > after]

    def stop(self) -> None:
        """Let go of everybody who waits."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a whole fleet connects at once


@contextmanager
def serve() -> Iterator[PassServer]:
    """A running server."""
    state = PassServer()

    class Bound(_Handler):
        server_state = state

    server = _Server(("127.0.0.1", 0), Bound)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.stop()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: PassServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Tests are quiet."""

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_PUT(self) -> None:
        self._handle("PUT")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        state, path = self.server_state, urlsplit(self.path).path
        self.sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path.startswith("/_/"):
            self._control(method, path)
            return
        state.requests.append((method, self.path, dict(self.headers.items())))
        for index, (of, prefix, status) in enumerate(state.failing):
            if of == method and path.startswith(prefix):
                del state.failing[index]
                self._answer(status)
                return
        if path.startswith("/p/"):
            self._serve_pass()
        elif path == "/apple/v1/log":
            self._log()
        elif match := _REGISTRATION.fullmatch(path):
            self._registration(method, *match.groups())
        elif path == f"/apple/v1/passes/{PASS_TYPE}/card-1" and method == "GET":
            self._get_pass()
        else:
            self._answer(404)

    def _log(self) -> None:
        lines = self._json().get("logs")
        if (
            not isinstance(lines, list)
            or len(self.sent) > 1_000_000
            or not all(isinstance(line, str) for line in lines)
        ):
            self._answer(400)
        else:
            self.server_state.logs += lines
            self._answer(200)

    def _json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.sent)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _registration(self, method: str, device: str, pass_type: str, serial: str | None) -> None:
        state = self.server_state
        token = self._json().get("pushToken")
        if serial is None:
            self._list(device if pass_type == PASS_TYPE else "")
        elif not self._authorised():
            self._answer(401)
        elif method == "POST" and not (isinstance(token, str) and token.isalnum()):
            self._answer(400)
        elif method == "POST":
            known = device in state.registered
            state.registered[device] = str(token)
            self._answer(200 if known else 201)
            state.on_registered()
        else:
            state.registered.pop(device, None)
            self._answer(200)

    def _list(self, device: str) -> None:
        state = self.server_state
        given = parse_qs(urlsplit(self.path).query).get("passesUpdatedSince", ["0"])[0]
        if "list needs a token" in state.misbehave and not self._authorised():
            self._answer(401)
            return
        if "odd tags fail" in state.misbehave and not given.isdecimal():
            self._answer(500)
            return
        known = int(given) if given.isdecimal() and len(given) < 18 else 0
        if "listing without end" not in state.misbehave and (
            device not in state.registered or known >= state.version
        ):
            body = b"{}" if "204 with body" in state.misbehave else b""
            self._answer(204, body)
            return
        tag: Any = str(state.version)
        listing: Any = {"serialNumbers": ["card-1"], "lastUpdated": tag}
        if "numeric tag" in state.misbehave:
            listing["lastUpdated"] = state.version
        if "no serials" in state.misbehave:
            listing["serialNumbers"] = []
        if "serial twice" in state.misbehave:
            listing["serialNumbers"] *= 2
        if "foreign serial" in state.misbehave:
            listing["serialNumbers"].append("card-2")
        if "listing as list" in state.misbehave:
            listing = ["card-1"]
        body = b"{" if "listing cut" in state.misbehave else json.dumps(listing).encode()
        self._answer(200, body, {"Content-Type": "application/json"})

    def _get_pass(self) -> None:
        state = self.server_state
        etag = self.headers.get("If-None-Match")
        if "always 304" in state.misbehave:
            etag = f'"{state.version}"'
        if not self._authorised():
            self._answer(401)
        elif etag == f'"{state.version}"' or (etag is None and self._fresh()):
            self._answer(304)
        else:
            self._serve_pass()

    def _fresh(self) -> bool:
        state = self.server_state
        try:
            since = parsedate_to_datetime(self.headers.get("If-Modified-Since", ""))
        except ValueError:
            return False
        return since >= state.modified and "never 304" not in state.misbehave

    def _serve_pass(self) -> None:
        state = self.server_state
        headers = {
            "Content-Type": "application/vnd.apple.pkpass",
            "Last-Modified": format_datetime(state.modified, usegmt=True),
            "ETag": f'"{state.version}"',
        }
        if "wrong type" in state.misbehave:
            headers["Content-Type"] = "application/zip"
        if "no Last-Modified" in state.misbehave:
            del headers["Last-Modified"]
        if "odd Last-Modified" in state.misbehave:
            headers["Last-Modified"] = "yesterday"
        if "local Last-Modified" in state.misbehave:
            headers["Last-Modified"] = format_datetime(state.modified)
        if "no ETag" in state.misbehave:
            del headers["ETag"]
        if "restless ETag" in state.misbehave:
            headers["ETag"] = f'"{len(state.requests)}"'
        self._answer(200, state.package(), headers)

    def _authorised(self) -> bool:
        given = self.headers.get("Authorization", "")
        if "any token will do" in self.server_state.misbehave:
            return True
        return given in (f"ApplePass {TOKEN}", f"AndroidPass {TOKEN}")

    def _control(self, method: str, path: str) -> None:
        state = self.server_state
        if path == "/_/log" and "control down" in state.misbehave:
            self._answer(500)
        elif path == "/_/log":
            query = parse_qs(urlsplit(self.path).query)
            entries = state.log_after(int(query["after"][0]), float(query["wait"][0]))
            self._answer(200, json.dumps(entries).encode())
        elif path == "/_/devices" and self._json().get("topic") in (PASS_TYPE, *state.other_topics):
            state.minted += 1
            self._answer(201, json.dumps({"token": f"{state.minted:064x}"}).encode())
        elif match := _UNREGISTER.fullmatch(path):
            state.pushes.append({"seq": 0, "token": match[1], "status": 410})
            self._answer(200)
        else:
            self._answer(400)

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body or status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        if body and status in (204, 304):
            self.send_header("Connection", "close")
        with suppress(ConnectionError):  # the push stream breaks off its long poll
            self.end_headers()
            self.wfile.write(body)
