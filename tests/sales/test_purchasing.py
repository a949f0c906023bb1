"""Purchases: what they take, give and write down, in one transaction."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.sales.rehearsals import tried
from tests.sales.shop import BOOK, TILL, Café
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.certificates.life import block
from walletsvc.core.errors import (
    CertificateBlocked,
    CertificateExpired,
    Conflict,
    HoldClosed,
    InputError,
    InsufficientFunds,
    NotAccepted,
    Refused,
)
from walletsvc.merchants.acceptance import stop_accepting
from walletsvc.merchants.models import Branch
from walletsvc.merchants.service import switch_branch
from walletsvc.programmes.rulebook.reasons import Reason, words
from walletsvc.sales.models import PurchaseState


def test_money_alone_earns_by_the_rules(café: Café) -> None:
    """Five percent of a thousand roubles, spendable at once, ending when the book says."""
    card = café.card()
    made = café.buy(card, 100_000)
    assert (made.total, made.paid_money, made.earned, made.tier_amount) == (
        100_000, 100_000, 50, 100_000,
    )  # fmt: skip
    assert café.available(card) == 50
    assert café.turnover(card) == 100_000
    assert café.tier(card) == "gold"
    assert made.receipt["balance"] == made.receipt["valid"] == 50
    assert café.clean()


def test_points_and_two_certificates_pay_together(café: Café) -> None:
    """The bill is paid to the last kopeck, each in its ledger transaction, earned by the rest."""
    card = café.card(200)
    first, second = café.certificate(20_000), café.certificate(50_000)
    made = café.buy(card, 100_000, points=100, certificates=[(first, 20_000), (second, 30_000)])
    assert (made.paid_points, made.paid_points_money) == (100, 10_000)
    assert (made.paid_certificates, made.paid_money) == (50_000, 40_000)
    assert made.earned == 45  # what points paid earns nothing
    assert (café.left(first), café.left(second)) == (0, 20_000)
    assert café.available(card) == 200 - 100 + 45
    assert [each["left"] for each in made.receipt["certificates"]] == [0, 20_000]
    assert café.all(
        "SELECT p.kind, p.amount, t.type FROM purchase_parts p"
        " JOIN ledger_transactions t ON t.id = p.transaction_id ORDER BY p.position"
    ) == [
        ("points", 100, "debit"),
        ("certificate", 20_000, "debit"),
        ("certificate", 30_000, "debit"),
        ("earn", 45, "credit"),
    ]
    assert café.clean()


def test_what_was_held_pays(café: Café) -> None:
    """Points and a certificate that were reserved before; what is not needed is free again."""
    card, gift = café.card(300), café.certificate(50_000)
    points, money = café.hold(card.account_id, 200), café.hold(gift.account_id, 40_000)
    made = café.buy(
        card,
        100_000,
        points=150,
        hold=points.public_id,
        certificates=[(gift, 30_000, money.public_id)],
    )
    assert (made.paid_points, made.paid_certificates) == (150, 30_000)
    assert café.all("SELECT state, captured FROM holds ORDER BY id") == [
        ("captured", 150),
        ("captured", 30_000),
    ]
    assert café.available(card) == 300 - 150 + made.earned
    assert café.left(gift) == 20_000
    assert café.clean()
    with pytest.raises(HoldClosed):
        café.buy(card, 100_000, hold=points.public_id)


def test_a_hold_without_points_pays_with_all_of_it(café: Café) -> None:
    """The till reserved what it wants to take."""
    card = café.card(300)
    held = café.hold(card.account_id, 200)
    assert café.buy(card, 100_000, hold=held.public_id).paid_points == 200


def test_points_for_later_are_promised(café: Café) -> None:
    """A delay makes an accrual; the receipt says when it may be spent."""
    café.publish({**BOOK, "available_after_days": 14})
    card = café.card(70, promotional=True)
    made = café.buy(card, 100_000)
    assert café.available(card) == 70
    assert made.receipt["promotional"] == made.receipt["valid"] == 70
    assert made.receipt["future"] == [{"amount": 50, "available_from": "2026-12-03T21:00:00+00:00"}]
    assert café.clean()


def test_the_same_report_twice_is_one_purchase(café: Café) -> None:
    """The till heard no answer and asks again: the same purchase, nothing moves."""
    card, gift = café.card(200), café.certificate(20_000)
    sale = café.sale(card, 100_000, points=50, certificates=[(gift, 20_000)])
    first = café.record(sale, "4711")
    again = café.record(sale, "4711")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.purchase.public_id == first.purchase.public_id
    assert café.all("SELECT count(*) FROM purchases") == [(1,)]
    assert café.left(gift) == 0
    assert café.clean()


def test_another_sale_under_the_same_number_is_told_what_differs(café: Café) -> None:
    """A till that counts its receipts anew: nothing is guessed, the fields are named."""
    card = café.card()
    first = café.buy(card, [{"item": "tea", "sum": 100}], name="4711")
    with pytest.raises(Conflict) as caught:
        café.buy(card, [{"item": "tea", "sum": 200}], name="4711", channel="online")
    assert caught.value.data == {
        "purchase": first.public_id,
        "differs": ["lines.0.sum", "channel"],
    }


def test_a_purchase_of_yesterday_counts_by_the_rules_of_yesterday(café: Café) -> None:
    """Late messages: the version of that time, the lot's dates from then, the ledger's `at` now."""
    café.publish({**BOOK, "earn": {"percent_by_tier": {"bronze": "50", "gold": "50"}}})
    card, yesterday = café.card(), café.now - timedelta(days=1)
    late, present = café.buy(card, 100_000, at=yesterday), café.buy(card, 1_000)
    assert (late.earned, present.earned) == (50, 5)
    assert late.rule_version_id != present.rule_version_id
    told, *_ = late.outcome["explanation"]
    assert told["code"] == "late"
    reason = Reason.model_validate(told)
    english = "Reported later: the rules and the tier of November 19, 2026 count"
    russian = "Сообщено позже: действуют правила и уровень на 19 ноября 2026"
    assert words(reason, "en") == english
    assert words(reason, "ru").startswith(russian)
    assert "late" not in [each["code"] for each in present.outcome["explanation"]]
    lots = café.lots(card)
    assert lots[0][1:3] == (yesterday, yesterday)
    assert lots[0][3] is not None
    assert lots[0][3].isoformat() == "2027-11-19T21:00:00+00:00"
    assert café.all("SELECT DISTINCT at FROM ledger_transactions") == [(café.now,)]
    assert café.clean()


def test_before_all_rules_the_first_ones_count(café: Café) -> None:
    """A message from before the programme's first version."""
    made = café.buy(café.card(), 100_000, at=café.now - timedelta(days=30))
    assert made.earned == 50
    assert made.receipt["rules"] == 1


