"""Holds: what is reserved, what is taken of it, and that its time ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.ledger.holding import MOMENT, QUARTER, available, held, lots_held, other_organisation
from tests.ledger.shop import Shop
from walletsvc.core.actor import SYSTEM, Actor
from walletsvc.core.errors import (
    Conflict,
    HoldClosed,
    InputError,
    InsufficientFunds,
    NotFound,
    Refused,
)
from walletsvc.ledger import service
from walletsvc.ledger.holds import LONGEST, SHORTEST
from walletsvc.ledger.models import Account, AccountKind, Hold, HoldState


def test_a_hold_reserves_the_lots_that_end_soonest(shop: Shop) -> None:
    """The balance stays, and nobody else can spend what is held."""
    account = shop.account()
    shop.credit(account, 50, expires_at=shop.days(60))
    shop.credit(account, 30, expires_at=shop.days(30))
    made = shop.hold(account, 40, actor=Actor("till", "7"), reason="Receipt 4711")
    assert (made.state, made.amount, made.captured) == (HoldState.ACTIVE, 40, 0)
    assert (made.actor, made.reason) == ("till:7", "Receipt 4711")
    assert (made.created_at, made.expires_at) == (shop.now, shop.now + QUARTER)
    assert (shop.balance(account), held(shop, account)) == (80, 40)
    assert lots_held(shop, account) == [10, 30]
    assert available(shop, account) == 40
    shop.debit(account, 40)
    assert shop.remaining(account) == [10, 30]
    assert shop.differences() == []


def test_two_holds_share_a_lot_and_not_a_point(shop: Shop) -> None:
    """The second gets what the first left."""
    account = shop.account()
    shop.credit(account, 100)
    first = shop.hold(account, 60)
    with pytest.raises(InsufficientFunds) as caught:
        shop.hold(account, 41)
    assert caught.value.data == {"available": 40}
    second = shop.hold(account, 40)
    assert available(shop, account) == 0
    shop.capture(first)
    shop.void(second)
    assert (shop.balance(account), held(shop, account)) == (40, 0)
    assert shop.differences() == []


def test_a_hold_never_reaches_into_debt_nor_into_ended_points(shop: Shop) -> None:
    """Leave for debt is for debits; points past their end cannot be promised."""
    account = shop.account(min_balance=-500)
    shop.credit(account, 30, expires_at=shop.days(1))
    shop.credit(account, 20)
    for now, most in ((shop.now, 50), (shop.days(1), 20)):
        with pytest.raises(InsufficientFunds) as caught:
            shop.hold(account, most + 1, now=now)
        assert caught.value.data == {"available": most}
    debtor = shop.account(min_balance=-500)
    shop.debit(debtor, 10)
    with pytest.raises(InsufficientFunds) as caught:
        shop.hold(debtor, 1)
    assert caught.value.data == {"available": 0}
    assert shop.differences() == []


def test_while_anything_is_held_there_is_no_debt(shop: Shop) -> None:
    """Debt beside held points would make lots and balance disagree."""
    account = shop.account(min_balance=-500)
    shop.credit(account, 50)
    made = shop.hold(account, 20)
    assert available(shop, account) == 30
    shop.void(made)
    assert available(shop, account) == 550


def test_due_points_can_be_held_at_once(shop: Shop) -> None:
    """What became available is reserved without waiting for a job."""
    account = shop.account()
    shop.credit(account, 50, available_from=shop.days(1))
    with pytest.raises(InsufficientFunds):
        shop.hold(account, 1)
    shop.capture(shop.hold(account, 50, now=shop.days(1)), now=shop.days(1))
    assert shop.balance(account) == 0
    assert shop.differences() == []


@pytest.mark.parametrize("length", [SHORTEST - MOMENT, LONGEST + MOMENT, -SHORTEST])
def test_too_short_and_too_long_holds_are_refused(shop: Shop, length: timedelta) -> None:
    """Nothing is locked for days, and nothing for so short that no payment fits in."""
    account = shop.account()
    shop.credit(account, 50)
    before = shop.everything()
    with pytest.raises(InputError) as caught:
        shop.hold(account, 1, expires_at=shop.now + length)
    assert caught.value.fields[0].field == "expires_at"
    assert shop.everything() == before


@pytest.mark.parametrize("length", [SHORTEST, LONGEST])
def test_the_limits_themselves_are_allowed(shop: Shop, length: timedelta) -> None:
    """One minute and twenty-four hours are times as good as any."""
    account = shop.account()
    shop.credit(account, 50)
    assert shop.hold(account, 1, expires_at=shop.now + length).expires_at == shop.now + length


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"amount": 0}, "amount"), ({"amount": -5}, "amount"), ({"reason": "x" * 201}, "reason")],
)
def test_bad_input_names_its_field(shop: Shop, changes: dict[str, Any], field: str) -> None:
    """As with every other verb."""
    account = shop.account()
    shop.credit(account, 50)
    given = {"amount": 1} | changes
    with pytest.raises(InputError) as caught:
        shop.hold(account, given.pop("amount"), **given)
    assert caught.value.fields[0].field == field


def test_unknown_holds_and_accounts_are_not_found(shop: Shop) -> None:
    """Whatever is asked of them."""
    with pytest.raises(NotFound):
        shop.hold(10**9, 1)
    account = shop.account()
    shop.credit(account, 10)
    made = shop.hold(account, 1)
    made.id += 1000
    with pytest.raises(NotFound):
        shop.capture(made)
    with pytest.raises(NotFound):
        shop.void(made)


def test_certificates_are_held_without_lots(shop: Shop) -> None:
    """Money has no dates; what is held of it is out of reach all the same."""
    account = shop.certificate()
    sold = shop.credit(account, 1_000)
    made = shop.hold(account, 700)
    assert available(shop, account) == 300
    with pytest.raises(InsufficientFunds) as caught:
        shop.hold(account, 301)
    assert caught.value.data == {"available": 300}
    with pytest.raises(InsufficientFunds) as caught:
        shop.reverse(sold)
    assert caught.value.data == {"available": 300}
    shop.capture(made, 500)
    assert (shop.balance(account), held(shop, account)) == (500, 0)
    assert shop.all("SELECT count(*) FROM hold_lots") == [(0,)]
    assert shop.differences() == []


def test_a_capture_elsewhere_is_owed_between_the_organisations(shop: Shop) -> None:
    """The issuer owes the organisation that reserved; undoing it clears the debt."""
    other = other_organisation(shop)
    account = shop.account()
    shop.credit(account, 100)
    done = shop.capture(shop.hold(account, 60, acceptor_id=other), 50)
    owed = (
        "SELECT a.organisation_id, a.code, sum(e.amount)::int FROM ledger_entries e"
        " JOIN accounts a ON a.id = e.account_id AND a.code IN ('inter-organisation', 'redemption')"
        " GROUP BY a.id ORDER BY a.organisation_id, a.code"
    )
    assert shop.all(owed) == [
        (shop.organisation_id, "inter-organisation", 50),
        (other, "inter-organisation", -50),
        (other, "redemption", 50),
    ]
    shop.reverse(done, amount=20)
    assert [row[2] for row in shop.all(owed)] == [30, -30, 30]
    assert (shop.balance(account), shop.remaining(account)) == (70, [70])
    assert shop.differences() == []


def test_a_captured_transaction_is_undone_like_a_debit(shop: Shop) -> None:
    """Into the very lots, in parts, and never more than was taken."""
    account = shop.account()
    shop.credit(account, 30, expires_at=shop.days(30))
    shop.credit(account, 30, expires_at=shop.days(60))
    done = shop.capture(shop.hold(account, 50), 40)
    shop.reverse(done, amount=5)
    assert shop.remaining(account) == [0, 25]
    with pytest.raises(Refused) as caught:
        shop.reverse(done, amount=36)
    assert caught.value.data == {"reversible": 35}
    shop.reverse(done)
    assert shop.remaining(account) == [30, 30]
    assert shop.differences() == []


def test_a_credit_whose_points_are_held_is_not_taken_back(shop: Shop) -> None:
    """What somebody was promised stays; the rest can go."""
    account = shop.account(min_balance=-100)
    given = shop.credit(account, 50)
    made = shop.hold(account, 30)
    with pytest.raises(InsufficientFunds) as caught:
        shop.reverse(given)
    assert caught.value.data == {"available": 20}
    shop.reverse(given, amount=20)
    shop.capture(made)
    assert (shop.balance(account), shop.remaining(account)) == (0, [0])
    assert shop.differences() == []


def test_holds_follow_an_account_to_its_heir(shop: Shop) -> None:
    """A till that read the card a moment before its account was merged still works."""
    former, heir = shop.account(), shop.account()
    shop.credit(former, 10)
    closed = shop.hold(former, 10)
    shop.capture(closed)
    shop.credit(heir, 50)
    shop.merge(former, heir)
    made = shop.hold(former, 20)
    assert made.account_id == heir
    shop.capture(made)
    assert (shop.balance(heir), held(shop, heir)) == (30, 0)
    with pytest.raises(HoldClosed):
        shop.capture(closed)
    assert shop.differences() == []


def test_a_closed_account_holds_nothing(shop: Shop) -> None:
    """There is nobody to reserve for."""
    account = shop.account()
    shop.credit(account, 10)
    with shop.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE accounts SET closed_at = %s WHERE id = %s", (shop.now, account)
        )
    with pytest.raises(Conflict):
        shop.hold(account, 1)


def test_a_loaded_account_shows_what_is_held(shop: Shop) -> None:
    """Who has read the row before sees what the verbs wrote."""
    account = shop.account()
    shop.credit(account, 50)
    with shop.database.write_tx() as session:
        loaded = session.get_one(Account, account)
        common: dict[str, Any] = {"actor": SYSTEM, "reason": "", "now": shop.now}

        def reserve(amount: int) -> Hold:
            return service.hold(
                session,
                account,
                amount,
                acceptor_id=shop.organisation_id,
                expires_at=shop.now + QUARTER,
                **common,
            )

        first, second = reserve(20), reserve(10)
        assert (loaded.kind, loaded.held) == (AccountKind.CUSTOMER, 30)
        service.void(session, second.id, now=shop.now)
        assert loaded.held == 20
        service.capture(session, first.id, 15, **common)
        assert (loaded.balance, loaded.held) == (35, 0)
        assert (first.state, second.state) == (HoldState.CAPTURED, HoldState.VOIDED)


def test_a_hold_and_its_release_change_no_pass(shop: Shop) -> None:
    """The balance that a card shows is as before; a capture changes it."""
    account = shop.account()
    shop.credit(account, 50)
    count = "SELECT count(*) FROM changes"
    before = shop.all(count)
    made = shop.hold(account, 10)
    shop.void(shop.hold(account, 10))
    assert shop.all(count) == before
    shop.capture(made)
    assert shop.all(count) != before
