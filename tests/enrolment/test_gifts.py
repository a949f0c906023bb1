"""Points without a purchase: once each, by the rules of the moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from tests.factories import TILL, Shop, make_shop
from walletsvc.cards.models import Card
from walletsvc.core.errors import NotFound, NotVerified, Refused
from walletsvc.enrolment import gifts, tasks
from walletsvc.enrolment.models import BirthdayGift
from walletsvc.enrolment.service import Enrolled, enrol
from walletsvc.ledger.models import Lot, Transaction
from walletsvc.ledger.queries import balance
from walletsvc.merchants.service import create_branch
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.storage.engine import Database

EVENTS: dict[str, Any] = {
    "registration": {"points": 100},
    "birthday": {"points": 300, "days_before": 7, "lifetime": {"days": 14}},
    "manual": {"review": {"name": {"ru": "Отзыв", "en": "Review"}, "points": 50}},
}


@pytest.fixture
def shop(database: Database, now: datetime) -> Shop:
    """A shop whose rules know all three kinds."""
    with database.write_tx() as session:
        made = make_shop(session, now)
        publish(session, made, {"earn": {"percent": "5"}, "events": EVENTS}, now)
    return made


def publish(session: Any, shop: Shop, book: dict[str, Any], now: datetime) -> None:
    checked = RuleBook.model_validate(book)
    versions.save_draft(session, shop.programme, checked, TILL, "", now)
    versions.publish(session, shop.programme, TILL, now)


def join(
    database: Database, shop: Shop, now: datetime, birthday: date | None = None, phone: int = 1
) -> Enrolled:
    with database.write_tx() as session:
        return enrol(
            session,
            programme=shop.programme,
            phone=f"+7900000{phone:04d}",
            first_name="Анна",
            birthday=birthday,
            actor=TILL,
            now=now,
        )


def points(database: Database, member: Enrolled) -> int:
    with database.read_tx() as session:
        return balance(session, member.card.account_id)


def test_a_new_member_is_welcomed(database: Database, shop: Shop, now: datetime) -> None:
    """With what the rules give; without rules with nothing."""
    assert points(database, join(database, shop, now)) == 100
    with database.write_tx() as session:
        plain = make_shop(session, now, "plain")
    assert points(database, join(database, plain, now)) == 0


def test_a_birthday_brings_its_points_once(database: Database, shop: Shop, now: datetime) -> None:
    """A week before the day, in the programme's zone, with an end; each year anew."""
    born = date(1990, 12, 10)
    member = join(database, shop, now, born)
    day = datetime(2026, 12, 2, 21, tzinfo=UTC)  # the third of December in Moscow
    assert tasks.give(database, day - timedelta(minutes=1)) == 0
    assert tasks.give(database, day) == 1
    assert tasks.give(database, day + timedelta(hours=1)) == 0
    assert points(database, member) == 400
    with database.read_tx() as session:
        lot = session.exec(select(Lot).where(Lot.source == "birthday")).one()
        assert (lot.original, lot.promotional) == (300, True)
        assert lot.expires_at is not None
        assert timedelta(days=13) < lot.expires_at - day <= timedelta(days=15)
    assert tasks.give(database, day.replace(year=2027)) == 1


def test_a_missed_day_is_made_up_for_but_not_for_ever(
    database: Database, shop: Shop, now: datetime
) -> None:
    """No worker ran on that day."""
    join(database, shop, now, date(1990, 12, 10), 1)
    assert tasks.give(database, datetime(2026, 12, 6, 9, tzinfo=UTC)) == 1
    join(database, shop, now, date(1990, 12, 20), 2)
    assert tasks.give(database, datetime(2026, 12, 17, 9, tzinfo=UTC)) == 0


def test_the_twenty_ninth_of_february_comes_each_year(
    database: Database, shop: Shop, now: datetime
) -> None:
    """On the 28th where there is none."""
    join(database, shop, now, date(1992, 2, 29))
    assert tasks.give(database, datetime(2027, 2, 20, 9, tzinfo=UTC)) == 0
    assert tasks.give(database, datetime(2027, 2, 21, 9, tzinfo=UTC)) == 1
    assert tasks.give(database, datetime(2028, 2, 21, 9, tzinfo=UTC)) == 0
    assert tasks.give(database, datetime(2028, 2, 22, 9, tzinfo=UTC)) == 1


