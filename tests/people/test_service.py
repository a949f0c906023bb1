"""Who is meant by a phone and a name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from tests.storage.connections import until_one_waits
from walletsvc.core.errors import InputError
from walletsvc.merchants.service import create_organisation
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.people.phones import lock_phone, verify
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.engine import Database

PHONE = "+79001234567"


def _person(session: Session, organisation: int, now: datetime, **changes: Any) -> Person:
    values: dict[str, Any] = {"phone": PHONE, "first_name": "Анна", "last_name": "Орлова"}
    return find_or_create_person(
        session,
        organisation_id=organisation,
        now=now,
        **values | changes,
    )


def test_the_same_phone_and_name_is_the_same_person(database: Database, now: datetime) -> None:
    """However both are written; a birthday that was not known is filled in, never replaced."""
    with database.write_tx() as session:
        shop = create_organisation(session, slug="a", name="A", now=now).id
        first = _person(session, shop, now)
        again = _person(session, shop, now, phone="8 900 1234567", first_name="анна ",
                        birthday=date(1990, 1, 2))  # fmt: skip
        third = _person(session, shop, now, birthday=date(1991, 1, 2))
        assert first.id == again.id == third.id
        assert first.birthday == date(1990, 1, 2)
        assert len(session.exec(select(Phone)).all()) == 1


def test_another_name_organisation_or_no_phone_is_another_person(
    database: Database, now: datetime
) -> None:
    """A family shares a phone; organisations do not share people."""
    with database.write_tx() as session:
        shop = create_organisation(session, slug="a", name="A", now=now).id
        other = create_organisation(session, slug="b", name="B", now=now).id
        people = [
            _person(session, shop, now),
            _person(session, shop, now, first_name="Игорь"),
            _person(session, shop, now, last_name=""),
            _person(session, other, now),
            _person(session, shop, now, phone=None),
            _person(session, shop, now, phone=None),
        ]
        assert len({person.id for person in people}) == 6
        assert len(session.exec(select(Phone)).all()) == 1
        assert len(session.exec(select(PersonPhone)).all()) == 4


def test_a_closed_person_is_not_found_again(database: Database, now: datetime) -> None:
    """Who left and comes back starts anew."""
    with database.write_tx() as session:
        shop = create_organisation(session, slug="a", name="A", now=now).id
        gone = _person(session, shop, now)
        gone.closed_at = now
        session.flush()
        assert _person(session, shop, now).id != gone.id


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"phone": "123"}, "phone"),
        ({"first_name": " "}, "first_name"),
        ({"first_name": "x" * 81}, "first_name"),
        ({"last_name": "x" * 81}, "last_name"),
        ({"birthday": date(1899, 12, 31)}, "birthday"),
        ({"birthday": date(2026, 11, 20) + timedelta(days=1)}, "birthday"),
    ],
)
def test_bad_data_is_refused_and_named(
    database: Database, now: datetime, changes: dict[str, object], field: str
) -> None:
    """Every way in gets the same checks, not only REST."""
    with database.write_tx() as session:
        shop = create_organisation(session, slug="a", name="A", now=now).id
    with pytest.raises(InputError) as caught, database.write_tx() as session:
        _person(session, shop, now, **changes)
    assert caught.value.fields[0].field == field
    with database.read_tx() as session:
        assert session.exec(select(Phone)).all() == []


def test_a_phone_that_somebody_else_makes_meanwhile(database: Database, now: datetime) -> None:
    """Whoever waited gets the other's row, sees who has it, and holds it."""

    def waiting() -> tuple[int, bool, str]:
        with database.write_tx() as session:
            held = lock_phone(session, PHONE, now)
            person = _person(session, shop, now, first_name="анна")
            return held.id, held.new, person.public_id

    with database.write_tx() as session:
        shop = create_organisation(session, slug="a", name="A", now=now).id
    with ThreadPoolExecutor(1) as pool:
        with database.write_tx() as session:
            first = lock_phone(session, PHONE, now)
            other = pool.submit(waiting)
            until_one_waits(database)
            made = _person(session, shop, now)
            assert lock_phone(session, PHONE, now).id == first.id
        assert first.new
        assert other.result(10) == (first.id, False, made.public_id)


def test_a_phone_is_verified_for_whoever_had_it_not(database: Database, now: datetime) -> None:
    """It becomes theirs, also when nobody knew it; the first time is kept."""
    with database.write_tx() as session:
        shop = create_organisation(session, slug="a", name="A", now=now).id
        person = _person(session, shop, now)
        for phone in (PHONE, "+79007654321"):
            verify(session, person, phone, now)
            verify(session, person, phone, now + timedelta(hours=1))
        pairs = session.exec(select(PersonPhone)).all()
        assert [(pair.person_id, pair.verified_at) for pair in pairs] == [(person.id, now)] * 2
        assert len(session.exec(select(Phone)).all()) == 2
