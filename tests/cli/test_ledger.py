"""`walletsvc ledger`: verifying, doing what is due, what is owed, and why a balance is so."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.factories import make_member, make_shop
from tests.ledger.shop import Shop, open_shop
from walletsvc.certificates.service import issue
from walletsvc.cli.ledger import ledger
from walletsvc.core.actor import SYSTEM
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import InputError, NotFound
from walletsvc.ledger.models import Account
from walletsvc.programmes.service import create_gift_programme
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


def run(*arguments: str) -> Result:
    """A command, as a person runs it."""
    return CliRunner().invoke(ledger, arguments)


def verify() -> Result:
    """Verify."""
    return run("verify")


def test_a_clean_ledger_is_counted(shop: Shop) -> None:
    """Exit code 0 and one line that says how much was looked at."""
    shop.credit(shop.account(), 10)
    result = verify()
    assert result.exit_code == 0, result.output
    assert result.output == ("no differences in 6 accounts, 1 transactions, 2 entries, 1 lots\n")


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
    assert lines[-1].startswith("3 differences in 6 accounts")


def test_settling_brings_all_accounts_up_to_now(shop: Shop) -> None:
    """What the worker would have done; the second time there is nothing."""
    account, past = shop.account(), shop.now
    shop.credit(account, 10, available_from=shop.days(1))
    shop.credit(account, 20, expires_at=shop.days(1))
    assert past < utcnow()
    assert run("due").output.splitlines()[-1] == (
        "1 accounts: 0 holds released, points matured on 1 and ended on 1 accounts"
    )
    assert shop.balance(account) == 10
    assert run("due").output.startswith("0 accounts: 0 holds released")
    assert shop.differences() == []


def test_what_is_owed_is_a_table(shop: Shop) -> None:
    """By month, with debts, and as it was on a former day."""
    account = shop.account(min_balance=-50)
    shop.credit(account, 300)
    shop.credit(account, 1200, expires_at=datetime(2026, 12, 31, 21, tzinfo=UTC))
    shop.credit(account, 40, available_from=shop.days(400))
    shop.debit(shop.account(min_balance=-50), 30)
    shop.credit(shop.certificate(), 500_00)
    shop.debit(account, 1000, now=shop.days(1))
    result = run("liability", "--at", "2026-11-20", "--organisation", "bakery")
    assert result.exit_code == 0, result.output
    assert (
        result.output
        == """Liability at 2026-11-20 20:59:59 UTC

bakery, points:bakery
end in       available  future
2026-12           1200       0
without end        300      40
all               1500      40
debts              -30
balances          1470

certificates  unit  with money    owed
bakery        RUB            1  500.00
"""
    )
    assert "2026-12            200" in run("liability").output
    assert "Nothing is owed." in run("liability", "--at", "2026-11-20T09:00:00Z").output


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-13-01", "2026-11-20T10:00:00", "2999-01-01", "0001-01-01T00:00:00Z"]
)
def test_a_moment_that_is_none_is_refused(shop: Shop, at: str) -> None:
    """The option is named."""
    error = run("liability", "--at", at).exception
    assert isinstance(error, InputError)
    assert error.fields[0].field == "at"


def test_a_balance_is_explained(database: Database, shop: Shop, now: datetime) -> None:
    """Lots, what comes later, last movements; by number, by id, by account."""
    with database.write_tx() as session:
        member = make_shop(session, now, "cafe")
        card, _ = make_member(session, member, now, phone="+79000001234")
        account = session.get_one(Account, card.account_id).public_id
    shop.credit(card.account_id, 100, reason="Order 1207", promotional=True)
    shop.credit(card.account_id, 40, available_from=shop.days(400), reason="Order 1208")
    shop.credit(card.account_id, 7, expires_at=shop.days(1))
    shop.debit(card.account_id, 30, reason="Coffee")
    said = run("explain", card.public_id).output
    assert said.splitlines()[:7] == [
        f"card {card.public_id}",
        "",
        "unit      points:cafe",
        "balance   77",
        "held      0",
        "available 77",
        "times     UTC",
    ]
    lines = [re.sub(" +", " ", line).strip() for line in said.splitlines()]
    assert "77 100 0 2026-11-20 2026-11-20 09:30 purchase, promotional Order 1207" in lines
    later = lines.index("Not yet available")
    assert lines[later + 2].startswith("40 40 0 2026-11-20 2027-12-25 09:30 purchase Order 1208")
    assert "2026-11-20 09:30 debit -30 77 Coffee" in lines
    assert "9000001234" not in said
    for same in (card.number, account):
        assert run("explain", same).output.splitlines()[1:] == said.splitlines()[1:]


def test_a_certificate_is_explained_without_its_code(
    database: Database, shop: Shop, now: datetime
) -> None:
    """Money has no lots; its movements tell."""
    with database.write_tx() as session:
        programme = create_gift_programme(
            session, organisation_id=shop.organisation_id, slug="gift", name="Дар", now=now
        )
        certificate, code = issue(
            session, programme=programme, face_value=500_00, actor=SYSTEM, reason="", now=now
        )
    said = run("explain", certificate.public_id).output
    assert "balance   500.00" in said
    assert "500.00" in said.splitlines()[-1]
    assert code not in said
    assert code.replace("-", "") not in said.replace("-", "")


def test_a_merged_account_is_explained_as_its_heir(shop: Shop) -> None:
    """And says so."""
    gone, heir = shop.account(), shop.account()
    shop.credit(gone, 15)
    shop.merge(gone, heir)
    with shop.database.read_tx() as session:
        names = [session.get_one(Account, each).public_id for each in (gone, heir)]
    said = run("explain", names[0]).output
    assert said.startswith(f"account {names[0]}, merged into {names[1]}\n")
    assert "balance   15" in said


def test_what_nobody_knows_is_not_found(shop: Shop) -> None:
    """System accounts explain nothing either."""
    system = shop.all("SELECT public_id FROM accounts WHERE kind = 'system'")
    for text in ("nope", "9" * 16, *(row[0] for row in system[:1])):
        assert isinstance(run("explain", text).exception, NotFound)
