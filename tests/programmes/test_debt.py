"""A programme's debt limit: for new cards, for those there are, and never below what is owed."""

from __future__ import annotations

from datetime import datetime

import pytest
from click.testing import CliRunner
from sqlmodel import Session

from tests.factories import make_member, make_shop
from walletsvc.cli.main import walletsvc
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import InputError, InsufficientFunds, NotFound, Refused
from walletsvc.ledger import debt, service
from walletsvc.ledger.models import Account
from walletsvc.programmes.debt import set_debt_limit
from walletsvc.programmes.service import create_gift_programme
from walletsvc.storage.engine import Database


def new_card(database: Database, now: datetime) -> int:
    """A member of a new shop; the account."""
    with database.write_tx() as session:
        card, _ = make_member(session, make_shop(session, now), now)
        return card.account_id


def credit(session: Session, account: int, amount: int, now: datetime) -> int:
    """A purchase's points; the transaction."""
    return service.credit(
        session, account, amount, source="purchase", actor=SYSTEM, reason="", now=now
    ).id


def clawed_back(session: Session, account: int, now: datetime) -> None:
    """40 points of a purchase are spent, and the purchase is returned."""
    earned = credit(session, account, 40, now)
    service.debit(session, account, 40, actor=SYSTEM, reason="", now=now)
    service.reverse(session, earned, actor=SYSTEM, reason="return", now=now)


def state(database: Database, account: int) -> tuple[int | None, int]:
    """Balance, and how low it may fall."""
    with database.read_tx() as session:
        found = session.get_one(Account, account)
        return found.balance, found.min_balance


def test_without_a_limit_spent_points_are_not_clawed_back(
    database: Database, now: datetime
) -> None:
    """The default is no debt."""
    account = new_card(database, now)
    with database.write_tx() as session, pytest.raises(InsufficientFunds):
        clawed_back(session, account, now)


def test_spent_points_are_clawed_back_into_debt_and_new_ones_repay_it(
    database: Database, now: datetime
) -> None:
    """Of a card there was before, and of one issued after; of 100 new points 60 remain."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        old = make_member(session, shop, now)[0].account_id
    assert set_debt_limit(database, "shop", 50) == 1
    with database.write_tx() as session:
        new = make_member(session, shop, now, phone="+79000002222")[0].account_id
    for account in (old, new):
        with database.write_tx() as session:
            clawed_back(session, account, now)
        assert state(database, account) == (-40, -50)
        with database.write_tx() as session:
            credit(session, account, 100, now)
        assert state(database, account) == (60, -50)


def test_a_limit_is_never_smaller_than_what_is_owed(database: Database, now: datetime) -> None:
    """Refused before anything changes, also for the programme."""
    account = new_card(database, now)
    set_debt_limit(database, "shop", 50)
    with database.write_tx() as session:
        clawed_back(session, account, now)
    with pytest.raises(Refused, match="1 accounts are lower than that, the lowest is -40"):
        set_debt_limit(database, "shop", 39)
    assert state(database, account) == (-40, -50)
    assert set_debt_limit(database, "shop", 40) == 1
    assert set_debt_limit(database, "shop", 40) == 0
    assert state(database, account) == (-40, -40)


def test_many_accounts_are_changed_in_batches(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, and who has fallen lower meanwhile keeps the limit and is counted."""
    monkeypatch.setattr(debt, "BATCH", 2)
    with database.write_tx() as session:
        shop = make_shop(session, now)
        cards = [make_member(session, shop, now, phone=f"+7900000000{n}")[0] for n in range(5)]
        accounts = [card.account_id for card in cards]
        owners = debt.Owners(shop.organisation.id, shop.programme.unit_id)
    assert set_debt_limit(database, "shop", 50) == 5
    with database.write_tx() as session:
        clawed_back(session, accounts[1], now)
    with pytest.raises(Refused, match="1 accounts owe more"):
        debt.limit_debt(database, owners, 10)
    assert [state(database, each)[1] for each in accounts] == [-10, -50, -10, -10, -10]


def test_what_cannot_be_set_is_named(database: Database, now: datetime) -> None:
    """A limit below zero, an unknown programme, certificates."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        create_gift_programme(
            session, organisation_id=shop.organisation.id, slug="gift", name="Дар", now=now
        )
    with pytest.raises(InputError) as refused:
        set_debt_limit(database, "shop", -1)
    assert refused.value.fields[0].field == "limit"
    with pytest.raises(NotFound):
        set_debt_limit(database, "nothing", 1)
    with pytest.raises(Refused, match="never owe"):
        set_debt_limit(database, "gift", 1)


def test_from_the_command_line(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """The limit and how many accounts got it."""
    account = new_card(database, now)
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    result = CliRunner().invoke(walletsvc, ["programme", "debt", "shop", "70"])
    assert result.output == "Cards of 'shop' may owe 70; 1 accounts were changed.\n"
    assert state(database, account) == (0, -70)
