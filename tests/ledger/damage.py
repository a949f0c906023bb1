"""Damage that the checks of the ledger must notice, and the check that does."""

from __future__ import annotations

# Damage, and the sentence that must name it. Names are those of `World`, `<name>_id` its row.
DAMAGE = [
    (
        (
            "INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount)"
            " SELECT {d_id}, id, unit_id, 3 FROM accounts"
            " WHERE code = 'breakage' AND organisation_id = {bakery_id} AND unit_id <> {roubles_id}"
        ),
        "Transaction {d}: the entries of bakery in points:bakery sum to 3 instead of zero.",
    ),
    (
        "DELETE FROM ledger_entries WHERE transaction_id = {d_id}",
        "Transaction {d} has no entries.",
    ),
    (
        "UPDATE ledger_entries SET unit_id = {roubles_id} WHERE transaction_id = {d_id}",
        "Transaction {d}: account {a} counts points:bakery, but the entry is in RUB.",
    ),
    (
        "UPDATE accounts SET balance = balance + 1 WHERE id = {a_id}",
        "Account {a}: the stored balance is 61, its entries sum to 60.",
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
        "Account {redemption}, transaction {d}: a system account stores no balance.",
    ),
    (
        "UPDATE ledger_transactions SET undoes_id = {c_id} WHERE id = {d_id}",
        "Transaction {d} of type debit undoes one of type credit.",
    ),
    (
        "UPDATE ledger_transactions SET undoes_id = NULL WHERE id = {undone_id}",
        "Transaction {undone} of type reversal undoes nothing.",
    ),
    (
        "UPDATE ledger_transactions SET undoes_id = {expiry_id} WHERE id = {undone_id}",
        "Transaction {undone} of type reversal undoes one of type expiry.",
    ),
    (  # more is undone than there was
        (
            "UPDATE ledger_entries SET amount = amount * 9 WHERE transaction_id = {undone_id}"
            " AND balance_after IS NOT NULL"
        ),
        "Transaction {spent}: the holder moved by -20, its reversals by 72.",
    ),
    (  # in the wrong direction
        "UPDATE ledger_entries SET amount = -amount WHERE transaction_id = {undone_id}",
        "Transaction {spent}: account {redemption} moved by 20, its reversals by 8.",
    ),
    (  # of what was accrued
        "UPDATE ledger_entries SET amount = amount * 9 WHERE transaction_id = {unaccrued_id}",
        "Transaction {accrued}: the holder moved by 40, its reversals by -90.",
    ),
    (
        (
            "UPDATE ledger_entries SET account_id = {a_id} WHERE transaction_id = {undone_id}"
            " AND balance_after IS NOT NULL"
        ),
        "Transaction {undone} undoes {spent} on account {a}, whose it was not.",
    ),
    (
        "UPDATE lots SET account_id = {a_id} WHERE transaction_id = {matured_id}",
        "Transaction {unmatured} undoes {matured} on account {later}, whose it was not.",
    ),
    (
        "UPDATE lots SET remaining = remaining - 1 WHERE account_id = {a_id}",
        "Account {a}, lot of {c}: 59 remains, but 100 came and -40 moved.",
    ),
    (
        "DELETE FROM lot_movements; DELETE FROM lots WHERE account_id = {a_id}",
        "Account {a}: its lots sum to 0, its balance is 60.",
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
        "UPDATE lots SET remaining = remaining + 7 WHERE account_id = {a_id}",
        (
            "bakery, points:bakery: lots less debts are {lots_and_7},"
            " the holders' entries sum to {lots}."
        ),
    ),
    (
        ("UPDATE lots SET matured_id = NULL WHERE account_id = {a_id}"),
        "bakery, points:bakery: 30 is pending, lots for later have 90.",
    ),
    (
        "DELETE FROM lots WHERE matured_id IS NULL",
        "bakery, points:bakery: 30 is pending, lots for later have 0.",
    ),
    (
        "UPDATE lots SET original = 16 WHERE transaction_id = {moved_id}",
        "Transaction {moved}: 15 was taken from the lot of {given}, 16 arrived from it.",
    ),
    (
        "UPDATE lots SET expires_at = NULL WHERE transaction_id = {moved_id}",
        "Transaction {moved}: a lot arrived with other dates or another source than it left with.",
    ),
    (
        "UPDATE lots SET source = 'other' WHERE transaction_id = {moved_id}",
        "Transaction {moved}: a lot arrived with other dates or another source than it left with.",
    ),
    (  # one holder's points paid for another's purchase
        (
            "UPDATE lot_movements SET transaction_id = CASE transaction_id"
            " WHEN {d_id} THEN {spent_id} ELSE {d_id} END"
            " WHERE transaction_id IN ({d_id}, {spent_id}) AND amount < 0"
        ),
        "Transaction {d}: lots of account {a} moved by 0, the entry says -30.",
    ),
    (  # two purchases of one holder
        (
            "UPDATE lot_movements SET amount = CASE transaction_id WHEN {d_id} THEN -10"
            " ELSE -30 END WHERE transaction_id IN ({d_id}, {small_id})"
        ),
        "Transaction {d}: lots of account {a} moved by -10, the entry says -30.",
    ),
    (
        ("UPDATE lot_movements SET amount = amount - 1 WHERE transaction_id = {unaccrued_id}"),
        "Transaction {unaccrued}: lots of account {later} moved by -11, the entry says -10.",
    ),
    (  # an invented movement hides an invented worth
        (
            "UPDATE lots SET original = original + 50 WHERE transaction_id = {c_id};"
            "UPDATE lot_movements SET amount = amount - 50 WHERE transaction_id = {d_id}"
        ),
        "Transaction {c}: 150 came in lots of account {a}, the entry says 100.",
    ),
    (
        "UPDATE lots SET original = original + 2 WHERE transaction_id = {accrued_id}",
        "Transaction {accrued}: 42 came in lots of the holder, the entry says 40.",
    ),
    (
        "UPDATE lots SET account_id = {heir_id} WHERE transaction_id = {c_id}",
        "Transaction {c}: 0 came in lots of account {a}, the entry says 100.",
    ),
    (
        "UPDATE lots SET matured_id = {d_id} WHERE transaction_id = {matured_id}",
        (
            "Account {later}, lot of {matured}: it is in the balance by a transaction that did not"
            " bring it."
        ),
    ),
    (
        "UPDATE lots SET matured_id = {d_id} WHERE transaction_id = {c_id}",
        "Account {a}, lot of {c}: it is in the balance by a transaction that did not bring it.",
    ),
    (
        "UPDATE accounts SET held = 4 WHERE id = {a_id}",
        "Account {a}: 4 is stored as held, its active holds sum to 0.",
    ),
    (
        "UPDATE lots SET held = 4 WHERE account_id = {a_id}",
        "Account {a}, lot of {c}: 4 is stored as held, its active holds sum to 0.",
    ),
    (
        "UPDATE hold_lots SET amount = 4 WHERE hold_id = {active_id}",
        "Hold {active}: 5 is reserved, but 4 of lots.",
    ),
    (
        (
            "UPDATE hold_lots SET lot_id = (SELECT id FROM lots WHERE account_id = {a_id})"
            " WHERE hold_id = {active_id}"
        ),
        "Hold {active}: an active hold of account {h} reserves a lot of account {a}.",
    ),
    (
        "UPDATE holds SET captured = 19 WHERE id = {done_id}",
        "Hold {done} is captured with 19 captured; its transaction is a capture of 20.",
    ),
    (
        "UPDATE holds SET transaction_id = {d_id} WHERE id = {done_id}",
        "Hold {done} is captured with 20 captured; its transaction is a debit of 30.",
    ),
    (
        "UPDATE holds SET captured = 2 WHERE id = {active_id}",
        "Hold {active} is active with 2 captured; its transaction is missing.",
    ),
    (
        "DELETE FROM holds WHERE id = {done_id}",
        "Transaction {captured} is a capture of 0 holds instead of one.",
    ),
    (
        (
            "UPDATE ledger_entries e SET amount = amount + 1 FROM accounts a"
            " WHERE a.id = e.account_id AND a.counterparty_id = {cafe_id}"
        ),
        "bakery owes cafe 6 in points:bakery, but cafe counts 5.",
    ),
    (
        (
            "DELETE FROM ledger_entries e USING accounts a"
            " WHERE a.id = e.account_id AND a.counterparty_id = {bakery_id}"
        ),
        "bakery owes cafe 5 in points:bakery, but cafe counts 0.",
    ),
    (
        (
            "DELETE FROM ledger_entries e USING accounts a"
            " WHERE a.id = e.account_id AND a.counterparty_id = {bakery_id}"
        ),
        ("Transaction {abroad}: bakery and cafe do not count the same: 5 in points:bakery."),
    ),
    (
        (
            "INSERT INTO clearing_days (account_id, through_id, day, amount)"
            " SELECT id, 0, DATE '2026-01-01', 7 FROM accounts WHERE counterparty_id = {cafe_id}"
        ),
        ("bakery and cafe on 2026-01-01: 7 in points:bakery was counted, but the entries say 0."),
    ),
    (
        (
            "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_merged_is_empty;"
            "UPDATE accounts SET closed_at = NULL, balance = 2, held = 1 WHERE id = {gone_id};"
            "UPDATE lots SET account_id = {gone_id} WHERE account_id = {a_id}"
        ),
        (
            "Account {gone} was merged into {heir}, but is open, has a balance of 2, has 1 held,"
            " has lots."
        ),
    ),
    (
        "UPDATE accounts SET unit_id = {roubles_id} WHERE id = {gone_id}",
        "Account {gone} was merged into {heir}, but that is of another kind.",
    ),
    (
        (
            "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_merged_is_empty;"
            "UPDATE accounts SET merged_into_id = {gone_id} WHERE id = {heir_id}"
        ),
        "Account {heir} was merged into itself, in a circle.",
    ),
]
