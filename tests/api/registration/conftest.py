"""What these tests stand on."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api
from tests.messaging.making import add_gateway
from walletsvc.messaging.kinds import Channel


@pytest.fixture(autouse=True)
def _gateways(api: Api) -> None:
    """Somebody carries messages."""
    with api.database.write_tx() as session:
        for channel in (Channel.SMS, Channel.EMAIL):
            add_gateway(session, api.now, channel)
