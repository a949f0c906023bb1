"""Whatever the rules and the bill: a quote is its purchase, and returns restore everything."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.programmes.rulebook.strategies import books
from tests.sales.shop import TILL, Café
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import Refused
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.sales.quoting import most_points
from walletsvc.sales.sale import Sale

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
HOW_MANY = settings(
    max_examples=300 if LONG else 25,
    derandomize=not LONG,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking real purchases takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "item": st.sampled_from(["a", "b", "c", None]),
            "group": st.sampled_from(["x", "y", None]),
            "quantity": st.sampled_from(["1", "2", "0.333", "7"]),
            "price": st.integers(0, 40_000),
        }
    ),
    min_size=1,
    max_size=6,
)
SHARES = st.floats(0, 1, allow_nan=False)


def _publish(café: Café, book: RuleBook, at: Any) -> None:
    with café.database.write_tx() as session:
        versions.save_draft(session, café.programme, book, TILL, "", at)
        versions.publish(session, café.programme, TILL, at)


def _paid(
    café: Café, card: Card, gift: Certificate, lines: list[dict[str, Any]], part: float
) -> Sale:
    """A bill that is paid with a part of what may pay it."""
    plain = café.quote(café.sale(card, lines))
    certificate = int(plain.outcome.payable * part / 2)
    with_gift = [(gift, certificate)] if certificate else []
    quoted = café.quote(café.sale(card, lines, certificates=with_gift))
    most = most_points(quoted)
    points = int(most * part)
    sale = café.sale(card, lines, points=points, certificates=with_gift)
    try:
        café.quote(sale)
    except Refused:  # not a whole step: all that may pay does
        sale = café.sale(card, lines, points=most, certificates=with_gift)
    return sale


def test_a_quote_is_its_purchase_and_returns_restore_everything(café: Café) -> None:
    """In random parts, under random rules, which another version may replace in between."""
    moment = [café.now - timedelta(days=1)]

    @HOW_MANY
    @given(
        book=books(stamps=False), other=books(stamps=False), lines=LINES, part=SHARES,
        cuts=st.lists(st.integers(1, 50_000), max_size=4), replaced=st.booleans(),
    )  # fmt: skip
    def scenario(
        book: RuleBook,
        other: RuleBook,
        lines: list[dict[str, Any]],
        part: float,
        cuts: list[int],
        replaced: bool,
    ) -> None:
        moment[0] += timedelta(seconds=10)
        _publish(café, book, moment[0])
        card = café.card(300, expires_at=café.now + timedelta(days=5))
        café.credit(card, 5_000, expires_at=café.now + timedelta(days=50), promotional=True)
        gift = café.certificate(300_000)
        before = café.lots(card)
        sale = _paid(café, card, gift, lines, part)
        quoted = café.quote(sale)
        backwards = café.quote(
            café.sale(
                card, lines[::-1], points=sale.points,
                certificates=[(gift, each.amount) for each in sale.certificates],
            )
        )  # fmt: skip
        assert backwards.outcome == quoted.outcome
        made = café.record(sale).purchase
        assert made.outcome == quoted.outcome.model_dump(mode="json")
        assert café.left(gift) == 300_000 - made.paid_certificates
        if replaced:
            moment[0] += timedelta(seconds=1)
            _publish(café, other, moment[0])
        left = made.total - made.discount
        for cut in cuts:
            if cut < left:
                café.refund(made, sum=cut)
                left -= cut
        café.refund(made)
        assert café.lots(card) == before
        assert (café.left(gift), café.turnover(card)) == (300_000, 0)
        assert café.clean()

    scenario()


def test_versions_never_mix(café: Café) -> None:
    """Purchases dated at random around a change of rules: each by the version of its time."""
    change = café.now - timedelta(days=3)
    café.publish({"earn": {"percent": "1"}}, change - timedelta(days=1))
    café.publish({"earn": {"percent": "20"}}, change)
    card = café.card()

    @HOW_MANY
    @given(seconds=st.integers(-80_000, 80_000), amount=st.integers(0, 10**7))
    def scenario(seconds: int, amount: int) -> None:
        at = change + timedelta(seconds=seconds)
        made = café.buy(card, amount, at=at)
        assert made.earned == amount * (20 if at >= change else 1) // 10_000
        assert made.receipt["rules"] == (3 if at >= change else 2)

    scenario()


def test_the_tier_follows_purchases_never_the_balance(café: Café) -> None:
    """Named bug: a card with a million points has bought nothing, one without any a lot."""
    rich, poor = café.card(1_000_000), café.card()
    café.buy(rich, 50_000)
    assert café.tier(rich) in ("bronze", None)
    café.buy(poor, 60_000)
    café.buy(poor, 100_000, points=20)
    assert café.tier(poor) == "gold"
    assert café.buy(rich, 10_000).tier_before == "bronze"
    assert café.buy(poor, 10_000).earned == 10


def test_a_promotion_is_applied_once(café: Café) -> None:
    """Named bug: a bonus per bill, an item split over lines, the same report twice."""
    café.publish(
        {
            "earn": {"percent": "0"},
            "max_earn_percent": "1000",
            "promotions": [
                {
                    "id": "welcome",
                    "name": {"ru": "Привет", "en": "Welcome"},
                    "when": {"first_purchase": True, "items": ["tea"]},
                    "effect": {"kind": "fixed", "points": 100},
                }
            ],
        }
    )
    card = café.card()
    lines = [{"item": "tea", "sum": 1_000}, {"item": "tea", "sum": 1_000}]
    sale = café.sale(card, lines)
    first, again = café.record(sale, "1"), café.record(sale, "1")
    assert (first.purchase.earned, again.repeated) == (100, True)
    assert café.buy(card, lines).earned == 0  # not the first any more
    assert café.available(card) == 100
