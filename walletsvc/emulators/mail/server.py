"""The mail server: aiosmtpd with the manners of a real one."""

from __future__ import annotations

import logging
import socket
from asyncio import Server
from email import message_from_bytes, policy
from typing import Any, Final, Protocol

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from walletsvc.core.closing import Closing
from walletsvc.core.errors import ConfigurationError

HOST: Final = "127.0.0.1"
DOMAIN: Final = "example.com"
ACCOUNT: Final = {"user": f"shop@{DOMAIN}", "password": "emulated-password"}
_OK: Final = "250 OK"

# The library warns, at each log-in, of what it does itself.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class Log(Protocol):
    """Where it is written what came."""

    def __call__(self, channel: str, **what: Any) -> None: ...


class MailEmulator(Closing):
    """A running server; a context manager, so that a test ends it."""

    def __init__(self, log: Log, port: int = 0) -> None:
        """Listens at once; port 0 is any free one. Raises ConfigurationError."""
        self._controller = _Controller(
            _Manners(log),
            hostname=HOST,
            port=port,
            authenticator=_authenticate,
            auth_require_tls=False,
            ready_timeout=10,
        )
        try:
            self._controller.start()
        except OSError as error:
            raise ConfigurationError(
                f"The mail emulator cannot listen: port {port} on {HOST}: {error.strerror}."
            ) from error
        self.port: int = self._controller.bound

    def close(self) -> None:
        """Stop."""
        self._controller.stop()


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """The library knocks at the port it was told, which with any free one is none."""
        with socket.create_connection((HOST, self.bound), timeout=5) as knock:
            knock.recv(1024)

    @property
    def bound(self) -> int:
        """The port it listens on."""
        assert isinstance(self.server, Server)  # noqa: S101 - for the type checker
        return int(self.server.sockets[0].getsockname()[1])


def _authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
) -> AuthResult:
    given = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode())
    return AuthResult(success=given == (ACCOUNT["user"], ACCOUNT["password"]), handled=False)


class _Manners:
    """What it takes and what it does not."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._put_off: set[str] = set()

    async def handle_MAIL(  # noqa: N802 - the library's name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if not address.endswith(f"@{DOMAIN}"):
            return "553 5.7.1 Not your address"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return _OK

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.endswith("@invalid"):
            return "550 5.1.1 No such user"
        if address.startswith("later") and address not in self._put_off:
            self._put_off.add(address)
            return "451 4.7.1 Try again later"
        envelope.rcpt_tos.append(address)
        return _OK

    async def handle_DATA(  # noqa: N802
        self, _: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        letter = message_from_bytes(raw, policy=policy.default)
        if not letter["Message-ID"] or not letter["Date"] or not letter["From"]:
            return "554 5.6.0 Message-ID, Date and From are wanted"
        body = letter.get_body(("plain",))
        for to in envelope.rcpt_tos:
            self._log(
                "email",
                gateway="smtp",
                to=to,
                subject=str(letter["Subject"]),
                text=body.get_content() if body is not None else "",
                message_id=str(letter["Message-ID"]),
            )
        return _OK
