"""Reading: history by pages, and the lots behind a balance."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.ledger.shop import Shop
from walletsvc.core.actor import Actor
from walletsvc.core.errors import InsufficientFunds, NotFound
from walletsvc.ledger import queries
from walletsvc.ledger.due import settle
from walletsvc.ledger.models import AccountKind, TransactionType
from walletsvc.ledger.queries import HistoryRow, HoldRow, LotRow
from walletsvc.merchants.models import Branch


def page(shop: Shop, account: int, limit: int, before_id: int | None = None) -> list[HistoryRow]:
    """One page of an account's history."""
    with shop.database.read_tx() as session:
        return queries.history(session, account, before_id=before_id, limit=limit)


def test_history_is_newest_first_and_names_everything(shop: Shop) -> None:
    """Each row carries type, amount, what was left, when, why, who, where and what it undoes."""
    with shop.database.write_tx() as session:
        branch = Branch(organisation_id=shop.organisation_id, name="Арбат", created_at=shop.now)
        session.add(branch)
    account, other = shop.account(), shop.account()
    first = shop.credit(account, 100, reason="Покупка", branch_id=branch.id)
    shop.credit(other, 5)
    second = shop.debit(account, 30, now=shop.days(1), actor=Actor("staff", "anna"))
    third = shop.reverse(second, now=shop.days(2))
    rows = page(shop, account, 10)
    assert [(row.type, row.amount, row.balance_after, row.at) for row in rows] == [
        (TransactionType.REVERSAL, 30, 100, shop.days(2)),
        (TransactionType.DEBIT, -30, 70, shop.days(1)),
        (TransactionType.CREDIT, 100, 100, shop.now),
    ]
    assert [row.public_id for row in rows] == [third.public_id, second.public_id, first.public_id]
    assert [row.undoes_public_id for row in rows] == [second.public_id, None, None]
    assert [row.branch_public_id for row in rows] == [None, None, branch.public_id]
    assert (rows[1].actor, rows[2].reason) == ("staff:anna", "Покупка")
    assert all(isinstance(row.type, TransactionType) for row in rows)


def test_pages_meet_without_gap_or_overlap_while_entries_come(shop: Shop) -> None:
    """The cursor is a place in the account's own order: new entries do not shift pages."""
    account = shop.account()
    for amount in range(1, 8):
        shop.credit(account, amount)
    seen = page(shop, account, 3)
    shop.credit(account, 99)
    for _ in range(3):
        seen += page(shop, account, 3, before_id=seen[-1].id)
    assert [row.amount for row in seen] == [7, 6, 5, 4, 3, 2, 1]


def test_an_account_without_entries_has_an_empty_history(shop: Shop) -> None:
    """Nothing happened: no rows, no error."""
    assert page(shop, shop.account(), 10) == []


def test_explain_shows_the_lots_in_the_order_they_will_be_spent(shop: Shop) -> None:
    """Each lot says where it came from, what came, what is left, and when it ends."""
    account = shop.account(min_balance=-10)
    endless = shop.credit(account, 100, source="purchase", reason="Покупка")
    soon = shop.credit(account, 40, source="birthday", promotional=True, expires_at=shop.days(7))
    gone = shop.credit(account, 5, expires_at=shop.days(1))
    shop.debit(account, 15)
    with shop.database.read_tx() as session:
        found = queries.explain(session, account)
    assert (found.kind, found.balance, found.held, found.min_balance) == (
        AccountKind.CUSTOMER,
        130,
        0,
        -10,
    )
    assert found.lots == [
        LotRow(
            transaction_public_id=soon.public_id,
            reason="",
            source="birthday",
            promotional=True,
            original=40,
            remaining=30,
            held=0,
            matured=True,
            expires_at=shop.days(7),
            earned_at=shop.now,
            available_from=shop.now,
        ),
        LotRow(
            transaction_public_id=endless.public_id,
            reason="Покупка",
            source="purchase",
            promotional=False,
            original=100,
            remaining=100,
            held=0,
            matured=True,
            expires_at=None,
            earned_at=shop.now,
            available_from=shop.now,
        ),
    ]
    assert gone.public_id not in [lot.transaction_public_id for lot in found.lots]
    assert found.available(shop.now) == 130
    assert found.available(shop.days(7)) == 100


def test_explain_knows_certificates_and_debtors(shop: Shop) -> None:
    """Certificate money and debt have no lots behind them."""
    certificate, debtor = shop.certificate(), shop.account(min_balance=-10)
    shop.credit(certificate, 500)
    shop.debit(debtor, 10)
    with shop.database.read_tx() as session:
        assert queries.explain(session, certificate).lots == []
        owed = queries.explain(session, debtor)
        assert (owed.balance, owed.lots, owed.available(shop.now)) == (-10, [], 0)
        with pytest.raises(NotFound):
            queries.explain(session, 10**9)


def most(shop: Shop, account: int, now: datetime) -> int:
    """What a debit that is far too large says could be taken at this moment."""
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 10**12, now=now)
    return int(caught.value.data["available"])


