"""Rows that are written and read without a unit of work, and are the session's all the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import create_organisation
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message, MessageState
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.storage.engine import Database
from walletsvc.storage.limits import LimitCounter
from walletsvc.storage.rows import Changed, Inserted, Read, made_here

_PERSONS = Inserted(Person)
_MESSAGES = Inserted(Message)
_PERSON = Read(Person, "WHERE public_id = :id")
_NAMED = Changed(Person, "first_name", "birthday")


def _organisation(session: Session, now: datetime) -> Organisation:
    return create_organisation(session, slug="shop", name="Лавка", now=now)


def _message(session: Session, now: datetime, **values: Any) -> Message:
    whole = {
        "organisation_id": _organisation(session, now).id,
        "kind": MessageKind.CODE,
        "channels": ["sms", "email"],
        "recipient": '{"phone": "+79001234567"}',
        "history": [{"at": 1}],
        "created_at": now,
    }
    return _MESSAGES.one(session, **whole | values)


def test_every_type_of_column_comes_as_the_orm_would_have_it(
    database: Database, now: datetime
) -> None:
    """Enumerations, arrays, JSON, what is encrypted, and what the model has by itself."""
    with database.write_tx() as session:
        written = _message(session, now, body="Код 123456", price=300)
    with database.read_tx() as session:
        found = session.exec(select(Message)).one()
        assert dict(found) == dict(written)
        assert (found.kind, found.state) == (MessageKind.CODE, MessageState.QUEUED)
        assert (found.channels, found.history) == (["sms", "email"], [{"at": 1}])
        assert found.body == "Код 123456"
        stored = session.execute(text("SELECT body, recipient FROM messages")).one()
        assert "123456" not in stored.body
        assert "+79001234567" not in stored.recipient
    with database.read_tx() as session:
        read = Read(Message, "WHERE price = :price").all(session, price=300)
        assert [dict(each) for each in read] == [dict(written)]
        assert type(read[0].state) is MessageState


def test_what_is_changed_later_is_written(database: Database, now: datetime) -> None:
    """A row of either kind is the session's: flushed at the end, and one object only."""
    with database.write_tx() as session:
        person = _PERSONS.one(
            session, organisation_id=_organisation(session, now).id, first_name="А", created_at=now
        )
        assert person.name_key == "а", "what the database computes is read when it is asked for"
        person.last_name = "Б"
        assert session.get(Person, person.id) is person
    with database.write_tx() as session:
        found = _PERSON.first(session, id=person.public_id)
        assert found is not None
        assert found.last_name == "Б"
        found.first_name = "В"
        again = session.exec(select(Person)).one()
        assert again is found
        assert again.first_name == "В"
    with database.read_tx() as session:
        assert session.exec(select(Person.first_name)).one() == "В"


def test_reading_brings_up_to_date(database: Database, now: datetime) -> None:
    """What somebody else changed meanwhile is seen, and what this session changed is not lost."""
    with database.write_tx() as session:
        organisation = _organisation(session, now)
        made = _PERSONS.one(
            session, organisation_id=organisation.id, first_name="А", created_at=now
        )
    with database.write_tx() as session:
        person = session.exec(select(Person)).one()
        with database.write_tx() as other:
            other.get_one(Person, made.id).first_name = "Б"
        person.last_name = "В"
        assert _PERSON.first(session, id=made.public_id) is person
        assert (person.first_name, person.last_name) == ("Б", "В")
        assert _PERSON.first(session, id="nobody") is None
    with database.read_tx() as session:
        person = session.exec(select(Person)).one()
        assert (person.first_name, person.last_name) == ("Б", "В")


def test_a_change_is_written_at_once(database: Database, now: datetime) -> None:
    """To these columns of this row, and to the object."""
    with database.write_tx() as session:
        organisation = _organisation(session, now)
        pair = _PERSONS.all(
            session,
            [
                {"organisation_id": organisation.id, "first_name": name, "created_at": now}
                for name in ("А", "Б")
            ],
        )
        _NAMED.one(session, pair[1], first_name="В", birthday=now.date())
        assert (pair[1].first_name, pair[1].birthday) == ("В", now.date())
        rows = session.execute(text("SELECT id, first_name, birthday FROM persons ORDER BY id"))
        assert [tuple(row) for row in rows] == [
            (pair[0].id, "А", None),
            (pair[1].id, "В", now.date()),
        ]
        assert not session.dirty


