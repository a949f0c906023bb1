"""SMSC (smsc.ru, smsc.kz): forms to `/sys/*.php`, answers in JSON (`fmt=3`).

It takes our number for a message (`id`), by which it can be asked whether it has the message: after
a request without an answer that is done first. It also awaits calls (`wait_call`).
"""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import Field, SecretStr

from walletsvc.core.errors import InputError
from walletsvc.messaging.http import BaseUrl, ask, minor_units
from walletsvc.messaging.protocol import (
    Call,
    CallGateway,
    Fate,
    Fault,
    GatewayConfig,
    GatewayError,
    Hook,
    Inbound,
    Outgoing,
    Sent,
    SmsGateway,
    Status,
    Waiting,
)
from walletsvc.people.rules import normalise_phone

# How long it waits for a call is not documented; a person has that long to make it.
CALL_TIME: Final = timedelta(minutes=5)

# -3 no such message, -1 waits, 0 handed on, 1 delivered, 2 read, 3 expired, 4 the link was opened,
# 20 cannot be delivered, 22 wrong number, 23 forbidden, 24 no money, 25 unreachable number.
_DELIVERED: Final = frozenset({"1", "2", "4"})
_FAILED: Final = frozenset({"3", "20", "22", "23", "24", "25"})
_NOT_FOUND: Final = "-3"
_ERRORS: Final = {
    1: ("It finds a parameter wrong.", Fault.REFUSED),
    2: ("It does not accept the log-in.", Fault.CONFIGURATION),
    3: ("The account there has run out of money.", Fault.CONFIGURATION),
    4: ("It has blocked our address after too many failures.", Fault.LATER),
    5: ("It finds the date wrong.", Fault.REFUSED),
    6: ("It forbids the text or the sender's name.", Fault.REFUSED),
    7: ("It finds the phone wrong.", Fault.REFUSED),
    8: ("The message cannot be delivered to this phone.", Fault.REFUSED),
    9: ("It was asked too often, or for the same again.", Fault.LATER),
}
_TOO_OFTEN_SECONDS: Final = 60.0


class SmscConfig(GatewayConfig):
    """The account at SMSC: an API key, or log-in and password."""

    login: str = Field(default="", max_length=80, description="The log-in, when without a key.")
    password: SecretStr = Field(default=SecretStr(""), description="Its password for the API.")
    api_key: SecretStr = Field(default=SecretStr(""), description="A key instead of both.")
    sender: str = Field(default="", max_length=15, description="The sender's name; empty: theirs.")
    url: BaseUrl = Field(default="https://smsc.ru", description="Where its API is.")


def _ask(config: SmscConfig, path: str, form: dict[str, str]) -> dict[str, Any]:
    key = config.api_key.get_secret_value()
    who = (
        {"apikey": key}
        if key
        else {"login": config.login, "psw": config.password.get_secret_value()}
    )
    answer = ask(
        f"{config.url}/sys/{path}.php", form={**who, "fmt": "3", "charset": "utf-8", **form}
    )
    if not isinstance(answer, dict):
        raise GatewayError("Its answer cannot be read.", Fault.UNKNOWN)
    if "error_code" in answer or "error" in answer:
        raise _error(answer)
    return answer


def _error(answer: dict[str, Any]) -> GatewayError:
    """The code decides; its text may hold our data and is not passed on."""
    try:
        code = int(answer.get("error_code", 0))
    except ValueError:
        code = 0
    text, fault = _ERRORS.get(code, (f"It refused (error {code}).", Fault.REFUSED))
    wait = _TOO_OFTEN_SECONDS if fault is Fault.LATER else 0.0
    return GatewayError(text, fault, wait=wait)


def _ping(config: SmscConfig) -> str:
    answer = _ask(config, "balance", {})
    return f"balance {answer.get('balance', '?')}"


class Smsc(SmsGateway):
    """SMS through SMSC."""

    kind = "smsc"
    label = "SMSC"
    Config = SmscConfig
    repeats_safely = True

    def __init__(self, config: SmscConfig) -> None:
        self._config = config

    def send(self, message: Outgoing) -> Sent:
        """Hand an SMS over."""
        number = own_number(message.message_id)
        if message.again and self._has(str(number), message.to):
            return Sent(str(number))
        form = {"phones": message.to, "mes": message.text, "id": str(number), "cost": "3"}
        if self._config.sender:
            form["sender"] = self._config.sender
        answer = _ask(self._config, "send", form)
        count = str(answer.get("cnt"))
        return Sent(
            str(answer.get("id", number)),
            minor_units(answer.get("cost")),
            int(count) if count.isdigit() else None,
        )

    def ask(self, external_id: str, phone: str) -> Status:
        """Ask what became of one that it has."""
        answer = _ask(self._config, "status", {"id": external_id, "phone": phone})
        return _status(external_id, str(answer.get("status")), str(answer.get("err") or ""))

    def _has(self, number: str, phone: str) -> bool:
        answer = _ask(self._config, "status", {"id": number, "phone": phone})
        return str(answer.get("status")) != _NOT_FOUND

    def ping(self) -> str:
        """The balance."""
        return _ping(self._config)

    def parse_status(self, hook: Hook) -> list[Status]:
        """One message's news per call."""
        external_id, status = hook.first("id"), hook.first("status")
        if not external_id or not status or hook.first("mes"):
            return []
        return [_status(external_id, status, hook.first("err"))]

    def parse_inbound(self, hook: Hook) -> list[Inbound]:
        """What somebody wrote to the number that was rented there."""
        text, phone = hook.first("mes"), _phone(hook.first("phone"))
        return [Inbound(hook.first("id"), phone, text)] if text and phone else []


class SmscCall(CallGateway):
    """Calls from phones, awaited by SMSC."""

    kind = "smsc-call"
    label = "SMSC, incoming call"
    Config = SmscConfig

    def __init__(self, config: SmscConfig) -> None:
        self._config = config

    def begin(self, phone: str, now: datetime) -> Waiting:
        """Await a call from this phone; SMSC has no id for it: whoever asks waits for the same."""
        answer = _ask(self._config, "wait_call", {"phone": phone})
        call_to = _phone(str(answer.get("phone", "")))
        if not call_to:
            raise GatewayError("Its answer names no number to call.", Fault.LATER)
        return Waiting(call_to, "", now + CALL_TIME)

    def ping(self) -> str:
        """The balance."""
        return _ping(self._config)

    def parse_call(self, hook: Hook) -> list[Call]:
        """A call. SMSC sends news of deliveries and messages to the same address, which name the
        phone as well: whatever has the marks of those is no call."""
        if hook.first("status") or hook.first("mes") or hook.first("id"):
            return []
        phone = _phone(hook.first("phone"))
        return [Call("", phone)] if phone else []


def own_number(message_id: str) -> int:
    """Our number for a message, from 1 to 2^31 - 1 as SMSC wants it; the same each time."""
    return zlib.crc32(message_id.encode()) % 2_147_483_647 + 1


def _status(external_id: str, status: str, reason: str) -> Status:
    if status in _DELIVERED:
        return Status(external_id, Fate.DELIVERED)
    if status in _FAILED:
        return Status(external_id, Fate.FAILED, f"status {status}, error {reason or '0'}")
    return Status(external_id, Fate.UNDER_WAY)


def _phone(text: str) -> str:
    try:
        return normalise_phone("+" + text.lstrip("+")) if text else ""
    except InputError:
        return ""
