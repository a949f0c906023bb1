"""Which gateways carry the messages of an organisation by a channel, in their order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session

from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway
from walletsvc.storage.rows import Read
from walletsvc.storage.statement import Statement

_OPEN: Final = Read(
    Gateway,
    """
    WHERE channel = :channel AND closed_at IS NULL
      AND (organisation_id = :organisation OR organisation_id IS NULL)
    ORDER BY organisation_id IS NULL, position, id
    """,
)


_CHANNELS: Final = Statement("""
SELECT DISTINCT channel FROM gateways
 WHERE closed_at IS NULL AND (organisation_id = :organisation OR organisation_id IS NULL)
""")


@dataclass(frozen=True, slots=True)
class Way:
    """A gateway as messages see it: who carries them, and for how much."""

    gateway: Gateway
    config: dict[str, Any]

    @property
    def currency(self) -> str:
        """What its prices are in."""
        return str(self.config.get("currency", "RUB"))

    def price_of(self, segments: int) -> int:
        """What so many segments cost, in minor units; nothing where nobody told the price."""
        return segments * int(self.config.get("price_per_segment", 0))


def open_channels(session: Session, organisation_id: int) -> set[Channel]:
    """The channels for which `open_gateways` finds any."""
    rows = _CHANNELS.all(session, {"organisation": organisation_id})
    return {Channel(row.channel) for row in rows}


def open_gateways(session: Session, organisation_id: int, channel: Channel) -> list[Way]:
    """Those that are not closed: the organisation's own before those of all, each in the order
    that the operator gave them. One that is stopped is among them: it may be mended by then."""
    found = _OPEN.all(session, organisation=organisation_id, channel=channel.value)
    return [Way(gateway, json.loads(gateway.config)) for gateway in found]
