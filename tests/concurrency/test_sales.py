"""Sales at many tills at once: nothing is spent twice, nothing is returned twice, no deadlock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session

from tests.concurrency.at_once import crashing, outcome, together
from tests.sales.shop import TILL, Café, open_café
from walletsvc.app import event_handlers
from walletsvc.cards.groups import service as groups
from walletsvc.core.errors import Conflict, InsufficientFunds, Refused
from walletsvc.jobs import events
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.sales.correcting import correct
from walletsvc.sales.models import Purchase
from walletsvc.sales.purchasing import Recorded, purchase
from walletsvc.sales.refunding import refund
from walletsvc.sales.sale import Reference, Return, Sale
from walletsvc.storage.engine import Database

TILLS = 16


@pytest.fixture
def crowd(database_url: str, now: datetime) -> Iterator[Café]:
    """A café whose database serves sixteen tills at once."""
    database = Database(database_url, pool_size=TILLS, carried=events.carried(event_handlers()))
    yield open_café(database, now)
    database.close()


def test_one_card_at_sixteen_tills(crowd: Café) -> None:
    """A hundred points and one certificate: they pay ten bills each, and no more."""
    card, gift = crowd.card(100), crowd.certificate(10_000)
    tender = [(gift, 1_000)]

    def till(number: int) -> str:
        return outcome(
            lambda: crowd.buy(card, 3_000, points=10, certificates=tender, name=str(number))
        )

    results = together(TILLS, till)
    # What they earned would let an eleventh pay with points, but the certificate is used up.
    assert Counter(results) == {"done": 10, InsufficientFunds.code: 6}
    assert crowd.left(gift) == 0
    assert crowd.available(card) == 100 - 10 * 10 + 10 * 1
    assert crowd.turnover(card) == 10 * 2_000
    assert crowd.clean()


def _again(crowd: Café, sale: Sale, name: str, _: int) -> Recorded:
    return crowd.record(sale, name)


def test_one_report_from_sixteen_lines(crowd: Café) -> None:
    """A till whose network stutters: one purchase, the others get it too, card or no card."""
    card, gift = crowd.card(100), crowd.certificate(50_000)
    for name, sale in (
        ("with", crowd.sale(card, 10_000, points=50, certificates=[(gift, 1_000)])),
        ("without", crowd.sale(None, 10_000)),
    ):
        done = together(TILLS, partial(_again, crowd, sale, name))
        assert len({each.purchase.public_id for each in done}) == 1
        assert [each.repeated for each in done].count(False) == 1
    assert crowd.left(gift) == 49_000
    assert crowd.clean()


def test_the_first_purchase_is_one(crowd: Café) -> None:
    """Named bug, check before lock: sixteen first purchases bring one welcome bonus."""
    crowd.publish(
        {
            "earn": {"percent": "0"},
            "max_earn_percent": "1000",
            "promotions": [
                {
                    "id": "welcome",
                    "name": {"ru": "Привет", "en": "Welcome"},
                    "when": {"first_purchase": True},
                    "effect": {"kind": "fixed", "points": 100},
                }
            ],
        }
    )
    card = crowd.card()
    made = together(TILLS, lambda number: crowd.buy(card, 10_000, name=str(number)))
    assert sorted(each.earned for each in made) == [0] * 15 + [100]
    assert crowd.available(card) == 100


def test_two_returns_at_once(crowd: Café) -> None:
    """Of sixteen full returns one is taken; of sixteen halves two."""
    for part, taken in ((None, 1), (5_000, 2)):
        card, gift = crowd.card(100), crowd.certificate(5_000)
        made = crowd.buy(card, 10_000, points=50, certificates=[(gift, 2_000)])
        returned: dict[str, Any] = {} if part is None else {"sum": part}

        def till(number: int, made: Purchase = made, returned: dict[str, Any] = returned) -> str:
            return outcome(lambda: crowd.refund(made, name=f"{made.id}-{number}", **returned))

        assert Counter(together(TILLS, till)) == {"done": taken, Refused.code: TILLS - taken}
        assert (crowd.available(card), crowd.left(gift), crowd.turnover(card)) == (100, 5_000, 0)
    assert crowd.clean()


def test_returns_against_purchases(crowd: Café) -> None:
    """What came back can be spent at once, once."""
    card, gift = crowd.card(100), crowd.certificate(8_000)
    tender = [(gift, 1_000)]
    first = [
        crowd.buy(card, 3_000, points=10, certificates=tender, name=f"first-{number}")
        for number in range(8)
    ]

    def till(number: int) -> str:
        if number % 2:
            return outcome(lambda: crowd.refund(first[number // 2]))
        name = f"second-{number}"
        return outcome(lambda: crowd.buy(card, 3_000, points=10, certificates=tender, name=name))

    results = together(TILLS, till)
    assert Counter(results[1::2]) == {"done": 8}
    again = results[::2].count("done")
    assert set(results[::2]) <= {"done", InsufficientFunds.code}
    assert crowd.left(gift) == 1_000 * (8 - again)
    assert crowd.turnover(card) == 2_000 * again
    assert crowd.clean()


def test_a_return_and_its_purchase_at_once(crowd: Café) -> None:
    """Whichever arrives first, in the end it is applied once."""
    cards = [crowd.card() for _ in range(8)]

    def till(number: int) -> None:
        name = f"late-{number // 2}"
        if number % 2:
            crowd.refund_early(name)
        else:
            crowd.buy(cards[number // 2], 40_000, name=name)

    together(TILLS, till)
    assert crowd.all("SELECT DISTINCT state FROM refunds") == [("done",)]
    assert crowd.all("SELECT DISTINCT state FROM purchases") == [("refunded",)]
    assert {(crowd.available(card), crowd.turnover(card)) for card in cards} == {(0, 0)}
    assert crowd.clean()


def test_purchases_and_returns_against_joining_a_group(crowd: Café) -> None:
    """A card joins a family while it buys and returns: everything is on the shared account."""
    founder, joiner = crowd.card(50), crowd.card(50)
    old = crowd.buy(joiner, 10_000, points=20)

    def till(number: int) -> str:
        if number == 0:
            return outcome(join)
        if number == 1:
            return outcome(lambda: crowd.refund(old))
        card = joiner if number % 2 else founder
        return outcome(lambda: crowd.buy(card, 2_000, points=2, name=str(number)))

    def join() -> None:
        with crowd.database.write_tx() as session:
            groups.approve(session, joiner, founder, reason="t", actor=TILL, now=crowd.now)

    results = together(TILLS, till)
    assert set(results) <= {"done", Conflict.code}
    done = results[2:].count("done")
    assert results[:2] == ["done", "done"]
    assert crowd.available(founder) == crowd.available(joiner) == 100 - done * 2
    assert crowd.turnover(founder) == crowd.turnover(joiner) == 1_800 * done
    assert crowd.clean()


def test_a_return_whose_account_is_merged_at_its_lock(crowd: Café) -> None:
    """The card joins a family after the return has seen where its points are, and before it locks
    them: what was earned comes back all the same."""
    founder, joiner = crowd.card(50), crowd.card(50)
    old = crowd.buy(joiner, 10_000, points=20)
    assert old.earned == 4
    joined: list[str] = []

    def join() -> None:
        with crowd.database.write_tx() as session:
            groups.approve(session, joiner, founder, reason="t", actor=TILL, now=crowd.now)

    def before(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not joined and "FOR NO KEY UPDATE OF a" in statement:
            joined.append("now")
            with ThreadPoolExecutor(1) as pool:
                pool.submit(join).result(timeout=20)

    event.listen(crowd.database.engine, "before_cursor_execute", before)
    back = crowd.refund(old)
    event.remove(crowd.database.engine, "before_cursor_execute", before)
    assert joined
    assert (back.taken_back, back.shortfall) == (4, 0)
    assert crowd.available(founder) == crowd.available(joiner) == 100
    assert (crowd.turnover(founder), crowd.tier(founder)) == (0, "bronze")
    assert crowd.clean()


@pytest.mark.parametrize("verb", ["purchase", "refund", "correction"])
def test_a_crash_between_any_two_steps_leaves_nothing(crowd: Café, verb: str) -> None:
    """Dying after any statement leaves everything as it was; the retry does the work once."""
    card, gift = crowd.card(100), crowd.certificate(5_000)
    old = crowd.buy(card, 10_000, points=20, certificates=[(gift, 1_000)])
    sale = crowd.sale(card, 8_000, points=10, certificates=[(gift, 500)])
    own, name = crowd.caller(), Reference("pos", "crash")

    def work(session: Session) -> None:
        match verb:
            case "purchase":
                purchase(session, own, sale, name, crowd.now)
            case "refund":
                back = Return(Returned(), "test")
                refund(session, own, old.public_id, name, back, crowd.now)
            case _:
                correct(session, own, old.public_id, sale, name, "test", crowd.now)

    def everything() -> list[object]:
        tables = ("purchases", "purchase_lines", "refunds", "turnover", "account_tiers", "lots",
                  "accounts", "ledger_entries")  # fmt: skip
        return [sorted(crowd.all(f"SELECT t::text FROM {name} t")) for name in tables]

    before, survived = everything(), 0
    while crashing(crowd.database, survived, work):
        assert everything() == before, f"after {survived} statements"
        survived += 1
    assert survived >= 4
    assert everything() != before
    assert crowd.clean()