def test_workers_at_once_give_once(database: Database, shop: Shop, now: datetime) -> None:
    """Two hosts, one moment; a closed card gets nothing."""
    members = [join(database, shop, now, date(1990, 12, 10), number) for number in range(8)]
    with database.write_tx() as session:
        session.merge(members[0].card).closed_at = now
    day = datetime(2026, 12, 3, 9, tzinfo=UTC)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: tasks.give(database, day), range(4))) == 7
    assert [points(database, member) for member in members] == [100] + [400] * 7
    with database.read_tx() as session:
        assert len(session.exec(select(BirthdayGift)).all()) == 7


def test_a_named_event_brings_its_points(database: Database, shop: Shop, now: datetime) -> None:
    """Whoever tells of it says its name; others are refused."""
    member = join(database, shop, now)
    with database.write_tx() as session:
        gifts.named(session, member.card, shop.programme, "review", "ru", TILL, now)
    assert points(database, member) == 150
    with database.write_tx() as session:
        with pytest.raises(NotFound, match="no event 'quiz'"):
            gifts.named(session, member.card, shop.programme, "quiz", "ru", TILL, now)
        card = session.merge(member.card)
        card.closed_at = now
        with pytest.raises(Refused, match="closed"):
            gifts.named(session, card, shop.programme, "review", "ru", TILL, now)


def test_more_birthdays_than_fit_a_piece(
    database: Database, shop: Shop, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who got theirs make room for the next ones."""
    members = [join(database, shop, now, date(1990, 12, 10), number) for number in range(5)]
    monkeypatch.setattr(gifts, "_PIECE", 2)
    assert tasks.give(database, datetime(2026, 12, 3, 9, tzinfo=UTC)) == 5
    assert [points(database, member) for member in members] == [400] * 5


def test_where_only_proven_phones_count_others_get_nothing(
    database: Database, shop: Shop, now: datetime
) -> None:
    """Neither for a birthday nor for an event; the points come once the phone is proven."""
    member = join(database, shop, now, date(1990, 12, 10))
    day = datetime(2026, 12, 3, 9, tzinfo=UTC)
    with database.write_tx() as session:
        session.get_one(Programme, shop.programme.id).verified_only = True
        session.get_one(Card, member.card.id).verified_at = None
    assert tasks.give(database, day) == 0
    with database.write_tx() as session:
        programme = session.get_one(Programme, shop.programme.id)
        card = session.get_one(Card, member.card.id)
        with pytest.raises(NotVerified):
            gifts.named(session, card, programme, "review", "ru", TILL, now)
        card.verified_at = now
    assert tasks.give(database, day) == 1


def test_without_rules_there_are_no_events(database: Database, now: datetime) -> None:
    """Whoever tells of one is told so."""
    with database.write_tx() as session:
        plain = make_shop(session, now, "plain")
    member = join(database, plain, now)
    with database.write_tx() as session, pytest.raises(NotFound, match="no rules"):
        gifts.named(session, member.card, plain.programme, "review", "ru", TILL, now)


def test_a_gift_says_what_it_is_for_and_ends_by_its_own_time(
    database: Database, shop: Shop, now: datetime
) -> None:
    """In the holder's language, as promotional points, at the branch that told of it."""
    member = join(database, shop, now)
    with database.write_tx() as session:
        branch = create_branch(
            session, organisation_id=shop.organisation.id, name="Невский", now=now
        )
        for language in ("ru", "en"):
            gifts.named(
                session, member.card, shop.programme, "review", language, TILL, now, branch.id
            )
    with database.read_tx() as session:
        given = session.exec(
            select(Transaction, Lot)
            .join(Lot, col(Lot.transaction_id) == col(Transaction.id))
            .where(Lot.source == "event")
            .order_by(col(Transaction.id))
        ).all()
    assert ["Отзыв" in given[0][0].reason, "Review" in given[1][0].reason] == [True, True]
    assert {(made.branch_id, lot.promotional) for made, lot in given} == {(branch.id, True)}


def test_only_programmes_of_points_give_any(database: Database, shop: Shop, now: datetime) -> None:
    """Rules of a stamp card from before hold events at times; points would mean stamps there."""
    member = join(database, shop, now, date(1990, 12, 10))
    with database.write_tx() as session:
        programme = session.get_one(Programme, shop.programme.id)
        programme.kind = ProgrammeKind.STAMPS
        with pytest.raises(NotFound, match="a stamps programme counts none"):
            gifts.named(session, member.card, programme, "review", "ru", TILL, now)
        assert gifts.birthdays(session, programme, datetime(2026, 12, 3, 9, tzinfo=UTC)) == 0
