"""Message gateways: each is asked whether its account works."""

from __future__ import annotations

from collections.abc import Iterator

from walletsvc.app import Installation
from walletsvc.cli.doctor.findings import Finding
from walletsvc.core.errors import ConfigurationError
from walletsvc.messaging import readiness, service
from walletsvc.messaging.gateways import adapter_of
from walletsvc.messaging.protocol import GatewayError


def examine(installation: Installation) -> Iterator[Finding]:
    """What there is to say of each gateway, and of messages that wait."""
    with installation.database.read_tx() as session:
        gateways = service.list_gateways(session)
        warnings = list(readiness.warnings(session, installation.clock()))
    if not gateways:
        yield Finding("messages", "no gateway: no codes and no links are sent (gateways add)")
    for gateway in gateways:
        about = f"{gateway.channel} gateway"
        try:
            yield Finding(about, f"{gateway.label}: {adapter_of(gateway).ping()}")
        except (GatewayError, ConfigurationError) as error:
            remedy = f"See `walletsvc gateways test {gateway.public_id}`."
            yield Finding(about, f"{gateway.label}: {error.detail} {remedy}", problem=True)
    for warning in warnings:
        yield Finding("messages", warning, problem=True)
