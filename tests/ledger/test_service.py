"""Credits and debits: what they write, what they refuse."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text

from tests.heard import statements
from tests.ledger.shop import Shop, credit, debit
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, InputError, InsufficientFunds, NotFound, Refused
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import queries, service
from walletsvc.ledger.models import Account, AccountKind, SystemCode, TransactionType, UnitKind
from walletsvc.merchants.models import Branch

STAFF = Actor("staff", "anna")


def test_credit_writes_both_sides_a_lot_and_a_change(shop: Shop) -> None:
    """One credit is one transaction, two entries, one lot, a balance and a change row."""
    account = shop.account()
    done = shop.credit(
        account, 150, actor=STAFF, reason="Подарок", source="manual", expires_at=shop.days(90)
    )
    assert shop.all(
        "SELECT t.id, t.type, t.actor, t.reason, e.amount, e.balance_after, a.code"
        "  FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id"
        "  JOIN accounts a ON a.id = e.account_id ORDER BY e.id"
    ) == [
        (done.id, "credit", "staff:anna", "Подарок", 150, 150, None),
        (done.id, "credit", "staff:anna", "Подарок", -150, None, "issuance"),
    ]
    assert shop.all(
        "SELECT transaction_id, matured_id, original, remaining, held, source, promotional,"
        " earned_at, available_from, expires_at FROM lots"
    ) == [
        (done.id, done.id, 150, 150, 0, "manual", False, shop.now, shop.now, shop.days(90)),
    ]
    assert shop.all("SELECT topic, key, lane, at FROM changes") == [
        ("account", account, Lane.INTERACTIVE, shop.now)
    ]
    assert shop.balance(account) == 150
    assert shop.differences() == []


def test_the_transaction_returned_is_the_one_stored(shop: Shop) -> None:
    """The caller gets the stored row, and its session does not insert it again."""
    account = shop.account()
    with shop.database.write_tx() as session:
        branch = Branch(organisation_id=shop.organisation_id, name="Арбат", created_at=shop.now)
        session.add(branch)
        session.flush()
        done = credit(session, account, 5, now=shop.now, branch_id=branch.id)
        session.refresh(done)
        assert (done.type, done.branch_id, done.at) == (
            TransactionType.CREDIT,
            branch.id,
            shop.now,
        )
        done_id = done.id
    assert shop.all("SELECT id, public_id FROM ledger_transactions") == [(done_id, done.public_id)]


def test_a_loaded_account_shows_the_new_balance(shop: Shop) -> None:
    """An Account object that the caller holds is never out of date after a posting."""
    with shop.database.write_tx() as session:
        account = service.open_account(
            session,
            organisation_id=shop.organisation_id,
            unit_id=shop.points_id,
            kind=AccountKind.CUSTOMER,
            now=shop.now,
        )
        credit(session, account.id, 30, now=shop.now)
        assert account.balance == 30
        debit(session, account.id, 10, now=shop.now)
        assert account.balance == 20


def test_the_lane_of_a_bulk_credit_is_kept(shop: Shop) -> None:
    """A broadcast's credits go to the bulk lane."""
    account = shop.account()
    shop.credit(account, 1, lane=Lane.BULK)
    shop.debit(account, 1, lane=Lane.BULK)
    assert shop.all("SELECT lane FROM changes") == [(Lane.BULK,), (Lane.BULK,)]


def test_certificate_money_has_no_lots(shop: Shop) -> None:
    """A paid certificate is credited against cash clearing and spent without lots."""
    account = shop.certificate()
    shop.credit(account, 300_000, source="sale", against=SystemCode.CASH_CLEARING)
    shop.debit(account, 120_050)
    assert shop.balance(account) == 179_950
    assert shop.all("SELECT count(*) FROM lots") == [(0,)]
    assert shop.all(
        "SELECT a.code, sum(e.amount) FROM ledger_entries e JOIN accounts a ON a.id = e.account_id"
        " WHERE a.kind = 'system' GROUP BY a.code ORDER BY a.code"
    ) == [("cash-clearing", -300_000), ("redemption", 120_050)]
    assert shop.differences() == []


def test_certificate_money_takes_no_end(shop: Shop) -> None:
    """An end on certificate money is refused: the certificate has one, its money has not."""
    with pytest.raises(InputError) as caught:
        shop.credit(shop.certificate(), 100, expires_at=shop.days(1))
    assert caught.value.fields[0].field == "expires_at"


def test_debit_below_the_minimum_is_refused_with_what_is_available(shop: Shop) -> None:
    """One unit more than there is: refused, `available` says how much there is, nothing written."""
    account = shop.account()
    shop.credit(account, 100)
    before = shop.everything()
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 101)
    assert caught.value.data == {"available": 100}
    assert shop.everything() == before
    shop.debit(account, 100)
    assert shop.balance(account) == 0


