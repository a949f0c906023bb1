"""Pushes to Apple: one multiplexed HTTP/2 connection per certificate.

Source: Apple, "Sending notification requests to APNs" and "Handling notification responses
from APNs". A Wallet push says nothing but "ask your server": its body is `{}`, and its
topic is the pass type identifier that the client certificate was issued for.

The client only transports; what an answer means is decided in `rules`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import certifi
import orjson
import pycurl
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from walletsvc.apple.pushes import Fault, Outcome, PushRequest, push_id
from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.errors import ConfigurationError

# Apple keeps an undelivered push for up to thirty days, and only the newest per device and
# topic. It carries no data, so a late one is never wrong: a phone that was off for weeks
# still learns that its card changed. Two days are left for clocks that disagree.
LIFETIME: Final = timedelta(days=28)

# Sending more than the server's stream limit at once halves the throughput of libcurl.
MAX_IN_FLIGHT: Final = 100
_MAX_BODY: Final = 4096
_MAX_REASON: Final = 100

# Errors of libcurl that no retry mends: a bad address, certificates that do not verify or
# cannot be loaded (libcurl-errors(3)).
_CONFIGURATION_ERRORS: Final = frozenset(
    {
        pycurl.E_URL_MALFORMAT,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
    }
)
# The stream broke, the connection did not (CURLE_HTTP2_STREAM has no name in pycurl).
_STREAM_ERROR: Final = 92


class _Slot:
    """A reusable easy handle, the body it collects and the push it carries."""

    __slots__ = ("apns_id", "body", "curl", "push", "started")

    def __init__(self, curl: pycurl.Curl) -> None:
        self.curl = curl
        self.body = b""
        self.push = PushRequest(0, "", "")
        self.apns_id = ""
        self.started = 0.0

    def collect(self, data: bytes) -> int:
        """Keep the body of an error; a larger one than Apple ever sends breaks the stream."""
        if len(self.body) + len(data) > _MAX_BODY:
            return 0
        self.body += data
        return len(data)


class ApnsClient:
    """Sends pushes over one connection; not thread-safe.

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
        max_in_flight: int = MAX_IN_FLIGHT,
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
        self._request_ms = int(request_seconds * 1000)
        self._connect_ms = int(connect_seconds * 1000)
        self._max_in_flight = max_in_flight
        self._not_before, self._not_after = _validity(certificate_pem, key_pem)
        self._multi = self._connection()
        self._idle: list[_Slot] = []
        self._flying: dict[pycurl.Curl, _Slot] = {}
        self._answered_at = 0.0
        self._proven = False

    def send(self, pushes: Iterable[PushRequest]) -> Iterator[Outcome]:
        """Send all pushes; yields one outcome for each as it comes, in any order.

        `pushes` is read only as fast as they leave, so whoever feeds it may end early;
        what was taken from it is finished and answered for.
        Raises ConfigurationError when the certificate is not valid now.
        """
        self._check_validity()
        expiration = int((self._clock() + LIFETIME).timestamp())
        waiting = iter(pushes)
        exhausted = False
        try:
            while True:
                while not exhausted and len(self._flying) < self._limit():
                    push = next(waiting, None)
                    if push is None:
                        exhausted = True
                    else:
                        self._start(push, expiration)
                if not self._flying:
                    return
                self._multi.perform()
                yield from self._finished()
        finally:
            self._abandon()

    def close(self) -> None:
        """Close the connection; the client cannot be used afterwards."""
        self._abandon()
        for slot in self._idle:
            slot.curl.close()
        self._idle.clear()
        self._multi.close()

    def _limit(self) -> int:
        """A new connection carries one push until it is answered: when the service is down or
        refuses the certificate, one push finds out, not a hundred."""
        return self._max_in_flight if self._proven else 1

    def _check_validity(self) -> None:
        # Apple refuses such a certificate in a way that looks like a broken connection.
        now = self._clock()
        if not self._not_before <= now <= self._not_after:
            raise ConfigurationError(
                f"The push certificate is valid from {self._not_before:%Y-%m-%d}"
                f" to {self._not_after:%Y-%m-%d}, not now: renew it."
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
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, self._connect_ms)
        curl.setopt(pycurl.TIMEOUT_MS, self._request_ms)
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

    def _start(self, push: PushRequest, expiration: int) -> None:
        slot = self._idle.pop() if self._idle else self._new_slot()
        slot.push = push
        slot.body = b""
        slot.apns_id = push_id(push)
        slot.started = time.monotonic()
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
        """The outcomes that have come; waits for the network when there are none yet."""
        outcomes: list[Outcome] = []
        dead = False
        more = 1
        while more:
            more, done, failed = self._multi.info_read()
            outcomes += [self._answer(self._release(curl)) for curl in done]
            for curl, code, message in failed:
                slot = self._release(curl)
                # Silence since this push began: the connection is half open, and libcurl
                # would go on using it.
                dead |= code == pycurl.E_OPERATION_TIMEDOUT and slot.started > self._answered_at
                outcome = _failure(slot, code, message, dead=dead)
                self._proven &= outcome.fault is Fault.STREAM
                outcomes.append(outcome)
        if dead:
            outcomes += self._reconnect()
        if not outcomes:
            self._wait()
        return outcomes

    def _wait(self) -> None:
        timeout_ms = self._multi.timeout()
        seconds = 1.0 if timeout_ms < 0 else min(timeout_ms / 1000, 1.0)
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
        reason, since = _explanation(slot.body)
        return Outcome(slot.push, status, reason, slot.apns_id, since, None)

    def _reconnect(self) -> list[Outcome]:
        """Give up the connection and what is in flight on it."""
        lost = [self._release(curl) for curl in list(self._flying)]
        self._multi.close()
        self._multi = self._connection()
        message = "the connection went silent"
        return [_failure(slot, pycurl.E_OPERATION_TIMEDOUT, message, dead=True) for slot in lost]

    def _abandon(self) -> None:
        for curl in list(self._flying):
            self._release(curl)


def _validity(certificate_pem: bytes, key_pem: bytes) -> tuple[datetime, datetime]:
    try:
        certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"The push certificate cannot be read: {error}") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise ConfigurationError("The push certificate and its private key do not belong together.")
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _failure(slot: _Slot, code: int, message: str, *, dead: bool) -> Outcome:
    if code in _CONFIGURATION_ERRORS or " alert " in message:
        # A TLS alert: the other side refused our certificate.
        fault = Fault.CONFIGURATION
    elif code == _STREAM_ERROR or (code == pycurl.E_OPERATION_TIMEDOUT and not dead):
        fault = Fault.STREAM
    else:
        fault = Fault.CONNECTION
    text = f"{code} {message[:_MAX_REASON]}"
    return Outcome(slot.push, None, None, slot.apns_id, None, text, fault)


def _explanation(body: bytes) -> tuple[str | None, datetime | None]:
    """The reason in the body of an error, and the time that a 410 adds (ms since 1970)."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = None
    fields = data if isinstance(data, dict) else {}
    reason, since = fields.get("reason"), fields.get("timestamp")
    return (
        reason[:_MAX_REASON] if isinstance(reason, str) else None,
        _moment(since) if isinstance(since, int) else None,
    )


def _moment(milliseconds: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
