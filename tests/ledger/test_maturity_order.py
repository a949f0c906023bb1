"""Which of several points for later repays a debt does not depend on when somebody looked."""

from __future__ import annotations

import pytest

from tests.ledger.shop import Shop
from walletsvc.ledger import due


@pytest.mark.parametrize("job", ["in time", "late", "never"])
def test_points_repay_debt_in_the_order_in_which_they_become_available(
    shop: Shop, job: str
) -> None:
    """The lot that is due first repays first, though the other ends sooner."""
    account = shop.account(min_balance=-100)
    shop.debit(account, 30)
    shop.credit(account, 30, available_from=shop.days(1), expires_at=shop.days(9))
    shop.credit(account, 30, available_from=shop.days(2), expires_at=shop.days(5))
    for day in {"in time": (1, 2), "late": (3,), "never": ()}[job]:
        due.settle_all(shop.database, shop.days(day))
    told = shop.explain(account).at(shop.days(3))
    assert [(lot.remaining, lot.expires_at) for lot in told.lots] == [(30, shop.days(5))]
    shop.debit(account, 1, now=shop.days(3))
    assert (shop.balance(account), shop.remaining(account)) == (29, [0, 29])
    assert shop.differences() == []