def test_explain_lists_active_holds_and_what_is_to_come(shop: Shop) -> None:
    """Who reserved how much until when and where; what joins the balance on which day."""
    with shop.database.write_tx() as session:
        branch = Branch(organisation_id=shop.organisation_id, name="Арбат", created_at=shop.now)
        session.add(branch)
    account = shop.account()
    shop.credit(account, 100)
    later = shop.credit(account, 30, available_from=shop.days(14))
    soon = shop.credit(account, 20, available_from=shop.days(7), expires_at=shop.days(100))
    first = shop.hold(account, 25, branch_id=branch.id)
    second = shop.hold(account, 10, expires_at=shop.now + timedelta(hours=2))
    shop.void(shop.hold(account, 5))
    found = shop.explain(account)
    assert found.holds == [
        HoldRow(first.public_id, 25, first.expires_at, branch.public_id),
        HoldRow(second.public_id, 10, second.expires_at, None),
    ]
    assert [(lot.transaction_public_id, lot.remaining) for lot in found.future] == [
        (soon.public_id, 20),
        (later.public_id, 30),
    ]
    assert (found.balance, found.held, found.available(shop.now)) == (100, 35, 65)


def test_explain_tells_what_time_has_brought_and_writes_nothing(shop: Shop) -> None:
    """At every moment what is available is what a debit would find."""
    account = shop.account()
    shop.credit(account, 100)
    shop.credit(account, 40, expires_at=shop.now + timedelta(minutes=10))
    shop.credit(account, 30, available_from=shop.now + timedelta(minutes=12))
    shop.hold(account, 50, expires_at=shop.now + timedelta(minutes=8))
    shop.hold(account, 20, expires_at=shop.now + timedelta(minutes=15))
    found, before = shop.explain(account), shop.everything()
    expected = {0: 70, 7: 70, 8: 120, 10: 80, 12: 110, 15: 130}
    assert {m: found.available(shop.now + timedelta(minutes=m)) for m in expected} == expected
    assert shop.everything() == before
    for minutes in expected:
        now = shop.now + timedelta(minutes=minutes)
        assert found.at(now).available(now) == most(shop, account, now)
    then = found.at(shop.now + timedelta(minutes=12))
    assert (then.balance, then.held, len(then.holds), then.future) == (170, 20, 1, [])
    shop.hold(account, 1, now=shop.now + timedelta(minutes=12))
    written = shop.explain(account)
    assert (written.balance, written.held) == (then.balance, then.held + 1)


def test_explain_foresees_what_the_job_would_leave(shop: Shop) -> None:
    """At every moment, ended points that are held and a debt among it."""
    account, debtor = shop.account(), shop.account(min_balance=-100)
    shop.credit(account, 40, expires_at=shop.now + timedelta(minutes=10))
    shop.credit(account, 30, expires_at=shop.now + timedelta(minutes=14),
                available_from=shop.now + timedelta(minutes=12))  # fmt: skip
    shop.credit(account, 100)
    shop.hold(account, 25, expires_at=shop.now + timedelta(minutes=15))
    shop.debit(debtor, 30)
    shop.credit(debtor, 20, available_from=shop.days(1), expires_at=shop.days(2))
    shop.credit(debtor, 50, available_from=shop.days(1), expires_at=shop.days(3))
    moments = [shop.now + timedelta(minutes=minutes) for minutes in (0, 10, 12, 14, 15)]
    for account_id in (account, debtor):
        before = shop.explain(account_id)
        for now in [*moments, *map(shop.days, (1, 2, 3))]:
            with shop.database.write_tx() as session, session.begin_nested() as attempt:
                settle(session, [account_id], now)
                after = queries.explain(session, account_id)
                attempt.rollback()
            assert before.settled(now) == after
            assert before.settled(now).available(now) == before.available(now)


def test_explain_lets_due_points_repay_the_debt(shop: Shop) -> None:
    """A debtor's accrual counts for what the debt leaves of it; leave for debt counts never."""
    account = shop.account(min_balance=-100)
    shop.debit(account, 30)
    shop.credit(account, 20, available_from=shop.days(1), expires_at=shop.days(5))
    shop.credit(account, 50, available_from=shop.days(2))
    found = shop.explain(account)
    assert [found.available(shop.days(day)) for day in (0, 1, 2)] == [0, 0, 40]
    both = found.at(shop.days(2))
    assert (both.balance, [lot.remaining for lot in both.lots]) == (40, [40])
    shop.debit(account, 1, now=shop.days(2))
    assert (shop.balance(account), shop.remaining(account)) == (39, [0, 39])


def test_explain_knows_held_certificates(shop: Shop) -> None:
    """Money that is held is not available until its time is over."""
    account = shop.certificate()
    shop.credit(account, 500)
    made = shop.hold(account, 200)
    found = shop.explain(account)
    assert (found.available(shop.now), found.available(made.expires_at)) == (300, 500)


def test_a_transaction_that_moves_no_balance_is_told_by_what_will_be(shop: Shop) -> None:
    """An accrual, and undoing it before its day, have an amount and no balance."""
    account = shop.account()
    accrual = shop.credit(account, 30, available_from=shop.days(1))
    undone = shop.reverse(accrual, amount=10)
    spent = shop.debit(account, 20, now=shop.days(1))
    with shop.database.read_tx() as session:
        rows = [queries.posted(session, done.id) for done in (accrual, undone, spent)]
        assert queries.reversible(session, accrual.id) == 20
        with pytest.raises(NotFound):
            queries.posted(session, 10**9)
    assert [(row.type, row.amount, row.balance_after) for row in rows] == [
        (TransactionType.ACCRUAL, 30, None),
        (TransactionType.REVERSAL, -10, None),
        (TransactionType.DEBIT, -20, 0),
    ]
    assert [row.type for row in page(shop, account, 10)] == [
        TransactionType.DEBIT,
        TransactionType.MATURITY,
    ]
