"""Organisations pay each other what they owe, never more."""

from __future__ import annotations

import pytest

from tests.ledger.coalition import Coalition, open_coalition
from tests.ledger.shop import Shop
from walletsvc.core.errors import AlreadyReversed, InputError, NotFound, Refused
from walletsvc.ledger.models import TransactionType


@pytest.fixture
def coalition(shop: Shop) -> Coalition:
    """The hotel's holder has 100 points and spent 30 of them in the restaurant."""
    coalition = open_coalition(shop)
    coalition.give("hotel", 100)
    coalition.redeem("hotel", 30, at="restaurant")
    return coalition


def entries(coalition: Coalition, transaction_id: int) -> dict[tuple[str, str, str | None], int]:
    """The entries of a transaction by organisation, code and counterparty."""
    rows = coalition.shop.all(
        "SELECT o.slug, coalesce(a.code, a.kind), c.slug, e.amount FROM ledger_entries e"
        " JOIN accounts a ON a.id = e.account_id JOIN organisations o ON o.id = a.organisation_id"
        " LEFT JOIN organisations c ON c.id = a.counterparty_id WHERE e.transaction_id = :t",
        t=transaction_id,
    )
    found = {row[:3]: row[3] for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_payment_lessens_what_both_sides_see(coalition: Coalition) -> None:
    """The debtor's and the creditor's account move alike, each against its own cash."""
    assert (coalition.owed("hotel", "restaurant"), coalition.owed("restaurant", "hotel")) == (
        30,
        -30,
    )
    paid = coalition.pay("hotel", "restaurant", 20, reason="п/п 17 от 30.11.2026")
    assert (coalition.owed("hotel", "restaurant"), coalition.owed("restaurant", "hotel")) == (
        10,
        -10,
    )
    assert entries(coalition, paid.id) == {
        ("hotel", "inter-organisation", "restaurant"): -20,
        ("hotel", "cash-clearing", None): 20,
        ("restaurant", "inter-organisation", "hotel"): 20,
        ("restaurant", "cash-clearing", None): -20,
    }
    assert (paid.type, paid.organisation_id) == (
        TransactionType.SETTLEMENT,
        coalition.ids["hotel"],
    )
    assert coalition.shop.differences() == []


@pytest.mark.parametrize(
    ("debtor", "creditor", "amount", "owed"),
    [
        ("hotel", "restaurant", 31, 30),
        ("restaurant", "hotel", 1, 0),
        ("hotel", "spa", 1, 0),
    ],
    ids=["more than is owed", "the other way round", "strangers"],
)
def test_more_than_is_owed_is_refused(
    coalition: Coalition, debtor: str, creditor: str, amount: int, owed: int
) -> None:
    """The refusal says how much is owed, and nothing is written."""
    before = coalition.shop.everything()
    with pytest.raises(Refused) as caught:
        coalition.pay(debtor, creditor, amount)
    assert caught.value.data == {"owed": owed}
    assert coalition.shop.everything() == before


def test_a_unit_is_settled_by_itself(coalition: Coalition) -> None:
    """Points owed are not paid by a payment in roubles."""
    with pytest.raises(Refused) as caught:
        coalition.pay("hotel", "restaurant", 1, unit=coalition.roubles)
    assert caught.value.data == {"owed": 0}


def test_a_refund_after_the_payment_turns_the_debt_round(coalition: Coalition) -> None:
    """What was paid for a redemption that is then refunded is owed back, and can be paid."""
    spent = coalition.redeem("hotel", 10, at="restaurant")
    coalition.pay("hotel", "restaurant", 40)
    coalition.reverse(spent)
    assert coalition.owed("hotel", "restaurant") == -10
    coalition.pay("restaurant", "hotel", 10)
    assert coalition.owed("hotel", "restaurant") == 0
    assert coalition.shop.differences() == []


def test_a_settlement_is_taken_back_once(coalition: Coalition) -> None:
    """Its entries with other signs; then it is owed again, and can be paid again."""
    paid = coalition.pay("hotel", "restaurant", 30)
    undone = coalition.unpay(paid.public_id)
    assert entries(coalition, undone.id) == {
        key: -amount for key, amount in entries(coalition, paid.id).items()
    }
    assert (undone.undoes_id, coalition.owed("hotel", "restaurant")) == (paid.id, 30)
    with pytest.raises(AlreadyReversed):
        coalition.unpay(paid.public_id)
    again = coalition.pay("hotel", "restaurant", 30)
    found = coalition.statements("hotel", coalition.shop.now, coalition.shop.days(1))[0]
    assert [(each.movement, each.count, each.amount) for each in found.movements] == [
        ("redeemed", 1, 30),
        ("settled", 2, -60),
        ("settlement_taken_back", 1, 30),
    ]
    assert coalition.shop.differences() == []
    with pytest.raises(Refused):  # not with the verb for what happened to a holder
        coalition.reverse(again)


def test_only_a_settlement_is_taken_back(coalition: Coalition) -> None:
    """Neither another transaction nor none."""
    spent = coalition.redeem("hotel", 5, at="restaurant")
    for public_id in (spent.public_id, "nope"):
        with pytest.raises(NotFound):
            coalition.unpay(public_id)


@pytest.mark.parametrize("amount", [0, -1, True, 10**16])
def test_bad_amounts_and_partners_are_named(coalition: Coalition, amount: int) -> None:
    """The field of what is wrong."""
    with pytest.raises(InputError) as caught:
        coalition.pay("hotel", "restaurant", amount)
    assert caught.value.fields[0].field == "amount"
    with pytest.raises(InputError) as caught:
        coalition.pay("hotel", "hotel", 1)
    assert caught.value.fields[0].field == "creditor"


@pytest.mark.parametrize("verb", ["debit", "capture", "credit", "accrual", "matured accrual"])
@pytest.mark.parametrize("part", [None, 7])
def test_a_reversal_posts_to_the_same_pair(
    coalition: Coalition, verb: str, part: int | None
) -> None:
    """Whole or in part, all that the original moved between the two is moved back."""
    shop, now = coalition.shop, coalition.shop.now
    match verb:
        case "debit":
            done = coalition.redeem("hotel", 20, at="spa")
        case "capture":
            done = coalition.capture("hotel", 20, at="spa", now=now)
        case "credit":
            done = coalition.give("hotel", 20, at="spa")
        case _:
            done = coalition.give("hotel", 20, at="spa", available_from=shop.days(3))
    if verb == "matured accrual":
        now = shop.days(4)
        coalition.give("hotel", 1, now=now)
    moved = entries(coalition, done.id)
    owed = coalition.owed("hotel", "spa")
    assert owed == (20 if verb in ("debit", "capture") else -20)
    undone = coalition.reverse(done, amount=part, now=now)
    back = entries(coalition, undone.id)
    size = part or 20
    if verb == "matured accrual":  # what was pending has become the holder's
        moved["hotel", "customer", None] = moved.pop(("hotel", "pending", None))
    assert back == {key: -size if amount > 0 else size for key, amount in moved.items()}
    assert coalition.owed("hotel", "spa") == (owed - size if owed > 0 else owed + size)
    assert coalition.owed("spa", "hotel") == -coalition.owed("hotel", "spa")
    if part:
        coalition.reverse(done, now=now)
        assert coalition.owed("hotel", "spa") == 0
    assert shop.differences() == []
