"""What is reserved, and by whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.ledger.shop import Shop
from walletsvc.core.errors import (
    InsufficientFunds,
)
from walletsvc.merchants.models import Organisation

QUARTER = timedelta(minutes=15)


def held(shop: Shop, account: int) -> int:
    """What the account's row says is held."""
    return int(shop.all("SELECT held FROM accounts WHERE id = :a", a=account)[0][0])


def lots_held(shop: Shop, account: int) -> list[int]:
    """How much of each lot is held, oldest lot first."""
    rows = shop.all("SELECT held FROM lots WHERE account_id = :a ORDER BY id", a=account)
    return [row[0] for row in rows]


def available(shop: Shop, account: int, **kwargs: Any) -> int:
    """What a debit that is far too large says could be taken."""
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 10**12, **kwargs)
    return int(caught.value.data["available"])


def other_organisation(shop: Shop) -> int:
    """A second organisation."""
    with shop.database.write_tx() as session:
        other = Organisation(slug="hotel", name="Отель", created_at=shop.now)
        session.add(other)
        session.flush()
        return other.id


MOMENT = timedelta(microseconds=1)
