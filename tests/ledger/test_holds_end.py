"""How holds end: captured, voided, over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.ledger.holding import MOMENT, QUARTER, available, held, lots_held
from tests.ledger.shop import Shop
from walletsvc.core.errors import (
    HoldClosed,
    InputError,
    Refused,
)
from walletsvc.ledger.holds import state_at
from walletsvc.ledger.models import HoldState, TransactionType
from walletsvc.merchants.models import Branch


def test_a_capture_takes_what_was_held_and_frees_the_rest(shop: Shop) -> None:
    """In part: the lots that end soonest pay, the others are as before."""
    account = shop.account()
    shop.credit(account, 50, expires_at=shop.days(60))
    shop.credit(account, 30, expires_at=shop.days(30))
    with shop.database.write_tx() as session:
        branch = Branch(organisation_id=shop.organisation_id, name="Арбат", created_at=shop.now)
        session.add(branch)
    made = shop.hold(account, 60, branch_id=branch.id)
    done = shop.capture(made, 35, reason="Receipt 4711")
    assert (done.type, done.branch_id, done.reason) == (
        TransactionType.CAPTURE,
        branch.id,
        "Receipt 4711",
    )
    assert (shop.balance(account), held(shop, account)) == (45, 0)
    assert (shop.remaining(account), lots_held(shop, account)) == ([45, 0], [0, 0])
    assert shop.all("SELECT state, captured, transaction_id, closed_at FROM holds") == [
        ("captured", 35, done.id, shop.now)
    ]
    assert shop.all(
        "SELECT a.code, e.amount FROM ledger_entries e JOIN accounts a ON a.id = e.account_id"
        " WHERE e.transaction_id = :t ORDER BY e.id",
        t=done.id,
    ) == [(None, -35), ("redemption", 35)]
    assert shop.differences() == []


def test_a_capture_in_full_leaves_nothing_held(shop: Shop) -> None:
    """The usual case: all that was held is taken."""
    account = shop.account()
    shop.credit(account, 50)
    shop.capture(shop.hold(account, 50))
    assert (shop.balance(account), held(shop, account), shop.remaining(account)) == (0, 0, [0])
    assert shop.differences() == []


def test_more_than_is_held_is_refused(shop: Shop) -> None:
    """The answer says how much is; the hold stays."""
    account = shop.account()
    shop.credit(account, 100)
    made = shop.hold(account, 40)
    before = shop.everything()
    with pytest.raises(Refused) as caught:
        shop.capture(made, 41)
    assert caught.value.data == {"held": 40}
    with pytest.raises(InputError):
        shop.capture(made, 0)
    assert shop.everything() == before


@pytest.mark.parametrize("end", ["capture", "part", "void", "time"])
def test_a_closed_hold_says_what_became_of_it(shop: Shop, end: str) -> None:
    """Neither captured nor voided again, and nothing moves; only voiding twice is no error."""
    account = shop.account()
    shop.credit(account, 100)
    made, later = shop.hold(account, 40), shop.now + timedelta(minutes=1)
    match end:
        case "capture":
            shop.capture(made)
        case "part":
            shop.capture(made, 1)
        case "void":
            shop.void(made)
        case "time":
            later = shop.now + QUARTER
    state = {"capture": "captured", "part": "captured", "void": "voided", "time": "expired"}[end]
    before = shop.everything()
    with pytest.raises(HoldClosed) as caught:
        shop.capture(made, now=later)
    assert caught.value.data == {"state": state}
    if end == "void":
        again = shop.void(made, now=later)
        assert (again.state, again.closed_at) == (HoldState.VOIDED, shop.now)
    else:
        with pytest.raises(HoldClosed) as caught:
            shop.void(made, now=later)
        assert caught.value.data == {"state": state}
    assert shop.everything() == before
    assert shop.differences() == []


def test_its_time_ends_a_hold_to_the_moment_without_any_job(shop: Shop) -> None:
    """A till that died locks nothing for longer than it asked for."""
    account = shop.account()
    shop.credit(account, 100)
    made = shop.hold(account, 100)
    last = made.expires_at - MOMENT
    assert available(shop, account, now=last) == 0
    assert state_at(made, last) is HoldState.ACTIVE
    assert state_at(made, made.expires_at) is HoldState.EXPIRED
    shop.debit(account, 100, now=made.expires_at)
    assert shop.all("SELECT state, closed_at FROM holds") == [("expired", made.expires_at)]
    assert (shop.balance(account), held(shop, account)) == (0, 0)
    assert shop.differences() == []


def test_the_last_moment_still_captures(shop: Shop) -> None:
    """Up to its end a hold is good."""
    account = shop.account()
    shop.credit(account, 100)
    made = shop.hold(account, 100)
    shop.capture(made, now=made.expires_at - MOMENT)
    assert shop.balance(account) == 0


def test_held_points_do_not_end_before_they_are_released(shop: Shop) -> None:
    """Their end came while they were held: they are taken, and what is released has ended."""
    account = shop.account()
    shop.credit(account, 50, expires_at=shop.now + timedelta(minutes=5))
    made = shop.hold(account, 50)
    now = shop.now + timedelta(minutes=10)
    shop.capture(made, 20, now=now)
    assert (shop.balance(account), shop.remaining(account)) == (30, [30])
    assert available(shop, account, now=now) == 0
    assert shop.differences() == []
