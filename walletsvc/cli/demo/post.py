"""The demo's accounts at the emulated SMS and mail providers, and who calls whose webhooks."""

from __future__ import annotations

from typing import Any

import requests

from walletsvc.app import Installation
from walletsvc.cli.emulate import sms_url
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import ConfigurationError
from walletsvc.emulators import mail, sms
from walletsvc.messaging import hooks
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway
from walletsvc.messaging.service import add_gateway, close_gateway, list_gateways

_PRICE = {"price_per_segment": 350}


def open_accounts(installation: Installation) -> None:
    """SMS through one provider and, when that fails, another; calls; mail. An earlier demo's
    accounts are closed: its emulators had other ports, perhaps. The emulators must be at work."""
    port = installation.settings.emulator_port
    with installation.database.write_tx() as session:
        for old in list_gateways(session):
            close_gateway(session, old.public_id, utcnow())
        gateways = [
            add_gateway(session, kind=kind, values=values, position=position, now=utcnow())
            for position, (kind, values) in enumerate(_accounts(port))
        ]
    for gateway in gateways:
        if gateway.channel is not Channel.EMAIL:
            _tell(port, gateway, installation.settings.base_url)


def _accounts(port: int) -> list[tuple[str, dict[str, Any]]]:
    url = {"url": sms_url(port)}
    return [
        ("smsc", {**sms.ACCOUNTS["smsc"], **url, **_PRICE}),
        ("smsaero", {**sms.ACCOUNTS["smsaero"], **url, **_PRICE}),
        ("smsru-call", {**sms.ACCOUNTS["smsru"], **url}),
        (
            "smtp",
            {
                **mail.ACCOUNT,
                "host": "127.0.0.1",
                "port": port + 4,
                "security": "none",
                "sender": f"walletsvc demo <cards@{mail.DOMAIN}>",
            },
        ),
    ]


def _tell(port: int, gateway: Gateway, base_url: str) -> None:
    """Enter our webhooks into the account's settings there."""
    ours = f"{base_url}/hooks/messages/{gateway.public_id}/{gateway.hook_secret}"
    whats = hooks.WHATS[2:] if gateway.channel is Channel.CALL else hooks.WHATS[:2]
    told = {
        "gateway": gateway.kind.removesuffix("-call"),
        **{each: f"{ours}/{each}" for each in whats},
    }
    try:
        requests.post(f"{sms_url(port)}/_/hooks", json=told, timeout=5).raise_for_status()
    except requests.RequestException as error:
        raise ConfigurationError("The emulator of SMS providers does not answer.") from error
