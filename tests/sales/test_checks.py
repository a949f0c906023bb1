"""What verification finds wrong with purchases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.sales.shop import BOOK, TILL, Café
from walletsvc.app import LEDGER_CHECKS
from walletsvc.cards.groups import service as groups
from walletsvc.ledger.service import reverse
from walletsvc.ledger.verify import differences
from walletsvc.sales import checks

# Damage to a purchase `{p}` of 1000 roubles, of which 100 points and 200 by a certificate, half of
# it returned, and the sentence that must name it. `{q}` was never returned.
DAMAGE = [
    (
        "UPDATE turnover SET amount = amount + 1",
        (
            "Account {account} bought for {wrong} on 2026-11-20 at cafe, by its purchases and"
            " refunds for {turnover}."
        ),
    ),
    (
        "DELETE FROM turnover",
        (
            "Account {account} bought for 0 on 2026-11-20 at cafe, by its purchases and refunds"
            " for {turnover}."
        ),
    ),
    (
        "UPDATE turnover SET day = day - 1",
        (
            "Account {account} bought for {turnover} on 2026-11-19 at cafe, by its purchases and"
            " refunds for 0."
        ),
    ),
    (
        "DELETE FROM purchase_parts WHERE kind = 'points'",
        "Purchase {p}: what points paid is 100, its transactions are for 0.",
    ),
    (
        "UPDATE purchase_parts SET amount = amount + 5 WHERE kind = 'certificate'",
        "Purchase {p}: what certificates paid is 20000, its transactions are for 20005.",
    ),
    (
        "UPDATE purchases SET earned = earned + 1",
        "Purchase {q}: what it earned is 6, its transactions are for 5.",
    ),
    (
        "UPDATE ledger_entries SET amount = amount * 2 WHERE transaction_id = {points}",
        "Purchase {p}: transaction {points_name} moved -200, the purchase says -100.",
    ),
    (
        "UPDATE ledger_transactions SET type = 'expiry' WHERE id = {points}",
        "Purchase {p}: transaction {points_name} is of type expiry.",
    ),
    (
        "UPDATE ledger_transactions SET card_id = NULL WHERE id = {points}",
        "Purchase {p}: transaction {points_name} is another card's.",
    ),
    (
        "UPDATE ledger_entries SET account_id = {other} WHERE account_id = {own}",
        "Purchase {p}: transaction {points_name} is on another account.",
    ),
    (
        "DELETE FROM ledger_transactions WHERE undoes_id = {points}",
        "Purchase {p}: refunds say that 50 points came back, its transactions were undone by 0.",
    ),
    (
        "UPDATE refunds SET taken_back = 100",
        (
            "Purchase {p}: refunds say that 100 of the earnings was taken back, its transactions"
            " were undone by {taken}."
        ),
    ),
    (
        "UPDATE refunds SET certificates_returned = 20000",
        (
            "Purchase {p}: refunds say that 20000 of certificates came back, its transactions were"
            " undone by 10000."
        ),
    ),
    (
        "DELETE FROM purchase_lines",
        "Purchase {q}: the total is 10000, 0 by its lines.",
    ),
    (
        "UPDATE purchase_lines SET returned_sum = 0",
        "Purchase {p}: what came back of its lines is 0, 50000 by its refunds.",
    ),
    (
        "UPDATE purchases SET state = 'refunded'",
        "Purchase {p} is refunded, but 50000 of 100000 came back.",
    ),
    (
        "UPDATE purchases SET state = 'partly_refunded'",
        "Purchase {q} is partly_refunded, but nothing came back of it.",
    ),
    (
        "UPDATE purchases SET state = 'corrected'",
        "Purchase {q} is corrected, but no other counts in its place.",
    ),
    (
        (
            "UPDATE purchases SET corrects_id = (SELECT min(id) FROM purchases) WHERE id ="
            " (SELECT max(id) FROM purchases)"
        ),
        "Purchase {p} is partly_refunded, but another counts in its place.",
    ),
]


@pytest.fixture
def names(café: Café) -> dict[str, Any]:
    """A purchase with everything, half returned, and a plain one; what they are called."""
    card, other = café.card(200), café.card()
    gift = café.certificate(50_000)
    first = café.buy(card, 100_000, points=100, certificates=[(gift, 20_000)])
    café.refund(first, sum=50_000)
    second = café.buy(card, 10_000)
    turnover = café.turnover(card)
    transactions = dict(
        café.all(
            "SELECT x.kind, t.id FROM purchase_parts x"
            " JOIN ledger_transactions t ON t.id = x.transaction_id WHERE x.purchase_id = :id",
            id=first.id,
        )
    )
    points = transactions["points"]
    return {
        "p": first.public_id,
        "q": second.public_id,
        "account": café.all("SELECT public_id FROM accounts WHERE id = :id", id=card.account_id)[0][
            0
        ],
        "own": card.account_id,
        "other": other.account_id,
        "turnover": turnover,
        "wrong": turnover + 1,
        "points": points,
        "points_name": café.all(
            "SELECT public_id FROM ledger_transactions WHERE id = :id", id=points
        )[0][0],
        "taken": café.all("SELECT taken_back FROM refunds")[0][0],
    }


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE, ids=[each[1] for each in DAMAGE])
def test_each_kind_of_damage_is_named(
    café: Café, names: dict[str, Any], damage: str, sentence: str
) -> None:
    """The purchase or account, and what does not agree."""
    with Session(café.database.engine) as session:
        assert list(differences(session, LEDGER_CHECKS)) == []
        session.rollback()
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(damage.format(**names)))
        assert sentence.format(**names) in list(differences(session, checks.CHECKS))
        session.rollback()


def test_what_is_right_is_not_named(café: Café) -> None:
    """Families, partners, points for later, corrections, returns of what was spent, by staff."""
    café.publish(BOOK | {"available_after_days": 14}, café.now - timedelta(days=1))
    one, two = café.card(100), café.card()
    first = café.buy(one, 50_000)
    late = café.buy(one, 30_000, at=café.now - timedelta(days=3))
    café.buy(two, 20_000, by=café.caller(café.partner))
    with café.database.write_tx() as session:
        groups.approve(session, two, one, reason="family", actor=TILL, now=café.now)
    café.refund(first, sum=7_777)
    café.correct(café.buy(two, 40_000), café.sale(one, 4_000))
    café.refund_early("R-early", sum=1_000)
    café.buy(one, 9_000, name="R-early")
    spent = café.buy(two, 80_000)
    with café.database.write_tx() as session:
        (part,) = session.execute(
            text("SELECT transaction_id FROM purchase_parts WHERE purchase_id = :id"),
            {"id": spent.id},
        ).one()
        reverse(session, part, amount=3, actor=TILL, reason="by hand", now=café.now)
    café.refund(late)
    café.buy(None, 5_000)
    assert café.clean()
