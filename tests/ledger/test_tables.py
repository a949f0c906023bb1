"""The database itself refuses what the code must never do."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.ledger.shop import Shop


def run(shop: Shop, statement: str, *parameters: object) -> None:
    """One statement as an intruder would send it."""
    with shop.database.engine.begin() as connection:
        connection.exec_driver_sql(statement, parameters)


def test_posted_rows_are_never_changed(shop: Shop) -> None:
    """Entries, transactions and lot movements can be neither edited nor deleted."""
    account = shop.account()
    shop.credit(account, 10)
    shop.debit(account, 5)
    for table in ("ledger_entries", "ledger_transactions", "lot_movements"):
        for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
            with pytest.raises(IntegrityError, match="post a reversal"):
                run(shop, statement)


FIXED = (
    "id",
    "transaction_id",
    "origin_id",
    "original",
    "source",
    "promotional",
    "earned_at",
    "available_from",
    "expires_at",
)


def test_what_a_lot_came_with_is_never_changed(shop: Shop) -> None:
    """Not its dates, its origin or how much there was; and it is never deleted."""
    shop.credit(shop.account(), 10, expires_at=shop.days(9))
    for column in FIXED:
        with pytest.raises(IntegrityError, match="post a reversal"):
            run(shop, f"UPDATE lots SET {column} = {column}")
    with pytest.raises(IntegrityError, match="post a reversal"):
        run(shop, "DELETE FROM lots")


def test_entries_that_do_not_balance_are_refused(shop: Shop) -> None:
    """A transaction whose entries do not sum to zero cannot be stored."""
    account = shop.account()
    done = shop.credit(account, 10)
    with pytest.raises(IntegrityError, match="sum to zero"):
        run(
            shop,
            "INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount)"
            " VALUES (%s, %s, %s, 5)",
            done.id,
            account,
            shop.points_id,
        )


IMPOSSIBLE = [
    "UPDATE accounts SET balance = -1 WHERE id = {account}",
    "UPDATE accounts SET held = -1 WHERE id = {account}",
    "UPDATE accounts SET balance = NULL WHERE id = {account}",
    "UPDATE accounts SET balance = 0 WHERE kind = 'system'",
    "UPDATE accounts SET kind = 'wallet' WHERE id = {account}",
    "UPDATE lots SET remaining = original + 1",
    "UPDATE lots SET remaining = -1",
    "UPDATE lots SET held = remaining + 1",
    (
        "INSERT INTO lots (account_id, transaction_id, original, remaining, held, source,"
        " promotional, earned_at, available_from, expires_at)"
        " SELECT account_id, transaction_id, 1, 1, 0, '', false, now(), now(), now() FROM lots"
    ),
]


def test_impossible_states_are_refused(shop: Shop) -> None:
    """Balances below the minimum, lots above what came and the like break a constraint."""
    account = shop.account()
    shop.credit(account, 10)
    for statement in IMPOSSIBLE:
        with pytest.raises(IntegrityError, match="check constraint"):
            run(shop, statement.format(account=account))


def test_an_organisation_has_one_system_account_of_a_kind(shop: Shop) -> None:
    """A second issuance account for the same organisation and unit is refused."""
    shop.account()
    with pytest.raises(DBAPIError, match="uq_accounts_system"):
        run(
            shop,
            "INSERT INTO accounts (public_id, organisation_id, unit_id, kind, code, held,"
            " min_balance, created_at) VALUES ('twin', %s, %s, 'system', 'issuance', 0, 0, now())",
            shop.organisation_id,
            shop.points_id,
        )
