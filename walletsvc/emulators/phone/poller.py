"""Wallets that never register: they fetch the pass again now and then and look for a change.

KDE Itinerary does plain GETs; FossWallet polls without conditional headers and retries on
anything but 2xx and 304; others send validators, or `AndroidPass` instead of `ApplePass`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from cryptography import x509

from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.closing import Closing
from walletsvc.emulators.phone.errors import ProtocolViolation
from walletsvc.emulators.phone.installed import Installed, check_succession
from walletsvc.emulators.phone.package import Package, open_package
from walletsvc.emulators.phone.service import Fetched, pass_url, read_pass
from walletsvc.emulators.phone.transport import Transport


class Conditional(enum.Flag):
    """Which validators a poller sends back."""

    NOTHING = 0
    MODIFIED = enum.auto()
    ETAG = enum.auto()
    BOTH = MODIFIED | ETAG


class Poller(Closing):
    """An app that keeps one pass current by asking; raises as Phone does."""

    def __init__(
        self,
        *,
        conditional: Conditional = Conditional.NOTHING,
        scheme: str = "ApplePass",
        roots: Sequence[x509.Certificate] = (),
        transport: Transport | None = None,
        clock: Clock = utcnow,
    ) -> None:
        self.installed: Installed | None = None
        self._conditional = conditional
        self._scheme = scheme
        self._roots = tuple(roots)
        self._own_transport = transport is None
        self._transport = transport or Transport()
        self._clock = clock

    def close(self) -> None:
        """Give back the connections, where they are its own."""
        if self._own_transport:
            self._transport.close()

    def add(self, url: str) -> Package:
        """Download the pass to begin with."""
        answer = self._transport.call("GET", url, follow=True)
        if answer.status != 200:
            raise ProtocolViolation(f"Downloading {url}: status {answer.status}")
        fetched = read_pass(f"Downloading {url}", answer)
        package = self._open(fetched)
        self.installed = Installed.of(package, fetched)
        return package

    def poll(self) -> Package | None:
        """Ask once; the new pass, or None when it is the one we have."""
        if self.installed is None:
            raise ProtocolViolation("There is no pass to ask about; add one first.")
        before = self.installed.package
        url = pass_url(before)
        headers = self._headers(self.installed)
        answer = self._transport.call("GET", url, headers=headers)
        task = f"Polling serial number {before.serial}"
        if answer.status == 304:
            if len(headers) == 1:
                raise ProtocolViolation(f"{task}: 304, but nothing was asked conditionally")
            return None
        if answer.status != 200:
            raise ProtocolViolation(f"{task}: status {answer.status}", status=answer.status)
        fetched = read_pass(task, answer)
        if fetched.modified is None or fetched.etag is None:
            raise ProtocolViolation(f"{task}: needs Last-Modified and ETag to be pollable")
        after = self._open(fetched)
        check_succession(self.installed, after, fetched)
        same = after.face() == before.face()
        if same and fetched.etag != self.installed.etag and self.installed.etag is not None:
            raise ProtocolViolation(f"{task}: the ETag changed although the pass did not")
        self.installed = Installed.of(after, fetched)
        return None if same else after

    def _headers(self, installed: Installed) -> dict[str, str]:
        headers = {"Authorization": f"{self._scheme} {installed.package.token}"}
        if Conditional.MODIFIED in self._conditional and installed.last_modified:
            headers["If-Modified-Since"] = installed.last_modified
        if Conditional.ETAG in self._conditional and installed.etag:
            headers["If-None-Match"] = installed.etag
        return headers

    def _open(self, fetched: Fetched) -> Package:
        return open_package(fetched.data, now=self._clock(), roots=self._roots)
