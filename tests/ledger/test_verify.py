"""Verification names every kind of damage, and nothing else."""

from __future__ import annotations

import re

from sqlalchemy import text
from sqlmodel import Session

from tests.ledger.shop import Shop
from walletsvc.ledger.verify import CHECKS, counts, differences

# Damage, and the sentence that must name it. {a} and {b} are accounts, {c} and {d} the credit and
# and debit of the first.
DAMAGE = [
    (
        (
            "INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount)"
            " SELECT {d_id}, id, unit_id, 3 FROM accounts"
            " WHERE code = 'breakage' AND unit_id <> {roubles}"
        ),
        "Transaction {d}: its entries in points:bakery sum to 3 instead of zero.",
    ),
    (
        "DELETE FROM ledger_entries WHERE transaction_id = {d_id}",
        "Transaction {d} has no entries.",
    ),
    (
        "UPDATE ledger_entries SET unit_id = {roubles} WHERE transaction_id = {d_id}",
        "Transaction {d}: account {a} counts points:bakery, but the entry is in RUB.",
    ),
    (
        "UPDATE accounts SET balance = balance + 1 WHERE id = {a_id}",
        "Account {a}: the stored balance is 71, its entries sum to 70.",
    ),
    (
        (
            "UPDATE ledger_entries SET balance_after = 69"
            " WHERE transaction_id = {d_id} AND account_id = {a_id}"
        ),
        "Account {a}, transaction {d}: 100 and -30 do not make 69.",
    ),
    (
        "UPDATE ledger_entries SET balance_after = NULL WHERE transaction_id = {d_id}",
        "Account {a}, transaction {d}: the entry does not say what was left.",
    ),
    (
        "UPDATE ledger_entries SET balance_after = 0 WHERE transaction_id = {d_id} AND amount > 0",
        "Account {s}, transaction {d}: a system account stores no balance.",
    ),
    (
        (
            "UPDATE ledger_transactions SET undoes_id = {c_id} WHERE id IN ({d_id}, {e_id});"
            "UPDATE ledger_entries SET account_id = {a_id}, amount = amount * 3"
            " WHERE transaction_id = {e_id} AND amount < 0"
        ),
        "Transaction {c}: account {a} moved by 100, its reversals by -120.",
    ),
    (
        "UPDATE lots SET remaining = remaining - 1 WHERE account_id = {a_id}",
        "Account {a}, lot of {c}: 69 remains, but 100 came and -30 moved.",
    ),
    (
        "DELETE FROM lot_movements; DELETE FROM lots WHERE account_id = {a_id}",
        "Account {a}: its lots sum to 0, its balance is 70.",
    ),
    (
        (
            "INSERT INTO lots (account_id, transaction_id, matured_id, original, remaining, held,"
            " source, promotional, earned_at, available_from)"
            " VALUES ({b_id}, {c_id}, {c_id}, 5, 5, 0, '', false, now(), now())"
        ),
        "Account {b}: its lots sum to 5, its balance is 500.",
    ),
    (
        "UPDATE lots SET account_id = {m_id} WHERE account_id = {a_id}",
        "Account {m} was merged into another, but 1 lots are left on it.",
    ),
    (
        "UPDATE lots SET original = 6 WHERE account_id = {p_id}",
        "Account {p}, lot of {t}: 6 came from another lot, which gave 5.",
    ),
    (
        "UPDATE accounts SET held = 4 WHERE id = {a_id}",
        "Account {a}: 4 is stored as held, its active holds sum to 0.",
    ),
    (
        "UPDATE lots SET held = 4 WHERE account_id = {a_id}",
        "Account {a}, lot of {c}: 4 is stored as held, its active holds sum to 0.",
    ),
]


def test_each_kind_of_damage_is_named(shop: Shop) -> None:
    """The sentence names the account or transaction, what is stored and what follows."""
    a, b = shop.account(min_balance=-50), shop.certificate()
    c, d = shop.credit(a, 100), shop.debit(a, 30)
    shop.credit(b, 500)
    other = shop.account(min_balance=-50)
    shop.credit(other, 20)
    e = shop.debit(other, 30)
    m, p = shop.account(), shop.account()
    shop.merge(m, other)
    giver = shop.account()
    shop.credit(giver, 7)
    t = shop.transfer(giver, p, 5)
    public = dict(shop.all("SELECT id, public_id FROM accounts"))
    system = shop.all("SELECT public_id FROM accounts WHERE code = 'redemption' ORDER BY id")
    ids = {"a_id": a, "b_id": b, "c_id": c.id, "d_id": d.id, "e_id": e.id, "m_id": m, "p_id": p}
    names = ids | {
        "a": public[a],
        "b": public[b],
        "m": public[m],
        "p": public[p],
        "t": t.public_id,
        "c": c.public_id,
        "d": d.public_id,
        "s": system[0][0],
        "roubles": shop.roubles_id,
    }
    assert shop.differences() == []
    for damage, sentence in DAMAGE:
        with Session(shop.database.engine) as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in damage.format(**names).split(";"):
                session.execute(text(statement))
            assert sentence.format(**names) in list(differences(session))
    assert shop.differences() == []


def test_every_check_has_its_damage() -> None:
    """No check goes untested."""
    for words, _ in CHECKS:
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(words))
        assert any(re.fullmatch(pattern, sentence) for _, sentence in DAMAGE), words


def test_an_eventful_ledger_is_clean_and_counted(shop: Shop) -> None:
    """Debt, reversals, ends and certificates leave no difference; the counts are the rows."""
    account, certificate = shop.account(min_balance=-100), shop.certificate()
    shop.credit(account, 40, expires_at=shop.days(1))
    spent = shop.debit(account, 70)
    shop.credit(account, 50)
    shop.reverse(spent, now=shop.days(2))
    shop.credit(certificate, 100)
    shop.reverse(shop.debit(certificate, 60))
    assert shop.differences() == []
    with shop.database.read_tx() as session:
        seen = counts(session)
    assert (seen.transactions, seen.entries, seen.lots) == (7, 14, 2)


def test_an_empty_ledger_is_clean(shop: Shop) -> None:
    """Nothing stored, nothing to differ."""
    assert shop.differences() == []
