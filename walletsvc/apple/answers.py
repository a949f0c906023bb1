"""What libcurl says about a push, as an outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
import pycurl
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from walletsvc.apple.pushes import Fault, Outcome, PushRequest
from walletsvc.core.errors import ConfigurationError

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


def failure(push: PushRequest, apns_id: str, code: int, message: str, *, alone: bool) -> Outcome:
    """A transport error; `alone` says that a timeout concerns this push and not the connection."""
    if code in _CONFIGURATION_ERRORS or " alert " in message:
        # A TLS alert: the other side refused our certificate.
        fault = Fault.CONFIGURATION
    elif code == _STREAM_ERROR or (code == pycurl.E_OPERATION_TIMEDOUT and alone):
        fault = Fault.STREAM
    else:
        fault = Fault.CONNECTION
    text = f"{code} {_printable(message)}"
    return Outcome(push, None, None, apns_id, None, text, fault)


def explanation(body: bytes) -> tuple[str | None, datetime | None]:
    """The reason in the body of an error, and the time that a 410 adds (ms since 1970)."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = None
    fields = data if isinstance(data, dict) else {}
    reason, since = fields.get("reason"), fields.get("timestamp")
    return (
        _printable(reason) if isinstance(reason, str) else None,
        _moment(since) if isinstance(since, int) else None,
    )


def _printable(said: str) -> str:
    """What others say, short and without what a log or the database cannot hold."""
    return "".join(c for c in said if c.isprintable())[:_MAX_REASON]


def _moment(milliseconds: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def matching_certificate(certificate_pem: bytes, key_pem: bytes) -> x509.Certificate:
    """The client certificate; raises ConfigurationError when the key is not its own."""
    try:
        certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"The push certificate cannot be read: {error}") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise ConfigurationError("The push certificate and its private key do not belong together.")
    return certificate
