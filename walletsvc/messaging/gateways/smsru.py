"""sms.ru: forms with the account's `api_id`, answers in JSON, news and calls to one address.

It refuses the same text to the same phone within a minute (code 231), which tells, when a message
is tried again soon, that it did arrive. Its webhooks are signed with the `api_id`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import Field, SecretStr

from walletsvc.core.errors import InputError, Unauthenticated
from walletsvc.messaging.http import BaseUrl, ask, minor_units
from walletsvc.messaging.protocol import (
    Call,
    CallGateway,
    Fate,
    Fault,
    GatewayConfig,
    GatewayError,
    Hook,
    Outgoing,
    Sent,
    SmsGateway,
    Status,
    Waiting,
)
from walletsvc.people.rules import normalise_phone

CALL_TIME: Final = timedelta(minutes=5)  # as documented

_DELIVERED: Final = frozenset({"103", "110"})  # received, read
_CONFIGURATION: Final = frozenset({200, 201, 204, 212, 300, 301, 302, 303, 304, 305})
_LATER: Final = frozenset({206, 220, 230, 500, 501, 502, 503})
_REPEATED: Final = 231
_WORDS: Final = {
    200: "It does not accept the api_id.",
    201: "The account there has run out of money.",
    202: "It finds the phone wrong.",
    203: "It finds no text.",
    204: "The sender's name is not agreed with the operator.",
    205: "The text is too long for it.",
    207: "It has no way to this phone.",
    209: "The phone is in its stop list.",
    214: "The phone is abroad, which the account does not allow.",
    216: "The text holds a forbidden word.",
    220: "It is out of order.",
    230: "Too many messages to this phone today.",
    231: "The same message to this phone a minute ago.",
    232: "The same message to this phone too often today.",
}
_CONFIRMED: Final = "401"
_ENTRY: Final = re.compile(r"data\[([0-9]{1,3})\]")


class SmsRuConfig(GatewayConfig):
    """The account at sms.ru."""

    api_id: SecretStr = Field(min_length=8, description="The api_id on the account's first page.")
    sender: str = Field(default="", max_length=15, description="The sender's name; empty: theirs.")
    url: BaseUrl = Field(default="https://sms.ru", description="Where its API is.")


def _ask(config: SmsRuConfig, path: str, form: dict[str, str]) -> dict[str, Any]:
    key = config.api_id.get_secret_value()
    answer = ask(f"{config.url}/{path}", form={"api_id": key, "json": "1", **form})
    if not isinstance(answer, dict):
        raise GatewayError("Its answer cannot be read.", Fault.UNKNOWN)
    _check(answer)
    return answer


def _check(answer: Any) -> None:
    """Raise what an answer, or the part of it about one message, refuses."""
    if isinstance(answer, dict) and answer.get("status") == "OK":
        return
    try:
        code = int(answer["status_code"])
    except (KeyError, TypeError, ValueError):
        raise GatewayError("Its answer cannot be read.", Fault.UNKNOWN) from None
    text = _WORDS.get(code, f"It refused (code {code}).")
    if code == _REPEATED:
        raise GatewayError(text, Fault.REPEATED)
    if code in _CONFIGURATION:
        raise GatewayError(text, Fault.CONFIGURATION)
    if code in _LATER:
        raise GatewayError(text, Fault.LATER, wait=60)
    raise GatewayError(text, Fault.REFUSED)


def _ping(config: SmsRuConfig) -> str:
    return f"balance {_ask(config, 'my/balance', {}).get('balance', '?')}"


def _entries(config: SmsRuConfig, hook: Hook) -> list[list[str]]:
    """What a webhook tells, each as its lines; raises Unauthenticated when it is not signed with
    our `api_id`."""
    data = hook.fields.get("data[]") or hook.fields.get("data") or []
    if not data:
        numbered = {
            int(found[1]): name for name in hook.fields if (found := _ENTRY.fullmatch(name))
        }
        data = [hook.first(numbered[each]) for each in sorted(numbered)]
    key = config.api_id.get_secret_value()
    expected = hashlib.sha256((key + "".join(data)).encode()).hexdigest()
    if data and not hmac.compare_digest(expected, hook.first("hash").lower()):
        raise Unauthenticated("The webhook is not signed with the account's api_id.")
    return [entry.split("\n") for entry in data]


class SmsRu(SmsGateway):
    """SMS through sms.ru."""

    kind = "smsru"
    label = "sms.ru"
    Config = SmsRuConfig
    thanks = "100"

    def __init__(self, config: SmsRuConfig) -> None:
        self._config = config

    def send(self, message: Outgoing) -> Sent:
        """Hand an SMS over."""
        form = {"to": message.to.lstrip("+"), "msg": message.text}
        if self._config.sender:
            form["from"] = self._config.sender
        answer = _ask(self._config, "sms/send", form)
        about = _about(answer)
        _check(about)
        return Sent(str(about.get("sms_id", "")), minor_units(about.get("cost")))

    def ask(self, external_id: str, phone: str) -> Status:  # noqa: ARG002
        """Ask what became of one that it has."""
        answer = _ask(self._config, "sms/status", {"sms_id": external_id})
        about = _about(answer)
        return _status(external_id, str(about.get("status_code")))

    def ping(self) -> str:
        """The balance."""
        return _ping(self._config)

    def parse_status(self, hook: Hook) -> list[Status]:
        """Up to a hundred messages' news per call."""
        return [
            _status(entry[1], entry[2])
            for entry in _entries(self._config, hook)
            if entry[0] == "sms_status" and len(entry) > 2
        ]


class SmsRuCall(CallGateway):
    """Calls from phones, awaited by sms.ru."""

    kind = "smsru-call"
    label = "sms.ru, incoming call"
    Config = SmsRuConfig
    thanks = "100"

    def __init__(self, config: SmsRuConfig) -> None:
        self._config = config

    def begin(self, phone: str, now: datetime) -> Waiting:
        """Await a call from this phone."""
        answer = _ask(self._config, "callcheck/add", {"phone": phone.lstrip("+")})
        try:
            call_to = normalise_phone("+" + str(answer["call_phone"]).lstrip("+"))
            return Waiting(call_to, str(answer["check_id"]), now + CALL_TIME)
        except (KeyError, InputError):
            raise GatewayError("Its answer names no number to call.", Fault.LATER) from None

    def ping(self) -> str:
        """The balance."""
        return _ping(self._config)

    def parse_call(self, hook: Hook) -> list[Call]:
        """Calls that came in time; they are told by their id alone."""
        return [
            Call(entry[1])
            for entry in _entries(self._config, hook)
            if entry[0] == "callcheck_status" and len(entry) > 2 and entry[2] == _CONFIRMED
        ]


def _about(answer: dict[str, Any]) -> dict[str, Any]:
    """The part of an answer about the one message that was asked for."""
    parts = answer.get("sms")
    found = next(iter(parts.values()), None) if isinstance(parts, dict) else None
    return found if isinstance(found, dict) else {}


def _status(external_id: str, code: str) -> Status:
    if code in _DELIVERED:
        return Status(external_id, Fate.DELIVERED)
    # 104 to 108 and 150: too late, deleted, the phone failed, unknown, rejected, no route.
    if code.isdigit() and (104 <= int(code) <= 108 or int(code) == 150):
        return Status(external_id, Fate.FAILED, f"status {code}")
    return Status(external_id, Fate.UNDER_WAY)
