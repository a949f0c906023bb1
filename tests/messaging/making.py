"""Gateways and agreements to send by."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlmodel import Session

from tests.factories import Shop
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway
from walletsvc.people.consents.models import Consent, ConsentChannel, ConsentText, Purpose, Way


def add_gateway(
    session: Session, now: datetime, channel: Channel = Channel.SMS, **more: Any
) -> Gateway:
    config = {"price_per_segment": 350, "currency": "RUB"}
    values: dict[str, Any] = {"kind": "test", "label": "test", "config": json.dumps(config), **more}
    gateway = Gateway(channel=channel, created_at=now, **values)
    session.add(gateway)
    session.flush()
    return gateway


def agree(
    session: Session, shop: Shop, person_id: int, channel: ConsentChannel, now: datetime
) -> Consent:
    """A standing consent to advertising."""
    text = ConsentText(
        organisation_id=shop.organisation.id,
        purpose=Purpose.ADVERTISING,
        version=1,
        title={"ru": "Реклама"},
        body={"ru": "Согласен"},
        digest=b"1",
        actor="test",
        published_at=now,
    )
    session.add(text)
    session.flush()
    consent = Consent(
        person_id=person_id,
        text_id=text.id,
        purpose=Purpose.ADVERTISING,
        channel=channel,
        way=Way.PAGE,
        actor="test",
        given_at=now,
    )
    session.add(consent)
    session.flush()
    return consent
