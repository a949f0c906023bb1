"""The device's side of Apple's pass web service: what it sends and which answers it takes.

Source: Apple, "Adding a Web Service to Update Passes". Every answer that is not one of the
documented ones is a ProtocolViolation with a text such as a device writes into its log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from walletsvc.emulators.phone.errors import ProtocolViolation, Unreachable
from walletsvc.emulators.phone.package import Package
from walletsvc.emulators.phone.transport import Answer, Retrying, Transport

MEDIA_TYPE = "application/vnd.apple.pkpass"


@dataclass(frozen=True)
class Listing:
    """Serials that changed, and the tag to ask with next time."""

    serials: tuple[str, ...]
    last_updated: str


@dataclass(frozen=True)
class Fetched:
    """A pass as it was served; `last_modified` is the header's text, sent back unchanged."""

    data: bytes
    last_modified: str | None
    etag: str | None
    modified: datetime | None


@dataclass(frozen=True)
class WebService:
    """The endpoints under one webServiceURL, called on behalf of one device."""

    transport: Transport
    url: str
    device: str
    retrying: Retrying | None = None

    def register(self, package: Package, push_token: str) -> int:
        """Announce the push token for a pass; 201 when new, 200 when known."""
        answer = self.transport.call(
            "POST",
            self._registration(package.pass_type, package.serial),
            headers=_authorization(package),
            json={"pushToken": push_token},
            retrying=self.retrying,
        )
        if answer.status not in (200, 201):
            raise self._unexpected("Register task", package, answer)
        return answer.status

    def unregister(self, package: Package) -> None:
        """Tell the service that the pass is gone from this device."""
        answer = self.transport.call(
            "DELETE",
            self._registration(package.pass_type, package.serial),
            headers=_authorization(package),
            retrying=self.retrying,
        )
        if answer.status != 200:
            raise self._unexpected("Unregister task", package, answer)

    def changed(self, pass_type: str, tag: str | None) -> Listing | None:
        """The serials that changed since a tag; None when none did. Carries no token."""
        url = f"{self.url}/v1/devices/{quote(self.device, '')}/registrations/{quote(pass_type, '')}"
        if tag is not None:
            url += f"?passesUpdatedSince={quote(tag, '')}"
        answer = self.transport.call("GET", url, retrying=self.retrying)
        task = f"Get serial numbers task (pass type {pass_type}, last updated {tag})"
        if answer.status == 204:
            if answer.has_body:
                raise ProtocolViolation(f"{task}: malformed answer, 204 with a body")
            return None
        if answer.status != 200:
            raise ProtocolViolation(f"{task}: unexpected status {answer.status}")
        return _listing(task, answer.body)

    def fetch(self, package: Package, since: str | None) -> Fetched | None:
        """The pass as it is now, or None for 304: not modified since that Last-Modified."""
        headers = _authorization(package)
        if since is not None:
            headers["If-Modified-Since"] = since
        answer = self.transport.call(
            "GET", pass_url(package), headers=headers, retrying=self.retrying
        )
        task = f"Get pass task (serial number {package.serial}, if-modified-since {since})"
        if answer.status == 304:
            if since is None:
                raise ProtocolViolation(f"{task}: 304, but nothing was asked conditionally")
            return None
        if answer.status != 200:
            raise self._unexpected("Get pass task", package, answer)
        fetched = read_pass(task, answer)
        if fetched.modified is None:
            raise ProtocolViolation(f"{task}: malformed answer, no Last-Modified")
        return fetched

    def log(self, lines: list[str]) -> int | None:
        """Complain; returns the status, None when there was no answer. Never retried."""
        try:
            return self.transport.call("POST", f"{self.url}/v1/log", json={"logs": lines}).status
        except Unreachable:
            return None

    def _registration(self, pass_type: str, serial: str) -> str:
        return (
            f"{self.url}/v1/devices/{quote(self.device, '')}"
            f"/registrations/{quote(pass_type, '')}/{quote(serial, '')}"
        )

    def _unexpected(self, task: str, package: Package, answer: Answer) -> ProtocolViolation:
        return ProtocolViolation(
            f"{task} (pass type {package.pass_type}, serial number {package.serial}): "
            f"unexpected status {answer.status}",
            status=answer.status,
        )


def pass_url(package: Package) -> str:
    """Where the web service serves the present version of a pass."""
    pass_type, serial = quote(package.pass_type, ""), quote(package.serial, "")
    return f"{package.service_url}/v1/passes/{pass_type}/{serial}"


def read_pass(task: str, answer: Answer) -> Fetched:
    """A 200 that carries a package; raises ProtocolViolation for another media type."""
    kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        raise ProtocolViolation(f"{task}: Content-Type is '{kind}' instead of {MEDIA_TYPE}")
    header = answer.headers.get("Last-Modified")
    modified = None
    if header is not None:
        try:
            modified = parsedate_to_datetime(header)
        except ValueError as error:
            raise ProtocolViolation(f"{task}: Last-Modified '{header}' is no date") from error
        if modified.tzinfo is None or not header.endswith("GMT"):
            raise ProtocolViolation(f"{task}: Last-Modified '{header}' is not in GMT")
    return Fetched(answer.body, header, answer.headers.get("ETag"), modified)


def _authorization(package: Package) -> dict[str, str]:
    return {"Authorization": f"ApplePass {package.token}"}


def _listing(task: str, body: bytes) -> Listing:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolViolation(f"{task}: malformed answer, not JSON ({error})") from error
    serials = value.get("serialNumbers") if isinstance(value, dict) else None
    if not (isinstance(serials, list) and serials and all(isinstance(s, str) for s in serials)):
        raise ProtocolViolation(f"{task}: malformed answer, serialNumbers is no list of texts")
    tag = value.get("lastUpdated")
    if not isinstance(tag, str) or not tag:
        raise ProtocolViolation(
            f"{task}: malformed answer, lastUpdated must be a JSON string, not {json.dumps(tag)}"
        )
    if len(set(serials)) != len(serials):
        raise ProtocolViolation(f"{task}: malformed answer, a serial number is listed twice")
    return Listing(tuple(serials), tag)
