"""Everything that is stored about a person, to be handed to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Column, LargeBinary, RowMapping, Table, or_, select
from sqlmodel import Session, SQLModel

from walletsvc.core.clock import rfc3339
from walletsvc.enrolment.personal.subject import Subject, subject_of
from walletsvc.enrolment.personal.tables import TOLD, Told
from walletsvc.people.models import Person

Rows = list[dict[str, Any]]

# What names a row outside, in this order of preference.
_NAMES: Final = ("public_id", "slug", "number", "code", "e164")


def export(session: Session, person: Person) -> dict[str, Rows]:
    """All rows about a person and the rows merged into theirs, by table; what is not there is [].

    Codes, tokens and hashes are left out: who reads this could act as the person. Times are UTC,
    amounts integers in minor units.
    """
    subject = subject_of(session, person)
    found = {name: _rows(session, subject, name, told) for name, told in TOLD.items()}
    unnamed = list(unnamed_messages(session, subject))
    found["messages"] += _plain(session, SQLModel.metadata.tables["messages"], unnamed)
    return found


def unnamed_messages(session: Session, subject: Subject) -> Iterator[RowMapping]:
    """The organisation's messages to phones that were this person's alone by then, from before
    anybody knew whom the phone belongs to, such as codes."""
    if not subject.own:
        return
    table = SQLModel.metadata.tables["messages"]
    query = select(table).where(
        table.c.organisation_id == subject.organisation_id, table.c.person_id.is_(None)
    )
    for row in session.execute(query.execution_options(yield_per=500)).mappings():
        if subject.owned(json.loads(row["recipient"] or "{}").get("phone"), row["created_at"]):
            yield row


def _rows(session: Session, subject: Subject, name: str, told: Told) -> Rows:
    table = SQLModel.metadata.tables[name]
    where = [table.c[column].in_(subject.ids[key]) for column, key in told.by.items()]
    query = select(table).where(or_(*where)).order_by(*table.primary_key.columns)
    return _plain(session, table, session.execute(query).mappings().all(), told.hidden)


def _plain(
    session: Session,
    table: Table,
    rows: Sequence[RowMapping],
    hidden: frozenset[str] = frozenset(),
) -> Rows:
    """Rows as JSON holds them, without what is ours alone."""
    told = [
        column
        for column in table.columns
        if column.name not in hidden and not isinstance(column.type, LargeBinary)
    ]
    names = {
        column.name: _names(session, column, {row[column.name] for row in rows})
        for column in told
        if column.foreign_keys
    }
    return [_row(told, names, row) for row in rows]


def _row(
    told: Sequence[Column[Any]], names: Mapping[str, dict[Any, Any]], row: RowMapping
) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for column in told:
        value = row[column.name]
        if column.name in names:
            if value in names[column.name]:
                plain[column.name.removesuffix("_id")] = names[column.name][value]
        elif column.name == "public_id":
            plain["id"] = value
        elif column.name != "id":
            plain[column.name] = _value(value)
    return plain


def _names(session: Session, column: Column[Any], ids: set[Any]) -> dict[Any, Any]:
    """What the rows that are referred to are called outside; nothing for those without a name."""
    target = next(iter(column.foreign_keys)).column
    name = next((name for name in _NAMES if name in target.table.columns), None)
    wanted = [id_ for id_ in ids if id_ is not None]
    if name is None or not wanted:
        return {}
    query = select(target, target.table.c[name]).where(target.in_(wanted))
    return {row[0]: row[1] for row in session.execute(query)}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
