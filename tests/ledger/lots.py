"""What is stored of accounts, to compare."""

from __future__ import annotations

from typing import Any

from tests.ledger.shop import Shop


def lots(shop: Shop, account: int) -> list[tuple[Any, ...]]:
    """What is left, and its dates, in the order it will be spent."""
    return shop.all(
        "SELECT remaining, source, promotional, earned_at, available_from, expires_at FROM lots"
        " WHERE account_id = :a AND remaining > 0 ORDER BY expires_at, id",
        a=account,
    )


def changes(shop: Shop) -> set[int]:
    """The accounts that passes are looked through for."""
    return {row[0] for row in shop.all("SELECT key FROM changes WHERE topic = 'account'")}


def hold(shop: Shop, account: int, amount: int) -> None:
    """Reserve points of the account's newest lot, as an active hold would."""
    shop_lot = shop.all("SELECT max(id) FROM lots WHERE account_id = :a", a=account)[0][0]
    with shop.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO holds (public_id, account_id, state, amount, captured, acceptor_id, actor,"
            " reason, created_at, expires_at) VALUES ('h' || %s::text, %s, 'active', %s, 0, %s,"
            " 'x', '', %s, %s)",
            (account, account, amount, shop.organisation_id, shop.now, shop.days(3)),
        )
        connection.exec_driver_sql(
            "INSERT INTO hold_lots SELECT max(id), %s, %s FROM holds", (shop_lot, amount)
        )
        connection.exec_driver_sql(
            "UPDATE lots SET held = held + %s WHERE id = %s", (amount, shop_lot)
        )
        connection.exec_driver_sql(
            "UPDATE accounts SET held = held + %s WHERE id = %s", (amount, account)
        )
