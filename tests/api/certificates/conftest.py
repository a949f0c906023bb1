"""The shop of these tests."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.api.certificates.holder import Gifts
from tests.api.conftest import Api
from tests.certificates.shop import gift_programme
from walletsvc.merchants.acceptance import accept


@pytest.fixture
def gifts(api: Api, now: datetime) -> Gifts:
    """A gift programme of the first shop, accepted by the other."""
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, now)
        accept(
            session,
            api.shop.organisation,
            api.other.organisation,
            points=False,
            certificates=True,
            now=now,
        )
    return Gifts(api, api.key(shop=api.other), api.key(branch_id=api.branch.id))