def test_points_that_ended_before_they_were_known_are_written_off_as_any(café: Café) -> None:
    """A report that is two years late: earned and ended, not silently lost."""
    card = café.card()
    made = café.buy(card, 100_000, at=café.now - timedelta(days=700))
    assert made.earned == 50
    assert made.receipt["valid"] == café.available(card) == 0
    assert café.clean()


def test_a_sale_without_a_card(café: Café) -> None:
    """A certificate pays; nobody earns."""
    gift = café.certificate(20_000)
    made = café.buy(None, 30_000, certificates=[(gift, 20_000)])
    assert (made.paid_certificates, made.paid_money, made.earned) == (20_000, 10_000, 0)
    assert made.card_id is None
    assert café.clean()


def test_a_partner_takes_and_gives_the_cafés_points(café: Café) -> None:
    """What changed hands is owed between them, both ways."""
    card = café.card(100)
    made = café.buy(card, 100_000, by=café.caller(café.partner), points=40)
    assert (made.paid_points, made.earned) == (40, 48)
    assert café.turnover(card) == 96_000
    assert café.all(
        "SELECT a.organisation_id, sum(e.amount)::bigint FROM ledger_entries e"
        " JOIN accounts a ON a.id = e.account_id WHERE a.code = 'inter-organisation'"
        " GROUP BY 1 ORDER BY 1"
    ) == [(café.cafe.id, 40 - 48), (café.partner.id, 48 - 40)]
    assert café.clean()


def test_who_does_not_accept_gets_nothing(café: Café) -> None:
    """The café does not take the partner's cards; a branch that is off takes none at all."""
    with café.database.write_tx() as session:
        stop_accepting(session, café.cafe, café.partner)
    card, gift = café.card(10), café.certificate(1_000)
    with pytest.raises(NotAccepted):
        café.buy(card, 1_000, by=café.caller(café.partner))
    with pytest.raises(NotAccepted):
        café.buy(None, 1_000, by=café.caller(café.partner), certificates=[(gift, 500)])
    with café.database.write_tx() as session:
        switch_branch(session, café.branch.public_id, on=False, now=café.now)
    with pytest.raises(NotAccepted):
        café.buy(card, 1_000)
    assert café.all("SELECT count(*) FROM purchases") == [(0,)]


def test_what_was_sold_before_the_branch_closed_is_taken_afterwards(café: Café) -> None:
    """A till that was without a network; also when it is said again that the branch is off."""
    card, minute = café.card(10), timedelta(minutes=1)
    closed, later = café.now + minute, café.now + 5 * minute
    with café.database.write_tx() as session:
        switch_branch(session, café.branch.public_id, on=False, now=closed)
        switch_branch(session, café.branch.public_id, on=False, now=later)
    assert café.buy(card, 1_000, at=closed - minute / 60, now=later).branch_id == café.branch.id
    for at in (closed, later, None):
        with pytest.raises(NotAccepted):
            café.buy(card, 1_000, at=at, now=later)
    with café.database.write_tx() as session:
        switch_branch(session, café.branch.public_id, on=True, now=later)
        switch_branch(session, café.branch.public_id, on=False, now=later)
    assert café.buy(card, 1_000, at=closed, now=later).branch_id == café.branch.id
    with café.database.write_tx() as session:
        # As one that an earlier release switched off: nobody knows when.
        session.get_one(Branch, café.branch.id).switched_off_at = None
    with pytest.raises(NotAccepted):
        café.buy(card, 1_000, at=café.now, now=later)


