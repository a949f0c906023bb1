"""Which gateways carry the messages of an organisation by a channel, in their order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, or_, select

from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway


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


def open_gateways(session: Session, organisation_id: int, channel: Channel) -> list[Way]:
    """Those that are not closed: the organisation's own before those of all, each in the order
    that the operator gave them. One that is stopped is among them: it may be mended by then."""
    own = col(Gateway.organisation_id)
    found = session.exec(
        select(Gateway)
        .where(
            Gateway.channel == channel,
            col(Gateway.closed_at).is_(None),
            or_(own == organisation_id, own.is_(None)),
        )
        .order_by(own.is_(None), col(Gateway.position), col(Gateway.id))
    )
    return [Way(gateway, json.loads(gateway.config)) for gateway in found]