@pytest.mark.parametrize("number", [0, 1, 2, 33])
def test_several_rows_get_their_own_ids(database: Database, now: datetime, number: int) -> None:
    """In the order they were given, and more than go into a statement."""
    with database.write_tx() as session:
        organisation = _organisation(session, now)
        made = _PERSONS.all(
            session,
            [
                {"organisation_id": organisation.id, "first_name": f"П{each}", "created_at": now}
                for each in range(number)
            ],
        )
        assert [each.first_name for each in made] == [f"П{each}" for each in range(number)]
        assert len({each.public_id for each in made}) == number
    with database.read_tx() as session:
        stored = session.exec(select(Person.id, Person.first_name)).all()
        assert sorted(stored) == sorted((each.id, each.first_name) for each in made)


def test_rows_without_a_number_of_their_own(database: Database, now: datetime) -> None:
    """Their key is what was given."""
    with database.write_tx() as session:
        person = _PERSONS.one(
            session, organisation_id=_organisation(session, now).id, first_name="А", created_at=now
        )
        phone = Inserted(Phone).one(session, e164="+79001234567", created_at=now)
        pair = Inserted(PersonPhone).one(
            session, person_id=person.id, phone_id=phone.id, created_at=now
        )
        assert session.get(PersonPhone, (person.id, phone.id)) is pair
        with pytest.raises(KeyError, match="subject"):
            Inserted(LimitCounter).one(session, name="x", window_start=now)


def test_nothing_is_left_of_what_fails(database: Database, now: datetime) -> None:
    """A row that may not be there is the error it always was."""
    with pytest.raises(IntegrityError), database.write_tx() as session:
        _message(session, now)
        _PERSONS.one(session, organisation_id=-1, first_name="А", created_at=now)
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    with database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM messages")).scalar_one() == 0


def test_who_was_made_here(database: Database, now: datetime) -> None:
    """Only in the transaction that made the row, which nobody else can see."""
    with database.write_tx() as session:
        organisation = _organisation(session, now)
        person = _PERSONS.one(
            session, organisation_id=organisation.id, first_name="А", created_at=now
        )
        assert made_here(session, Person, person.id)
        assert not made_here(session, Organisation, organisation.id)
    with database.write_tx() as session:
        found = _PERSON.first(session, id=person.public_id)
        assert found is not None
        assert not made_here(session, Person, found.id)
    with Session(database.engine, expire_on_commit=False) as session:
        other = _PERSONS.one(
            session, organisation_id=organisation.id, first_name="Б", created_at=now
        )
        session.commit()
        other.closed_at = now + timedelta(days=1)
        assert not made_here(session, Person, other.id), "everybody sees it by now"


def test_a_row_of_a_savepoint_that_was_rolled_back_was_never_made(
    database: Database, now: datetime
) -> None:
    """Nor does one count any more whose savepoint is over: it is locked, which harms nothing. What
    was made before the savepoint counts inside it and afterwards."""
    with database.write_tx() as session:
        owner = _organisation(session, now).id
        person = {"organisation_id": owner, "first_name": "Анна", "created_at": now}
        first = _PERSONS.one(session, **person)
        attempt = session.begin_nested()
        inside = _PERSONS.one(session, **person)
        within = session.begin_nested()
        deep = _PERSONS.one(session, **person)
        ids = (first.id, inside.id, deep.id)
        assert [made_here(session, Person, id_) for id_ in ids] == [True, True, True]
        within.commit()
        assert [made_here(session, Person, id_) for id_ in ids] == [True, True, False]
        attempt.rollback()
        assert [made_here(session, Person, id_) for id_ in ids] == [True, False, False]
        with session.begin_nested():
            assert [made_here(session, Person, id_) for id_ in ids] == [True, False, False]