def test_a_family_has_one_first_purchase(café: Café) -> None:
    """A welcome bonus is not for each card that joins; who leaves has bought before."""
    welcome = {
        "id": "welcome",
        "name": {"ru": "Первая", "en": "First"},
        "when": {"first_purchase": True},
        "effect": {"kind": "fixed", "points": 100},
    }
    café.publish({**BOOK, "earn": {"percent": "0"}, "promotions": [welcome]})
    one, two, other = café.card(), café.card(), café.card()
    assert café.buy(one, 50_000).earned == 100
    with café.database.write_tx() as session:
        groups.approve(session, two, one, reason="family", actor=TILL, now=café.now)
    assert café.buy(two, 50_000).earned == 0
    assert café.buy(other, 50_000).earned == 100
    found = tried(café, {**BOOK, "earn": {"percent": "0"}, "promotions": [welcome]}, limit=1)
    assert found["totals"]["earned_before"] == found["totals"]["earned_after"] == 200
    with café.database.write_tx() as session:
        groups.leave(session, session.get_one(Card, two.id), take=0, actor=TILL, now=café.now)
    assert café.buy(two, 50_000).earned == 0


def test_certificates_are_looked_at_one_by_one(café: Café) -> None:
    """Blocked, ended, too small: the error says which, and nothing is half-done."""
    good = café.certificate(50_000)
    ended = café.certificate(50_000, expires_at=café.now + timedelta(days=1))
    blocked = café.certificate(50_000)
    with café.database.write_tx() as session:
        block(session, blocked, actor=café.caller().actor, reason="lost", now=café.now)
    card, later = café.card(), café.now + timedelta(days=2)
    for bad, error, amount in (
        (ended, CertificateExpired, 1_000),
        (blocked, CertificateBlocked, 1_000),
        (café.certificate(500), InsufficientFunds, 1_000),
    ):
        with pytest.raises(error) as caught:
            café.buy(card, 90_000, certificates=[(good, 1_000), (bad, amount)], now=later)
        assert caught.value.data["certificate"] == bad.public_id
    assert café.left(good) == 50_000
    with pytest.raises(InputError) as twice:
        café.buy(card, 90_000, certificates=[(good, 1_000), (good, 1_000)])
    assert twice.value.fields[0].field == "certificates.1.certificate_id"


def test_more_points_than_the_rules_or_the_card_allow(café: Café) -> None:
    """Half of the bill by the rules; no more than there is."""
    card = café.card(100)
    with pytest.raises(Refused) as by_rules:
        café.buy(card, 10_000, points=51)
    assert by_rules.value.data == {"most_points": 50}
    with pytest.raises(InsufficientFunds) as by_balance:
        café.buy(card, 100_000, points=101)
    assert by_balance.value.data == {"available": 100}


def test_lines_may_come_in_any_order(café: Café) -> None:
    """Two cards, the same bill forwards and backwards: the same to the kopeck."""
    lines = [
        {"item": "tea", "quantity": "3", "price": 3_333},
        {"item": "cake", "sum": 9_999},
        {"item": "tea", "quantity": "0.5", "price": 3_333},
    ]
    one, other = café.card(100), café.card(100)
    first = café.buy(one, lines, points=60)
    second = café.buy(other, lines[::-1], points=60)
    assert first.outcome == second.outcome
    assert café.available(one) == café.available(other)


def test_a_card_of_nobody_and_a_future_time_are_named(café: Café) -> None:
    """Bad input says which field."""
    card = café.card()
    for options, field in (
        ({"at": café.now + timedelta(hours=1)}, "at"),
        ({"branch": "0" * 20}, "branch_id"),
        ({"hold": "0" * 20}, "hold_id"),
    ):
        with pytest.raises(InputError) as caught:
            café.buy(card, 1_000, **options)
        assert caught.value.fields[0].field == field
    with pytest.raises(InputError) as huge:
        café.buy(card, [{"quantity": "1000000", "price": 10**15}])
    assert huge.value.fields[0].field == "lines"
    assert café.buy(card, 1_000, at=café.now + timedelta(minutes=5)).at == café.now


def test_states_begin_as_recorded(café: Café) -> None:
    """And lines are written down merged, with how each was paid."""
    made = café.buy(café.card(100), [{"item": "tea", "sum": 10_000}], points=30)
    assert made.state is PurchaseState.RECORDED
    assert café.all(
        "SELECT item, quantity, sum, discount, earned, points_paid_money, returned_sum"
        " FROM purchase_lines"
    ) == [("tea", 1, 10_000, 0, 3, 3_000, 0)]
