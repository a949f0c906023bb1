"""Pushes to Apple: one multiplexed HTTP/2 connection per certificate.

Source: Apple, "Sending notification requests to APNs" and "Handling notification responses
from APNs". A Wallet push says nothing but "ask your server": its body is `{}`, and its
topic is the pass type identifier that the client certificate was issued for.

The client only transports; what an answer means is decided in `rules`.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import certifi
import pycurl
from cryptography.hazmat.primitives import hashes

from walletsvc.apple.answers import explanation, failure, matching_certificate
from walletsvc.apple.pushes import Fault, Outcome, PushRequest, push_id
from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.errors import ConfigurationError

# Apple keeps an undelivered push for up to thirty days, and only the newest per device and
# topic. It carries no data, so a late one is never wrong: a phone that was off for weeks
# still learns that its card changed. Two days are left for clocks that disagree.
LIFETIME: Final = timedelta(days=28)

# Sending more than the server's stream limit at once halves the throughput of libcurl.
MAX_IN_FLIGHT: Final = 100
# A connection that was idle for so long may have died without a word: one push finds out.
_TRUSTED_SECONDS: Final = 60.0
_CHECK_SECONDS: Final = 0.2  # how often pushes are looked over for those that take too long
_MAX_BODY: Final = 4096


class _Slot:
    """A reusable easy handle, the body it collects and the push it carries.

    `begun` is when its request left; None while libcurl keeps it for a free stream.
    """

    __slots__ = ("added", "apns_id", "begun", "body", "curl", "push")

    def __init__(self, curl: pycurl.Curl) -> None:
        self.curl = curl
        self.load(PushRequest(0, "", ""))

    def load(self, push: PushRequest) -> None:
        """Carry this push from now on."""
        self.push = push
        self.apns_id = push_id(push)
        self.body = b""
        self.added = time.monotonic()
        self.begun: float | None = None

    def begin(self, *_: object) -> int:
        """The connection has a stream for the request (CURLOPT_PREREQFUNCTION)."""
        self.begun = time.monotonic()
        return pycurl.PREREQFUNC_OK

    def collect(self, data: bytes) -> int:
        """Keep the body of an error; a larger one than Apple ever sends breaks the stream."""
        if len(self.body) + len(data) > _MAX_BODY:
            return 0
        self.body += data
        return len(data)


class ApnsClient:
    """Sends pushes over one connection; not thread-safe.

    `start` pushes while there is `room`, `poll` for what became of them. Never more are in
    flight than the service's stream limit of the moment allows: what libcurl would keep
    waiting for a stream is handed back (`take_back`), so that a lowered limit looks like what
    it is and not like a service that does not answer.

    `certificate_pem` and `key_pem` are the Pass Type ID certificate and its key.
    `ca_file` replaces the public authorities (for an emulator).
    """

    def __init__(
        self,
        url: str,
        certificate_pem: bytes,
        key_pem: bytes,
        ca_file: Path | None,
        *,
        clock: Clock = utcnow,
        request_seconds: float = 30,
        connect_seconds: float = 10,
    ) -> None:
        """Raises ConfigurationError when certificate and key cannot be used together."""
        self._url = url.rstrip("/") + "/3/device/"
        self._direct = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        self._certificate_pem = certificate_pem
        self._key_pem = key_pem
        # A path, not a blob: libcurl compares a blob with that of the connection on every push,
        # which with the public bundle makes a push cost 40 % more.
        self._ca_file = str(ca_file) if ca_file else certifi.where()
        self._clock = clock
        self._request_seconds = request_seconds
        self._connect_seconds = connect_seconds
        self._certificate = matching_certificate(certificate_pem, key_pem)
        self.fingerprint = self._certificate.fingerprint(hashes.SHA256()).hex()
        self._multi = self._connection()
        self._idle: list[_Slot] = []
        self._flying: dict[pycurl.Curl, _Slot] = {}
        self._unsent: list[PushRequest] = []
        self._streams = MAX_IN_FLIGHT
        self._answered_at = 0.0
        self._checked_at = 0.0
        self._proven = False

    @property
    def in_flight(self) -> int:
        """How many pushes are not answered yet."""
        return len(self._flying)

    def room(self, *, urgent: bool) -> int:
        """How many pushes may be started now; only urgent ones get the last tenth of the streams.

        A new connection carries one push until it is answered: when the service is down or
        refuses the certificate, one push finds out, not a hundred.
        """
        trusted = self._proven and time.monotonic() - self._answered_at < _TRUSTED_SECONDS
        limit = self._streams if trusted else 1
        return limit - (0 if urgent else limit // 10) - len(self._flying)

    def poll(self, seconds: float) -> list[Outcome]:
        """What became of pushes; waits for it up to so many seconds."""
        self._multi.perform()
        outcomes = self._finished()
        self._withdraw()
        if not outcomes and self._flying:
            self._wait(seconds)
            self._multi.perform()
            outcomes = self._finished()
        return outcomes + self._overdue()

    def take_back(self) -> list[PushRequest]:
        """Pushes that were started and did not leave, because the service allows fewer streams
        than it did; as if they had not been started."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def close(self) -> None:
        """Close the connection; the client cannot be used afterwards."""
        for curl in list(self._flying):
            self._release(curl)
        for slot in self._idle:
            slot.curl.close()
        self._idle.clear()
        self._multi.close()

    def check_validity(self) -> None:
        """Raise ConfigurationError when the certificate is not valid now."""
        # Apple refuses such a certificate in a way that looks like a broken connection.
        since, until = self._certificate.not_valid_before_utc, self._certificate.not_valid_after_utc
        if not since <= self._clock() <= until:
            raise ConfigurationError(
                f"The push certificate is valid from {since:%Y-%m-%d} to {until:%Y-%m-%d},"
                " not now: renew it."
            )

    @staticmethod
    def _connection() -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
        multi.setopt(pycurl.M_MAXCONNECTS, 1)
        return multi

    def _new_slot(self) -> _Slot:
        curl = pycurl.Curl()
        slot = _Slot(curl)
        curl.setopt(pycurl.POSTFIELDS, b"{}")
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.PIPEWAIT, 1)
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        curl.setopt(pycurl.SSLCERT_BLOB, self._certificate_pem)
        curl.setopt(pycurl.SSLKEY_BLOB, self._key_pem)
        curl.setopt(pycurl.CAINFO, self._ca_file)
        # The time of a request is taken here (`_overdue`): libcurl would count the wait for a
        # free stream.
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(self._connect_seconds * 1000))
        curl.setopt(pycurl.PREREQFUNCTION, slot.begin)
        # An idle connection is kept: Apple takes frequent reconnects for abuse. The kernel
        # notices when the other end is gone.
        curl.setopt(pycurl.MAXAGE_CONN, 3600)
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)
        curl.setopt(pycurl.TCP_KEEPIDLE, 60)
        curl.setopt(pycurl.TCP_KEEPINTVL, 15)
        curl.setopt(pycurl.WRITEFUNCTION, slot.collect)
        if self._direct:
            curl.setopt(pycurl.PROXY, "")
        return slot

    def start(self, push: PushRequest) -> None:
        """Send a push; what becomes of it comes from `poll`."""
        slot = self._idle.pop() if self._idle else self._new_slot()
        slot.load(push)
        expiration = int((self._clock() + LIFETIME).timestamp())
        token = push.token
        # Tokens come from devices. Apple judges them, but none may bend the address.
        if not (token.isascii() and token.isalnum()):
            token = quote(token, safe="")
        slot.curl.setopt(pycurl.URL, self._url + token)
        slot.curl.setopt(
            pycurl.HTTPHEADER,
            [
                f"apns-topic: {push.topic}",
                "apns-push-type: background",
                "apns-priority: 5",
                f"apns-expiration: {expiration}",
                f"apns-id: {slot.apns_id}",
                "content-type: application/json",
                "accept:",
            ],
        )
        self._flying[slot.curl] = slot
        self._multi.add_handle(slot.curl)

    def _finished(self) -> list[Outcome]:
        """The outcomes that have come."""
        outcomes: list[Outcome] = []
        more = 1
        while more:
            more, done, failed = self._multi.info_read()
            outcomes += [self._answer(self._release(curl)) for curl in done]
            for curl, code, message in failed:
                outcome = self._failed(self._release(curl), code, message)
                self._proven &= outcome.fault is Fault.STREAM
                outcomes.append(outcome)
        if outcomes and len(self._flying) + len(outcomes) >= self._streams - self._streams // 10:
            # The streams were in use: see whether the service allows more by now.
            self._streams = min(self._streams + max(self._streams // 4, 1), MAX_IN_FLIGHT)
        return outcomes

    def _withdraw(self) -> None:
        """Take back what found no free stream, and remember how many there are.

        While nothing is under way the connection is being made: one push waits for it.
        """
        waiting = [curl for curl, slot in self._flying.items() if slot.begun is None]
        if not waiting:
            return
        begun = len(self._flying) - len(waiting)
        if begun:
            self._streams = begun
        else:
            self._proven = False
            del waiting[0]
        for curl in waiting:
            self._unsent.append(self._release(curl).push)

    def _overdue(self) -> list[Outcome]:
        """Give up what takes too long: that push alone, or the connection when it is silent."""
        now = time.monotonic()
        if now - self._checked_at < _CHECK_SECONDS:
            return []
        self._checked_at = now
        late = [
            slot
            for slot in self._flying.values()
            if now - (slot.begun or slot.added + self._connect_seconds) > self._request_seconds
        ]
        if any((slot.begun or slot.added) > self._answered_at for slot in late):
            # Silence since this push left: the connection is half open, and libcurl would go on
            # using it.
            return self._reconnect()
        return [
            self._failed(self._release(slot.curl), pycurl.E_OPERATION_TIMEDOUT, "no answer in time")
            for slot in late
        ]

    def _wait(self, seconds: float) -> None:
        timeout_ms = self._multi.timeout()
        if timeout_ms >= 0:
            seconds = min(timeout_ms / 1000, seconds)
        # select() returns -1 at once when there is no socket yet (a name being looked up).
        if seconds > 0 and self._multi.select(seconds) < 0:
            time.sleep(min(seconds, 0.01))

    def _release(self, curl: pycurl.Curl) -> _Slot:
        self._multi.remove_handle(curl)
        slot = self._flying.pop(curl)
        self._idle.append(slot)
        return slot

    def _answer(self, slot: _Slot) -> Outcome:
        self._answered_at = time.monotonic()
        self._proven = True
        status = int(slot.curl.getinfo(pycurl.RESPONSE_CODE))
        if status == 200:
            return Outcome(slot.push, 200, None, slot.apns_id, None, None)
        reason, since = explanation(slot.body)
        return Outcome(slot.push, status, reason, slot.apns_id, since, None)

    def _reconnect(self) -> list[Outcome]:
        """Give up the connection and what is in flight on it."""
        lost = [self._release(curl) for curl in list(self._flying)]
        self._multi.close()
        self._multi = self._connection()
        self._proven = False
        code, message = pycurl.E_OPERATION_TIMEDOUT, "the connection went silent"
        return [failure(slot.push, slot.apns_id, code, message, alone=False) for slot in lost]

    @staticmethod
    def _failed(slot: _Slot, code: int, message: str) -> Outcome:
        return failure(slot.push, slot.apns_id, code, message, alone=slot.begun is not None)
