"""Points for many cards: who gets them, who is left out, what is refused before it begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.factories import TILL, Shop, make_member, make_shop
from walletsvc.cards import bulk_credit
from walletsvc.cards.models import Card
from walletsvc.core.errors import InputError, Refused
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.bulk import BulkJob, BulkState, service
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.ledger import queries
from walletsvc.ledger.service import credit
from walletsvc.ledger.verify import differences
from walletsvc.programmes.service import create_gift_programme
from walletsvc.storage.engine import Database


def members(session: Session, shop: Shop, now: datetime, count: int = 4) -> list[Card]:
    return [
        make_member(session, shop, now, phone=f"+7900000{number:04}")[0] for number in range(count)
    ]


def start(session: Session, shop: Shop, now: datetime, **values: Any) -> BulkJob:
    given = {"amount": 50, "reason": "Праздник", **values}
    return bulk_credit.begin(session, programme=shop.programme, actor=TILL, now=now, **given)


def finish(database: Database, now: datetime, job: BulkJob) -> BulkJob:
    """Do the whole job; how it ended."""
    runner = Runner(database, bulk_credit.handlers(), clock=lambda: now)
    while runner.run_once() == 0:
        pass
    with database.read_tx() as session:
        assert list(differences(session)) == []
        return service.find(session, job.public_id)


def balances(database: Database, cards: list[Card]) -> list[int]:
    with database.read_tx() as session:
        return [queries.balance(session, card.account_id) for card in cards]


def test_every_open_card_of_the_programme_and_no_other(database: Database, now: datetime) -> None:
    """Closed ones are left out, so are cards issued after the start."""
    with database.write_tx() as session:
        shop, other = make_shop(session, now), make_shop(session, now, "other")
        cards = members(session, shop, now) + members(session, other, now, 1)
        session.execute(text("UPDATE cards SET closed_at = :now WHERE id = :id"),
                        {"now": now, "id": cards[1].id})  # fmt: skip
        job = start(session, shop, now)
        assert job.organisation_id == shop.organisation.id
        assert job.total == 3
    with database.write_tx() as session:
        cards.append(make_member(session, shop, now, phone="+79000009999")[0])
    job = finish(database, now, job)
    assert (job.state, job.done, job.result) == (BulkState.DONE, 3, {"credited": 3})
    assert balances(database, cards) == [50, 0, 50, 50, 0, 0]


def test_cards_on_a_list_and_what_became_of_them(database: Database, now: datetime) -> None:
    """Closed and full ones are counted, each card is dealt with once, the list is used up."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        cards = members(session, shop, now, 5)
        session.execute(text("UPDATE cards SET closed_at = :now WHERE id = :id"),
                        {"now": now, "id": cards[0].id})  # fmt: skip
        credit(session, cards[1].account_id, MAX_AMOUNT, source="x", actor=TILL, reason="x",
               now=now)  # fmt: skip
        written = [card.number for card in cards[:4]]
        written[3] = " ".join(written[3][at : at + 4] for at in range(0, 16, 4))
        job = start(session, shop, now, numbers=written)
    job = finish(database, now, job)
    assert job.result == {"credited": 2, "skipped_closed": 1, "skipped_full": 1}
    assert balances(database, cards) == [0, MAX_AMOUNT, 50, 50, 0]
    with database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM bulk_items")).scalar_one() == 0


def test_each_card_tells_who_gave_what_and_until_when(database: Database, now: datetime) -> None:
    """The last day counts in full, in the programme's time zone."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        (card,) = members(session, shop, now, 1)
        job = start(session, shop, now, expires_on=date(2026, 12, 31), promotional=True)
    finish(database, now, job)
    with database.read_tx() as session:
        (row,) = queries.history(session, card.account_id, limit=5)
        (lot,) = queries.explain(session, card.account_id).lots
    assert (row.amount, row.reason, row.actor) == (50, "Праздник", str(TILL))
    assert lot.expires_at == datetime(2026, 12, 31, 21, tzinfo=UTC)
    assert (lot.source, lot.promotional) == (bulk_credit.SOURCE, True)


def test_a_job_whose_points_have_ended_meanwhile_fails_in_words(
    database: Database, now: datetime
) -> None:
    """Paused for too long: nobody gets points that are over."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        cards = members(session, shop, now, 1)
        job = start(session, shop, now, expires_on=now.date())
    job = finish(database, now + timedelta(days=3), job)
    assert "expires_at" in str(job.problem)
    assert balances(database, cards) == [0]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": MAX_AMOUNT + 1}, "amount"),
        ({"reason": " "}, "reason"),
        ({"expires_on": date(2026, 11, 19)}, "expires_on"),
        ({"expires_on": date(9999, 12, 31)}, "expires_on"),
        ({"numbers": ["1"]}, "cards.0"),
    ],
)
def test_bad_input_begins_nothing(
    database: Database, now: datetime, values: dict[str, Any], field: str
) -> None:
    """The field is named."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        members(session, shop, now, 1)
        with pytest.raises(InputError) as caught:
            start(session, shop, now, **values)
        assert caught.value.fields[0].field == field
        assert service.newest(session) == []


def test_every_wrong_number_is_named_by_its_place(database: Database, now: datetime) -> None:
    """A typing error, another shop's card, the same card twice: each for what it is."""
    with database.write_tx() as session:
        shop, other = make_shop(session, now), make_shop(session, now, "other")
        good = members(session, shop, now, 1)[0].number
        foreign = members(session, other, now, 1)[0].number
        with pytest.raises(InputError) as caught:
            start(session, shop, now, numbers=[good, "12x\x00", foreign, good],
                  place=lambda index: f"line {index + 1}")  # fmt: skip
    assert [(error.field, error.message) for error in caught.value.fields] == [
        ("line 2", "is not a card number"),
        ("line 3", "is no card of this programme"),
        ("line 4", "is the same card as line 1"),
    ]


def test_what_has_no_points_to_give(database: Database, now: datetime) -> None:
    """A gift programme, a closed one, one without cards."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        with pytest.raises(Refused, match="no open cards"):
            start(session, shop, now)
        gift = create_gift_programme(
            session, organisation_id=shop.organisation.id, slug="gift", name="Gift", now=now
        )
        with pytest.raises(Refused, match="certificates"):
            bulk_credit.begin(session, programme=gift, amount=1, reason="x", actor=TILL, now=now)
        shop.programme.closed_at = now
        with pytest.raises(Refused, match="closed"):
            start(session, shop, now)
