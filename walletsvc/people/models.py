"""Persons, phones, and which belongs to whom."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy import Computed, Index, Text
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference

_NAME_KEY: Final = "replace(lower(btrim((last_name || ' ') || first_name)), 'ё', 'е')"


class Person(SQLModel, table=True):
    """A human being known to an organisation.

    `responsible_id` is the employee who is told of what concerns them; without one, the branch's.
    `merged_into_id` is set when staff found that this is another row's person: it is then closed.
    `erased_at`: everything personal is gone, what the ledger says of the cards stays. `name_key` is
    what names are searched by; the database writes it.
    """

    __tablename__ = "persons"
    __table_args__ = (
        Index(
            "ix_persons_name",
            "organisation_id",
            "name_key",
            postgresql_ops={"name_key": "text_pattern_ops"},
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    first_name: str = Field(max_length=80)
    last_name: str = Field(default="", max_length=80)
    birthday: date | None = Field(default=None)
    email: str | None = Field(default=None, max_length=254)
    language: str = Field(default="ru", max_length=2)
    responsible_id: int | None = reference("staff.id", nullable=True)
    merged_into_id: int | None = reference("persons.id", nullable=True)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)
    erased_at: datetime | None = moment(nullable=True)
    name_key: str | None = Field(
        default=None, sa_type=Text, sa_column_args=[Computed(_NAME_KEY, persisted=True)]
    )


class Phone(SQLModel, table=True):
    """A number in E.164; several persons may answer it."""

    __tablename__ = "phones"

    id: int = primary_key()
    e164: str = Field(unique=True, max_length=16)
    created_at: datetime = moment()


class PersonPhone(SQLModel, table=True):
    """A person's use of a phone, and when the person proved to hold it."""

    __tablename__ = "person_phones"

    person_id: int = reference("persons.id", index=False, primary_key=True)
    phone_id: int = reference("phones.id", primary_key=True)
    verified_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()
