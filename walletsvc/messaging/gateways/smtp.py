"""E-mail through any SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr

from walletsvc.messaging.protocol import (
    EmailGateway,
    Fault,
    GatewayConfig,
    GatewayError,
    Outgoing,
    Sent,
)

_SECONDS: Final = 8.0


def _sender(value: str) -> str:
    if "@" not in parseaddr(value)[1] or "\n" in value or "\r" in value:
        raise ValueError("must be an address, such as Shop <cards@example.com>")
    return value


class SmtpConfig(GatewayConfig):
    """A mail server and who the mail is from."""

    host: str = Field(min_length=1, max_length=253, description="The server.")
    port: int = Field(default=587, ge=1, le=65535, description="465 for `tls`.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` only inside one machine."
    )
    user: str = Field(default="", max_length=254, description="Empty: no log-in.")
    password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    sender: Annotated[str, AfterValidator(_sender)] = Field(
        description="`Shop <cards@example.com>`; the server must be allowed to send for it."
    )
    ca_file: str = Field(default="", description="Certificate authority, when it is one's own.")


class Smtp(EmailGateway):
    """E-mail through a mail server. The same `Message-ID` is given at each try, by which the
    recipient's server may tell a repetition."""

    kind = "smtp"
    label = "SMTP"
    Config = SmtpConfig

    def __init__(self, config: SmtpConfig) -> None:
        self._config = config

    def send(self, message: Outgoing) -> Sent:
        """Hand an e-mail over."""
        letter = self._letter(message)
        with self._connected() as server, _understood(sending=True):
            server.send_message(letter)
        return Sent(str(letter["Message-ID"]))

    def ping(self) -> str:
        """Log in and out."""
        with self._connected() as server, _understood():
            server.noop()
        return f"{self._config.host} lets us in"

    def _letter(self, message: Outgoing) -> EmailMessage:
        letter = EmailMessage()
        letter["From"] = self._config.sender
        letter["To"] = message.to
        letter["Date"] = format_datetime(message.at)
        letter["Subject"] = " ".join(message.subject.split())
        domain = parseaddr(self._config.sender)[1].rpartition("@")[2]
        letter["Message-ID"] = f"<{message.message_id}@{domain}>"
        # So that nobody's holiday note answers.
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(message.text)
        return letter

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        config = self._config
        with _understood():
            context = ssl.create_default_context(cafile=config.ca_file or None)
            if config.security == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    config.host, config.port, timeout=_SECONDS, context=context
                )
            else:
                server = smtplib.SMTP(config.host, config.port, timeout=_SECONDS)
        try:
            with _understood():
                if config.security == "starttls":
                    server.starttls(context=context)
                if config.user:
                    server.login(config.user, config.password.get_secret_value())
            yield server
        finally:
            _leave(server)


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye; that it fails says nothing about the mail before it."""
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        server.close()


@contextmanager
def _understood(*, sending: bool = False) -> Iterator[None]:
    """Errors of the library as ours; what servers say may name the recipient and is left out."""
    try:
        yield
    except smtplib.SMTPAuthenticationError:
        raise GatewayError("It does not accept the log-in.", Fault.CONFIGURATION) from None
    except smtplib.SMTPNotSupportedError:
        raise GatewayError(
            "It does not speak STARTTLS or log-in: see `security`.", Fault.CONFIGURATION
        ) from None
    except ssl.SSLError:
        raise GatewayError("Its TLS certificate is not trusted.", Fault.CONFIGURATION) from None
    except smtplib.SMTPSenderRefused as error:
        raise GatewayError(
            f"It does not send for this sender ({error.smtp_code}).", Fault.CONFIGURATION
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(next(iter(error.recipients.values()))[0]) from None
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code) from None
    except (smtplib.SMTPException, OSError):
        if sending:
            raise GatewayError("The connection broke.", Fault.UNKNOWN) from None
        raise GatewayError("It cannot be reached.", Fault.LATER) from None


def _refused(code: int) -> GatewayError:
    """4xx passes, as a greylist does; 5xx stays (RFC 5321, 4.2.1)."""
    if 400 <= code < 500:
        return GatewayError(f"It put the mail off ({code}).", Fault.LATER, wait=60)
    return GatewayError(f"It refused the mail ({code}).", Fault.REFUSED)