def test_a_debit_may_go_into_debt_down_to_the_minimum(shop: Shop) -> None:
    """`min_balance` below zero allows debt that far and no further."""
    account = shop.account(min_balance=-50)
    shop.credit(account, 30)
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 81)
    assert caught.value.data == {"available": 80}
    shop.debit(account, 80)
    assert shop.balance(account) == -50
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 1)
    assert caught.value.data == {"available": 0}
    assert shop.differences() == []


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT + 1, True])
def test_amounts_outside_the_range_are_named(shop: Shop, amount: int) -> None:
    """Nothing, less than nothing and absurd amounts are input errors that name `amount`."""
    account = shop.account()
    for call in (shop.credit, shop.debit):
        with pytest.raises(InputError) as caught:
            call(account, amount)
        assert [problem.field for problem in caught.value.fields] == ["amount"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reason", "а" * 201),
        ("reason", "nul\x00"),
        ("source", "s" * 41),
        ("expires_at", datetime.fromisoformat("2026-11-20T09:30:00+00:00")),
    ],
)
def test_other_bad_input_is_named(shop: Shop, field: str, value: object) -> None:
    """Texts the database could not store and an end that is not later than now are named."""
    with pytest.raises(InputError) as caught:
        shop.credit(shop.account(), 1, **{field: value})
    assert [problem.field for problem in caught.value.fields] == [field]


def test_the_largest_amount_fits_and_the_balance_stops_there(shop: Shop) -> None:
    """MAX_AMOUNT can be credited once; a balance above it is refused, not overflowed."""
    account = shop.account()
    shop.credit(account, MAX_AMOUNT)
    with pytest.raises(Refused):
        shop.credit(account, 1)
    shop.debit(account, MAX_AMOUNT)
    assert shop.differences() == []


def test_a_closed_account_is_refused(shop: Shop) -> None:
    """Nothing moves on a closed account, reversals included."""
    account = shop.account()
    done = shop.credit(account, 10)
    with shop.database.write_tx() as session:
        loaded = session.get_one(Account, account)
        loaded.closed_at = shop.now
        with pytest.raises(Conflict):  # closed in this very transaction, not yet flushed
            credit(session, account, 1, now=shop.now)
    with pytest.raises(Conflict):
        shop.credit(account, 1)
    with pytest.raises(Conflict):
        shop.debit(account, 1)
    with pytest.raises(Conflict):
        shop.reverse(done)


def test_unknown_and_system_accounts_are_not_found(shop: Shop) -> None:
    """A system account is only ever the other side."""
    shop.account()
    with shop.database.write_tx() as session:
        system = service.system_account(
            session,
            organisation_id=shop.organisation_id,
            unit_id=shop.points_id,
            code=SystemCode.ISSUANCE,
            now=shop.now,
        )
    for account in (system, 10**9):
        with pytest.raises(NotFound):
            shop.credit(account, 1)
        with pytest.raises(NotFound):
            shop.balance(account)


def test_a_unit_is_made_once_and_never_redefined(shop: Shop) -> None:
    """The same definition returns the same unit; another one is a conflict."""
    with shop.database.write_tx() as session:
        again = service.ensure_unit(session, code="RUB", kind=UnitKind.CURRENCY, scale=2)
        assert again.id == shop.roubles_id
        with pytest.raises(Conflict):
            service.ensure_unit(session, code="RUB", kind=UnitKind.CURRENCY, scale=0)
        with pytest.raises(InputError):
            service.ensure_unit(session, code="XAU", kind=UnitKind.CURRENCY, scale=3)


def test_a_minimum_above_zero_is_refused(shop: Shop) -> None:
    """An account opens empty, so its minimum cannot be above nothing."""
    with pytest.raises(InputError) as caught:
        shop.account(min_balance=1)
    assert caught.value.fields[0].field == "min_balance"


def test_a_missing_system_account_is_made_on_the_way(shop: Shop) -> None:
    """An account that came without its system side (an import) can still be posted to."""
    with shop.database.write_tx() as session:
        account = Account(
            organisation_id=shop.organisation_id,
            unit_id=shop.points_id,
            kind=AccountKind.CUSTOMER,
            balance=0,
            created_at=shop.now,
        )
        session.add(account)
        session.flush()
        credit(session, account.id, 7, now=shop.now)
    made = shop.all("SELECT count(*) FROM accounts WHERE kind = 'system'")
    assert made == [(len(SystemCode) - 1,)]
    assert shop.differences() == []


def test_what_is_held_cannot_be_spent(shop: Shop) -> None:
    """Held points stay in the balance but neither pay nor let the account go into debt."""
    account = shop.account(min_balance=-100)
    shop.credit(account, 100)
    with shop.database.write_tx() as session:
        session.execute(text("UPDATE accounts SET held = 70 WHERE id = :a"), {"a": account})
        session.execute(text("UPDATE lots SET held = 70 WHERE account_id = :a"), {"a": account})
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 31)
    assert caught.value.data == {"available": 30}
    shop.debit(account, 30)
    assert shop.remaining(account) == [70]


@pytest.mark.parametrize(("verb", "expected"), [("credit", 2), ("debit", 3), ("certificate", 2)])
def test_a_posting_is_few_statements(shop: Shop, verb: str, expected: int) -> None:
    """Statements are round trips under a lock: lock, (lots), post."""
    account = shop.certificate() if verb == "certificate" else shop.account()
    shop.credit(account, 100)
    with statements(shop.database) as seen:
        if verb == "credit":
            shop.credit(account, 1)
        else:
            shop.debit(account, 1)
    assert len(seen) == expected, seen


def test_history_sees_what_the_same_transaction_wrote(shop: Shop) -> None:
    """An edge can answer with the new balance before it commits."""
    account = shop.account()
    with shop.database.write_tx() as session:
        credit(session, account, 12, now=shop.now)
        assert queries.balance(session, account) == 12
        assert queries.history(session, account, limit=1)[0].balance_after == 12
