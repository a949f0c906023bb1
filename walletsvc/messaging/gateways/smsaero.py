"""SMS Aero (smsaero.ru), API v2: JSON over HTTP Basic, one address per message for its news.

It knows no id of ours, so a request without an answer may have sent the message.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, SecretStr

from walletsvc.core.errors import InputError
from walletsvc.messaging.http import BaseUrl, ask, minor_units
from walletsvc.messaging.protocol import (
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
)
from walletsvc.people.rules import normalise_phone

# 0 queued, 1 delivered, 2 not delivered, 3 handed on, 4 waiting for news, 6 rejected, 8 moderated.
_FATES: Final = {"1": Fate.DELIVERED, "2": Fate.FAILED, "6": Fate.FAILED}
_REFUSALS: Final = frozenset({400, 402, 404, 422})


class SmsAeroConfig(GatewayConfig):
    """The account at SMS Aero."""

    email: str = Field(min_length=3, max_length=254, description="The log-in.")
    api_key: SecretStr = Field(min_length=8, description="The key from the account's settings.")
    sign: str = Field(default="SMS Aero", max_length=20, description="The sender's name.")
    url: BaseUrl = Field(default="https://gate.smsaero.ru", description="Where its API is.")


class SmsAero(SmsGateway):
    """SMS through SMS Aero."""

    kind = "smsaero"
    label = "SMS Aero"
    Config = SmsAeroConfig

    def __init__(self, config: SmsAeroConfig) -> None:
        self._config = config

    def send(self, message: Outgoing) -> Sent:
        """Hand an SMS over."""
        wanted = {
            "number": message.to.lstrip("+"),
            "text": message.text,
            "sign": self._config.sign,
        }
        if message.status_url:
            wanted |= {"callbackUrl": message.status_url, "callbackFormat": "JSON"}
        data = self._ask("sms/send", wanted)
        first = data[0] if isinstance(data, list) and data else data
        if not isinstance(first, dict) or "id" not in first:
            raise GatewayError("Its answer names no message.", Fault.UNKNOWN)
        if str(first.get("status")) == "6":
            raise GatewayError("It rejected the message.", Fault.REFUSED)
        return Sent(str(first["id"]), minor_units(first.get("cost")))

    def ask(self, external_id: str, phone: str) -> Status:  # noqa: ARG002
        """Ask what became of one that it has."""
        data = self._ask("sms/status", {"id": external_id})
        return _status(external_id, str(data.get("status")) if isinstance(data, dict) else "")

    def ping(self) -> str:
        """The balance."""
        data = self._ask("balance", {})
        return f"balance {data['balance']}" if isinstance(data, dict) else "it answers"

    def parse_status(self, hook: Hook) -> list[Status]:
        """One message's news per call."""
        external_id, status = hook.first("id"), hook.first("status")
        if not external_id or not status:
            return []
        return [_status(external_id, status)]

    def parse_inbound(self, hook: Hook) -> list[Inbound]:
        """What somebody wrote to the number that was rented there."""
        text, phone = hook.first("text"), hook.first("from") or hook.first("number")
        if not text or not phone or hook.first("status"):
            return []
        try:
            return [Inbound(hook.first("id"), normalise_phone("+" + phone.lstrip("+")), text)]
        except InputError:
            return []  # from a name, not from a phone

    def _ask(self, path: str, wanted: dict[str, str]) -> Any:
        key = self._config.api_key.get_secret_value()
        answer = ask(
            f"{self._config.url}/v2/{path}",
            json=wanted,
            auth=(self._config.email, key),
            refusals=_REFUSALS,
        )
        if not isinstance(answer, dict):
            raise GatewayError("Its answer cannot be read.", Fault.UNKNOWN)
        if not answer.get("success"):
            raise _refusal(answer)
        return answer.get("data")


def _status(external_id: str, status: str) -> Status:
    fate = _FATES.get(status, Fate.UNDER_WAY)
    return Status(external_id, fate, f"status {status}" if fate is Fate.FAILED else "")


def _refusal(answer: dict[str, Any]) -> GatewayError:
    """What it says is text for people, with our data in it: it is read and not passed on."""
    said = f"{answer.get('message')} {answer.get('result')} {answer.get('reason')}".lower()
    if "no credits" in said or "balance" in said or "enough" in said or "недостаточно" in said:
        return GatewayError("The account there has run out of money.", Fault.CONFIGURATION)
    if "auth" in said or "sign" in said or "подпис" in said:
        return GatewayError("It does not accept the key or the sender's name.", Fault.CONFIGURATION)
    if "often" in said or "limit" in said:
        return GatewayError("It was asked too often.", Fault.LATER, wait=30)
    return GatewayError("It refused the message.", Fault.REFUSED)
