"""`walletsvc ledger verify`: a count when all is well, names and exit code 1 when not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.ledger.shop import Shop, open_shop
from walletsvc.cli.ledger import ledger
from walletsvc.storage.engine import Database


@pytest.fixture
def shop(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    """A shop in the database that the environment names."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    return open_shop(database, now)


def verify() -> Result:
    """The command, as a person runs it."""
    return CliRunner().invoke(ledger, ["verify"])


def test_a_clean_ledger_is_counted(shop: Shop) -> None:
    """Exit code 0 and one line that says how much was looked at."""
    shop.credit(shop.account(), 10)
    result = verify()
    assert result.exit_code == 0, result.output
    assert result.output == ("no differences in 7 accounts, 1 transactions, 2 entries, 1 lots\n")


def test_every_difference_is_named(shop: Shop) -> None:
    """Exit code 1, one line for each difference, and their number."""
    account = shop.account()
    shop.credit(account, 10)
    with shop.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE accounts SET balance = 11, held = 2 WHERE balance = 10")
    result = verify()
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("the stored balance is 11, its entries sum to 10.")
    assert lines[-1].startswith("3 differences in 7 accounts")
