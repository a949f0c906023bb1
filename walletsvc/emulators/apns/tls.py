"""TLS with a client certificate, on asyncio's plain transport.

asyncio's own TLS drops the alert of a failed handshake and keeps one context for the life of
a server. Here the alert reaches the client, which is how it learns that its certificate was
refused, and each connection takes the trust files as they are at that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from walletsvc.emulators.apns.identity import CHAIN_FILE, KEY_FILE

HANDSHAKE_SECONDS: Final = 10.0
# How long a client may take to hang up after we did.
_LINGER_SECONDS: Final = 1.0
_CHUNK: Final = 65_536
# X509_V_FLAG_IGNORE_CRITICAL of OpenSSL: Apple may mark its own extensions critical, and its
# servers know them.
_IGNORE_CRITICAL: Final = ssl.VerifyFlags(0x10)

logger = logging.getLogger(__name__)


class Trust:
    """The TLS context for the next connection, made anew when one of its files changed."""

    def __init__(self, folder: Path, trusted: Sequence[Path]) -> None:
        """`folder` holds the server's identity, `trusted` are PEM files that may come later."""
        self._folder = folder
        self._trusted = tuple(trusted)
        self._seen: tuple[tuple[int, int] | None, ...] | None = None
        self._context = self._build(())

    def context(self) -> ssl.SSLContext:
        """A context that trusts what the files hold now; missing files trust nobody.

        A file that cannot be read (half written, say) leaves the former context in force.
        """
        seen = tuple(_stamp(path) for path in self._trusted)
        if seen != self._seen:
            try:
                pems = [
                    certificate.public_bytes(Encoding.PEM).decode()
                    for path, stamp in zip(self._trusted, seen, strict=True)
                    if stamp is not None
                    for certificate in x509.load_pem_x509_certificates(path.read_bytes())
                ]
                self._context = self._build(pems)
                self._seen = seen
            except (OSError, ValueError) as error:
                logger.warning("the trusted certificates cannot be read: %s", error)
        return self._context

    def _build(self, pems: Sequence[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._folder / CHAIN_FILE, self._folder / KEY_FILE)
        context.set_alpn_protocols(["h2"])
        context.verify_mode = ssl.CERT_REQUIRED
        # The intermediate alone is trust enough: clients do not send it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _IGNORE_CRITICAL
        # A resumed session would carry a certificate past a change of the trust files.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        if pems:
            context.load_verify_locations(cadata="".join(pems))
        return context


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def topic_of(certificate: bytes) -> str | None:
    """The topic a client certificate (DER) covers: its subject's UID, as Apple writes it."""
    subject = x509.load_der_x509_certificate(certificate).subject
    names = subject.get_attributes_for_oid(NameOID.USER_ID)
    return str(names[0].value) if names else None


class Session(Protocol):
    """What runs inside an established connection."""

    def opened(self) -> None:
        """The handshake is done."""

    def received(self, data: bytes) -> None:
        """Decrypted bytes came."""

    def lost(self) -> None:
        """The connection is gone; nothing can be sent any more."""


class Link(asyncio.Protocol):
    """One TCP connection: the handshake, then a session's bytes in both directions."""

    def __init__(self, trust: Trust, open_session: Callable[[Link, str | None], Session]) -> None:
        """`open_session` gets this link and the topic of the client's certificate."""
        self._trust = trust
        self._open_session = open_session
        self._session: Session | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._hung_up = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's hello, for a while."""
        self._transport = cast("asyncio.Transport", transport)
        self._tls = self._trust.context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self.abort)

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the session, once."""
        self._deadline.cancel()
        if self._session is not None:
            self._session.lost()
            self._session = None

    def pause_writing(self) -> None:
        """A client that does not read its answers gets no more of its pushes read."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The answers have left: read on."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Encrypted bytes came: pass on all that is complete, at once."""
        if self._hung_up:
            return
        self._incoming.write(data)
        plain: list[bytes] = []
        try:
            if self._session is None:
                self._tls.do_handshake()
                self._established()
            while chunk := self._tls.read(_CHUNK):
                plain.append(chunk)
            ended = True
        except ssl.SSLWantReadError:
            ended = False
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:
            logger.info("refused in TLS: %s", error.reason or error)
            ended = True
        self._flush()
        if plain and self._session is not None:
            self._session.received(b"".join(plain))
        if ended:
            self.close()

    def _established(self) -> None:
        self._deadline.cancel()
        certificate = self._tls.getpeercert(binary_form=True)
        if certificate is None or self._tls.selected_alpn_protocol() != "h2":
            logger.info("refused: the client does not speak HTTP/2")
            self.close()
            return
        self._session = self._open_session(self, topic_of(certificate))
        self._session.opened()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if data and not self.is_closed:
            self._tls.write(data)
            self._flush()

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._hung_up or self._transport.is_closing()

    def close(self) -> None:
        """Say good-bye in TLS and hang up; what the client still sends is thrown away.

        Closing at once would answer those bytes with a TCP reset, and that can overtake our
        last words: the alert, the GOAWAY.
        """
        if self.is_closed:
            return
        # After a failed handshake there is no good-bye, and the peer's own is not waited for.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()
        self._hung_up = True
        self._transport.write_eof()
        self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(
            _LINGER_SECONDS, self._transport.close
        )

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._transport.abort()
