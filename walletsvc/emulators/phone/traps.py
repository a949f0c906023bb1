"""Traps of Apple's web service protocol, tried one by one on a running service.

    problems = [finding for finding in spring(pass_url) if finding.problem]

A well-behaved device steps into none of them; old phones, restored phones, half-written
clients and strangers do. Each trap is one that a published service fell into, or one that
Apple's text warns of. The card at the address is not changed; a device is registered for it
and unregistered again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from walletsvc.core.clock import Clock, utcnow
from walletsvc.emulators.phone.errors import PhoneError
from walletsvc.emulators.phone.package import Package, open_package
from walletsvc.emulators.phone.service import WebService, pass_url, read_pass
from walletsvc.emulators.phone.transport import Answer, Transport

# What phones, backups and strangers send as a tag; none of it may hide a change.
ODD_TAGS: Final = (
    "",
    "0",
    "-1",
    "1e308",
    "NaN",
    "null",
    "9" * 40,
    "1-" + "9" * 30,
    "-".join("123"),
    "2026-11-22T00:00:00Z",
    "метка",
    "\0",
    "' OR 1=1 --",
    "x" * 4000,
)
_ODD_SEGMENTS: Final = ("..", "\0", "%", "x" * 2000, "карта", "' OR 1=1 --", " ")
_REFUSED: Final = range(400, 500)
_UNAUTHORISED: Final = (401,)
# Both are in use for a pass that does not exist; 401 tells strangers less.
_UNKNOWN: Final = (401, 404)
_OLD_DATE: Final = "Sat, 01 Jan 2000 00:00:00 GMT"


@dataclass(frozen=True)
class Finding:
    """What was tried, and what was wrong with the answer; no problem when nothing was."""

    trap: str
    problem: str | None


def spring(url: str, *, transport: Transport | None = None, clock: Clock = utcnow) -> list[Finding]:
    """Try every trap on the service of the pass at `url`, in an order that leaves no trace.

    Raises PackageRefused, ProtocolViolation or Unreachable when there is no pass to begin with.
    """
    own = transport or Transport()
    try:
        answer = own.call("GET", url, follow=True)
        package = open_package(read_pass(f"Downloading {url}", answer).data, now=clock())
        return list(_Trapper(own, package).all())
    finally:
        if transport is None:
            own.close()


class _Trapper:
    def __init__(self, transport: Transport, package: Package) -> None:
        self._transport = transport
        self._package = package
        self._device = secrets.token_hex(16)
        self._base = f"{package.service_url}/v1"
        self._service = WebService(transport, str(package.service_url), self._device)
        self._auth = {"Authorization": f"ApplePass {package.token}"}

    def all(self) -> Iterator[Finding]:
        """Every trap, in order."""
        yield from self._registering()
        yield from self._bad_registrations()
        yield from self._listing()
        yield from self._fetching()
        yield from self._strangers()
        yield from self._logging()
        yield from self._leaving()

    def _registering(self) -> Iterator[Finding]:
        for trap, expected in (
            ("a first registration is 201", 201),
            ("a second one is 200", 200),
            ("one with a new push token is 200", 200),
        ):
            yield self._expect(trap, self._register(), (expected,))

    def _bad_registrations(self) -> Iterator[Finding]:
        body: object
        for body in (None, {}, [], {"pushToken": 1}, {"pushToken": ""}, {"pushToken": "\0"}):
            answer = self._call("POST", self._registration(), self._auth, body)
            text = f"a registration with the body {json.dumps(body)} is refused"
            yield self._expect(text, answer, _REFUSED)

    def _listing(self) -> Iterator[Finding]:
        url = f"{self._base}/devices/{self._device}/registrations/{self._package.pass_type}"
        yield self._lists("the list call without tag and token", url)
        yield self._lists("the list call with somebody's token", url, {"Authorization": "x"})
        for tag in ODD_TAGS:
            text = f"the odd tag {tag[:24]!r} counts as none"
            yield self._lists(text, f"{url}?passesUpdatedSince={quote(tag, '')}")
        yield self._lists("a tag in no encoding counts as none", f"{url}?passesUpdatedSince=%ff")
        try:
            listing = self._service.changed(self._package.pass_type, None)
            again = self._service.changed(
                self._package.pass_type, listing.last_updated if listing else None
            )
            problem = f"it lists {again.serials}" if again else None
        except PhoneError as error:
            problem = error.detail
        yield Finding("asking with the newest tag is an empty 204", problem)
        stranger = url.replace(self._device, secrets.token_hex(16))
        yield self._empty("the list of an unknown device", stranger)
        yield self._empty("the list of an unknown pass type", f"{url}.unknown")

    def _fetching(self) -> Iterator[Finding]:
        url = pass_url(self._package)
        first = self._call("GET", url, self._auth)
        yield self._expect("the pass is served", first, (200,))
        modified = first.headers.get("Last-Modified", "")
        etag = first.headers.get("ETag", "")
        for trap, headers, status in (
            ("its own Last-Modified gives 304", {"If-Modified-Since": modified}, 304),
            ("an old date gives the pass", {"If-Modified-Since": _OLD_DATE}, 200),
            ("a malformed date gives the pass", {"If-Modified-Since": "yesterday"}, 200),
            ("an odd date gives the pass", {"If-Modified-Since": "Sat, 99 Foo 9999999"}, 200),
            ("its own ETag gives 304", {"If-None-Match": etag}, 304),
            ("another ETag gives the pass", {"If-None-Match": '"other"'}, 200),
            (
                "another ETag outranks the date",
                {"If-None-Match": '"other"', "If-Modified-Since": modified},
                200,
            ),
        ):
            yield self._expect(trap, self._call("GET", url, {**self._auth, **headers}), (status,))
        android = {"Authorization": f"AndroidPass {self._package.token}"}
        yield self._expect("AndroidPass opens it too", self._call("GET", url, android), (200,))

    def _strangers(self) -> Iterator[Finding]:
        url = pass_url(self._package)
        wrong = {"Authorization": f"ApplePass {'x' * len(self._package.token)}"}
        schemes: tuple[tuple[str, dict[str, str]], ...] = (
            ("without token", {}),
            ("with a wrong token", wrong),
            ("with an empty token", {"Authorization": "ApplePass "}),
            ("with the token but no scheme", {"Authorization": self._package.token}),
            ("with a bearer token", {"Authorization": f"Bearer {self._package.token}"}),
        )
        for name, headers in schemes:
            for method, address in (
                ("GET", url),
                ("POST", self._registration()),
                ("DELETE", self._registration()),
            ):
                body = {"pushToken": secrets.token_hex(32)} if method == "POST" else None
                answer = self._call(method, address, headers, body)
                yield self._expect(f"{method} {name} is 401", answer, _UNAUTHORISED)
        for odd in _ODD_SEGMENTS:
            address = f"{url.rsplit('/', 1)[0]}/{quote(odd, '')}"
            answer = self._call("GET", address, self._auth)
            yield self._expect(f"the serial {odd[:16]!r} is unknown", answer, _REFUSED)
        for address in (f"{url}0", url.replace(self._package.pass_type, "pass.unknown")):
            answer = self._call("GET", address, self._auth)
            yield self._expect("the token opens no other pass", answer, _UNKNOWN)
        yield self._expect("PUT is refused", self._call("PUT", url, self._auth, {}), _REFUSED)

    def _logging(self) -> Iterator[Finding]:
        url = f"{self._base}/log"
        line = self._call("POST", url, json_body={"logs": ["a line", "<b>строка</b>"]})
        yield self._expect("a complaint is taken", line, (200,))
        body: object
        for body in (None, [], {"logs": "a line"}, {"logs": [1]}, {"logs": [{}]}):
            answer = self._call("POST", url, json_body=body)
            yield self._expect(f"the log {json.dumps(body)} is refused", answer, _REFUSED)
        flood = {"logs": ["x" * 10_000] * 500}
        answer = self._call("POST", url, json_body=flood)
        yield self._expect("a flood of 5 MB is refused", answer, _REFUSED)

    def _leaving(self) -> Iterator[Finding]:
        url = self._registration()
        yield self._expect("leaving is 200", self._call("DELETE", url, self._auth), (200,))
        again = self._call("DELETE", url, self._auth)
        yield self._expect("leaving twice is no failure", again, (200, 401, 404))
        yield self._empty("the list of a device that left", url.rsplit("/", 1)[0])
        yield self._expect("it may come back as new", self._register(), (201,))
        yield self._expect("and leave again", self._call("DELETE", url, self._auth), (200,))

    def _register(self) -> Answer:
        body = {"pushToken": secrets.token_hex(32)}
        return self._call("POST", self._registration(), self._auth, body)

    def _registration(self) -> str:
        pass_type, serial = quote(self._package.pass_type, ""), quote(self._package.serial, "")
        return f"{self._base}/devices/{self._device}/registrations/{pass_type}/{serial}"

    def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        json_body: object = None,
    ) -> Answer:
        try:
            return self._transport.call(method, url, headers=headers, json=json_body)
        except PhoneError as error:
            return Answer(0, {}, error.detail.encode())

    def _expect(self, trap: str, answer: Answer, allowed: range | tuple[int, ...]) -> Finding:
        if answer.status in allowed:
            return Finding(trap, None)
        shown = answer.body[:200].decode("utf-8", "replace")
        return Finding(trap, f"answered {answer.status or 'nothing'}: {shown}")

    def _lists(self, trap: str, url: str, headers: Mapping[str, str] | None = None) -> Finding:
        answer = self._call("GET", url, headers)
        if answer.status != 200:
            return self._expect(trap, answer, (200,))
        value = json.loads(answer.body)
        if self._package.serial not in value["serialNumbers"]:
            return Finding(trap, f"the serial number is not listed: {value}")
        if not isinstance(value["lastUpdated"], str):
            return Finding(trap, f"lastUpdated is not a string: {value}")
        return Finding(trap, None)

    def _empty(self, trap: str, url: str) -> Finding:
        answer = self._call("GET", url)
        if answer.status == 204 and answer.has_body:
            return Finding(f"{trap} is an empty 204", "there is a body")
        return self._expect(f"{trap} is an empty 204", answer, (204,))
