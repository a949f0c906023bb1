"""Awaiting a call from a phone, through whatever gateway of an organisation can."""

from __future__ import annotations

from datetime import datetime

import structlog

from walletsvc.core.errors import ConfigurationError
from walletsvc.messaging.choosing import open_gateways
from walletsvc.messaging.gateways import adapter_of
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.protocol import CallGateway, GatewayError, Waiting
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)


def possible(database: Database, organisation_id: int) -> bool:
    """Whether there is a gateway that can await calls."""
    with database.read_tx() as session:
        return bool(open_gateways(session, organisation_id, Channel.CALL))


def begin(database: Database, *, organisation_id: int, phone: str, now: datetime) -> Waiting | None:
    """Await a call from `phone` (E.164); None when no gateway can at the moment.

    It asks the network: call it outside of transactions.
    """
    with database.read_tx() as session:
        ways = open_gateways(session, organisation_id, Channel.CALL)
    for way in ways:
        try:
            adapter = adapter_of(way.gateway)
            if isinstance(adapter, CallGateway):
                return adapter.begin(phone, now)
        except (GatewayError, ConfigurationError) as error:
            log.warning(
                "a call cannot be awaited", gateway=way.gateway.public_id, reason=error.detail
            )
    return None
