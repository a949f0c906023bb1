"""Other rules tried on the past."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.sales.shop import BOOK, Café
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.sales.rehearsing import Rehearsal, rehearse


def tried(café: Café, book: dict[str, Any]) -> Rehearsal:
    """On everything that was sold."""
    with café.database.read_tx() as session:
        return rehearse(
            session,
            café.programme,
            RuleBook.model_validate(book),
            café.now - timedelta(days=30),
            café.now + timedelta(days=1),
        )


def sold(café: Café) -> None:
    """Three cards, one of which reaches gold; one purchase came back."""
    one, two, three = café.card(200), café.card(200), café.card()
    gift = café.certificate(50_000)
    café.buy(one, 90_000, points=100, certificates=[(gift, 10_000)])
    café.buy(one, 40_000)
    café.buy(one, 10_000, points=20)
    café.buy(two, [{"item": "tea", "quantity": "3", "price": 3_333}])
    café.refund(café.buy(three, 10_000))


def test_the_present_rules_change_nothing(café: Café) -> None:
    """What was recorded is what a rehearsal of the same rules finds."""
    sold(café)
    found = tried(café, BOOK)
    assert (found.purchases, found.cards, found.winners, found.losers) == (4, 2, 0, 0)
    assert found.earned_before == found.earned_after > 0
    assert found.liability == 0


def test_other_rules_have_winners_and_losers(café: Café) -> None:
    """Tea becomes cheaper, everything else earns nothing; nothing is written."""
    sold(café)
    before = café.all("SELECT count(*) FROM ledger_entries")
    found = tried(
        café,
        {
            "earn": {"percent": "0"},
            "promotions": [
                {
                    "id": "tea",
                    "name": {"ru": "Чай", "en": "Tea"},
                    "when": {"items": ["tea"]},
                    "effect": {"kind": "discount", "percent": "50"},
                }
            ],
        },
    )
    assert (found.winners, found.losers) == (1, 1)
    assert (found.earned_after, found.discount_after) == (0, 5_000)
    assert found.liability == -found.earned_before
    assert café.all("SELECT count(*) FROM ledger_entries") == before
