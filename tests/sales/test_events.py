"""What others hear of sales: each once, in the transaction that makes it true."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.sales.shop import Café, open_café
from walletsvc.core.errors import Conflict, InputError, Refused
from walletsvc.jobs import events
from walletsvc.jobs.events import Event, PurchaseRecorded, PurchaseRefunded
from walletsvc.storage.engine import Database

NOTE = text("INSERT INTO counters (name, labels, value) VALUES ('heard', :what, 1)")


class Ear:
    """Notes what it hears, in the database too: a second time would violate the primary key."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.fails = False

    def __call__(self, session: Session, event: PurchaseRecorded | PurchaseRefunded) -> None:
        what = event.refund if isinstance(event, PurchaseRefunded) else event.purchase
        session.execute(NOTE, {"what": what})
        self.heard.append(event)
        if self.fails:
            raise Conflict("no")


@pytest.fixture
def ear() -> Ear:
    """A handler of both events."""
    return Ear()


@pytest.fixture
def café(database_url: str, now: datetime, ear: Ear) -> Iterator[Café]:
    """A café at which somebody listens."""
    handlers = {PurchaseRecorded: (ear,), PurchaseRefunded: (ear,)}
    database = Database(database_url, carried=events.carried(handlers))
    yield open_café(database, now)
    database.close()


def kept(café: Café) -> list[str]:
    """What was heard and committed."""
    return [what for (what,) in café.all("SELECT labels FROM counters WHERE name = 'heard'")]


def test_a_purchase_is_told_with_its_sums(café: Café, ear: Ear) -> None:
    """By public ids; nothing of the holder."""
    card, gift = café.card(200), café.certificate(50_000)
    sold_at = café.now - timedelta(hours=1)
    made = café.buy(card, 100_000, points=100, certificates=[(gift, 20_000)], at=sold_at)
    (told,) = ear.heard
    assert asdict(told) == {
        "at": café.now,
        "purchase": made.public_id,
        "organisation_id": café.cafe.id,
        "programme_id": café.programme.id,
        "card": card.public_id,
        "branch": café.branch.public_id,
        "corrects": None,
        "sold_at": sold_at,
        "currency": "RUB",
        "total": 100_000,
        "discount": 0,
        "paid_points": 100,
        "paid_certificates": 20_000,
        "paid_money": 70_000,
        "earned": 45,
        "stamps": 0,
        "tier_before": "bronze",
        "tier_after": "bronze",
    }
    assert kept(café) == [made.public_id]


def test_a_second_report_is_not_told_again(café: Café, ear: Ear) -> None:
    """Whether it comes later or at the same time; a quote is no purchase."""
    sale = café.sale(café.card(), 10_000)
    café.quote(sale)
    assert ear.heard == []
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: café.record(sale, "one"), range(8)))
    assert len({each.purchase.public_id for each in done}) == 1
    café.record(sale, "one")
    assert kept(café) == [done[0].purchase.public_id]
    assert len(ear.heard) == 1
    with pytest.raises(Conflict):
        café.record(café.sale(café.card(), 10_001), "one")
    with pytest.raises(InputError):
        café.record(café.sale(café.card(), 10_000, branch="nowhere"), "two")
    assert len(ear.heard) == 1


def test_a_return_is_told_once_with_what_came_back(café: Café, ear: Ear) -> None:
    """Part by part; also under a retry; what is refused is not told."""
    card = café.card(200)
    made = café.buy(card, 100_000, points=100)
    first = café.refund(made, name="R", sum=50_000)
    assert café.refund(made, name="R", sum=50_000).public_id == first.public_id
    with pytest.raises(Refused):
        café.refund(made, sum=60_000)
    café.refund(made)
    part, rest = (each for each in ear.heard if isinstance(each, PurchaseRefunded))
    assert (part.refund, part.purchase, part.card) == (
        first.public_id,
        made.public_id,
        card.public_id,
    )
    assert (part.money, part.points_returned, part.certificates_returned) == (45_000, 50, 0)
    assert (part.taken_back, part.shortfall) == (first.taken_back, 0)
    assert (part.whole, rest.whole, part.correction) == (False, True, False)
    assert part.points_returned + rest.points_returned == 100


def test_a_return_that_came_first_is_told_after_its_purchase(café: Café, ear: Ear) -> None:
    """While it waits nothing has happened; one that asks for too much never does."""
    early = café.refund_early("late", sum=1_000)
    café.refund_early("late", sum=1_000_000)
    assert ear.heard == []
    made = café.buy(café.card(), 10_000, name="late")
    recorded, refunded = ear.heard
    assert isinstance(recorded, PurchaseRecorded)
    assert isinstance(refunded, PurchaseRefunded)
    assert (recorded.purchase, refunded.refund) == (made.public_id, early.public_id)


def test_a_correction_is_a_return_and_a_purchase(café: Café, ear: Ear) -> None:
    """In this order; the purchase says in whose place it counts. Asked again it is old news."""
    card = café.card()
    old = café.buy(card, 100_000)
    new = café.correct(old, café.sale(card, 10_000), "K").purchase
    café.correct(old, café.sale(card, 10_000), "K")
    _, undone, made = ear.heard
    assert isinstance(undone, PurchaseRefunded)
    assert isinstance(made, PurchaseRecorded)
    assert (undone.purchase, undone.correction, undone.whole) == (old.public_id, True, True)
    assert (made.purchase, made.corrects) == (new.public_id, old.public_id)


def test_who_raises_undoes_the_purchase(café: Café, ear: Ear) -> None:
    """Nothing is half-done, and the next report is told as the first."""
    sale = café.sale(café.card(), 10_000)
    ear.fails = True
    with pytest.raises(Conflict):
        café.record(sale, "one")
    assert café.all("SELECT count(*) FROM purchases") == [(0,)]
    assert kept(café) == []
    ear.fails = False
    made = café.record(sale, "one").purchase
    assert kept(café) == [made.public_id]
