"""Rows of one table for the busiest calls: written and read without a unit of work.

A flush sorts, compares and compiles for each row, and a query is built anew each time it is made:
that takes several times what the driver does. Objects from here are the session's all the same:
what is changed of them later is flushed as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cache, partial
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import SessionTransaction, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_state, set_committed_value
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session, SQLModel

from walletsvc.storage.columns import as_read
from walletsvc.storage.statement import Statement

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_MADE: Final = "walletsvc.made"
_TOGETHER: Final = 32  # rows in a statement: there is one for each number of them
Row = TypeVar("Row", bound=SQLModel)
_Processor = Callable[[Any], Any]


def made_here(session: Session, model: type[SQLModel], id_: int) -> bool:
    """Whether this transaction wrote the row with this id by `Inserted`: then nobody else can know
    it yet, and there is nothing to lock it against.

    What was written in a savepoint counts until that is over: it may have been rolled back.
    """
    transaction, made = session.info.get(_MADE, (None, {}))
    if transaction is not session.get_transaction():
        return False
    written_in = made.get(identity_key(model, (id_,)))
    level = _innermost(session)
    while level is not None and level is not written_in:
        level = level.parent
    return level is not None


def get(session: Session, model: type[Row], id_: int) -> Row:
    """The row with this id, as `Session.get_one`: what the session has already is not read anew."""
    known: Row | None = session.identity_map.get(identity_key(model, (id_,)))
    return known if known is not None else _by_id(model).one(session, id=id_)


class Inserted(Generic[Row]):
    """Writing rows of one table. Values that are not given are the model's defaults.

    `unless` names the columns of which another row may have the values already: see `tried`.
    """

    def __init__(self, model: type[Row], *, unless: str = "") -> None:
        self._model: Final = model
        self._unless: Final = f"ON CONFLICT ({unless}) DO NOTHING" if unless else ""
        columns = _table(model).columns
        self._written: Final = [c for c in columns if c.identity is None and c.computed is None]
        self._numbered: Final = any(column.identity is not None for column in columns)
        fields = model.model_fields
        self._defaults: Final[Mapping[str, Callable[[], Any]]] = {
            column.name: _default(field)
            for column in self._written
            if not (field := fields[column.name]).is_required()
        }
        self._to_database: Final = [
            (column.name, found) for column in self._written if (found := _writer(column))
        ]
        self._statement: Final = cache(self._prepared)

    def one(self, session: Session, **values: Any) -> Row:
        """Write a row; its object is the session's, as if it had been read."""
        return self.all(session, [values])[0]

    def tried(self, session: Session, **values: Any) -> Row | None:
        """Write a row; None when there is one already, also when another transaction made it while
        this waited."""
        made = self._together(session, [values])
        return made[0] if made else None

    def all(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Write rows, several of a table with public ids, some dozens in a statement."""
        return [
            row
            for first in range(0, len(rows), _TOGETHER)
            for row in self._together(session, rows[first : first + _TOGETHER])
        ]

    def _together(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        whole = [self._completed(values) for values in rows]
        sent = {}
        for number, values in enumerate(whole):
            for name, value in (values | self._converted(values)).items():
                sent[f"{name}_{number}"] = value
        answer = self._statement(len(rows)).all(session, sent)
        if not answer:
            return []
        if self._numbered:
            if len(rows) == 1:
                whole[0]["id"] = answer[0].id
            else:  # rows may come back in any order
                ids = {row.public_id: row.id for row in answer}
                for values in whole:
                    values["id"] = ids[values["public_id"]]
        made = [_owned(session, self._model, values) for values in whole]
        _note(session, made)
        return made

    def _completed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            column.name: values[column.name]
            if column.name in values
            else self._defaults[column.name]()
            for column in self._written
        }

    def _converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: convert(values[name]) for name, convert in self._to_database}

    def _prepared(self, number: int) -> Statement:
        names = [column.name for column in self._written]
        rows = ", ".join(
            f"({', '.join(f':{name}_{each}' for name in names)})" for each in range(number)
        )
        answered = "1"
        if self._numbered:
            answered = "id" if number == 1 else "id, public_id"
        return Statement(
            f"INSERT INTO {_table(self._model).name} ({', '.join(names)}) VALUES {rows}"  # noqa: S608
            f" {self._unless} RETURNING {answered}"
        )


class Changed(Generic[Row]):
    """Changing these columns of one row, which the caller has locked."""

    def __init__(self, model: type[Row], *names: str) -> None:
        table = _table(model)
        self._keys: Final = _keys(model)
        self._to_database: Final = [
            (name, found) for name in names if (found := _writer(table.columns[name]))
        ]
        self._statement: Final = Statement(
            f"UPDATE {table.name} SET {', '.join(f'{name} = :{name}' for name in names)}"  # noqa: S608
            f" WHERE {' AND '.join(f'{name} = :{name}' for name in self._keys)}"
        )

    def one(self, session: Session, row: Row, **values: Any) -> None:
        """Write these values into the row and its object."""
        sent = {name: getattr(row, name) for name in self._keys} | values
        for name, convert in self._to_database:
            sent[name] = convert(sent[name])
        self._statement.run(session, sent)
        for name, value in values.items():
            set_committed_value(row, name, value)


class Read(Generic[Row]):
    """Reading rows of one table by a condition: what follows FROM and the table's name.

    What the session has already is brought up to date.
    """

    def __init__(self, model: type[Row], condition: str) -> None:
        self._model: Final = model
        table = _table(model)
        self._names: Final = [column.name for column in table.columns if column.computed is None]
        self._from_database: Final = [
            (name, found) for name in self._names if (found := _reader(table.columns[name]))
        ]
        listed = ", ".join(f"{table.name}.{name}" for name in self._names)
        sql = f"SELECT {listed} FROM {table.name} {condition}"  # noqa: S608
        self._statement: Final = Statement(sql)

    def first(self, session: Session, **values: Any) -> Row | None:
        """The first row that fits."""
        row = self._statement.first(session, values)
        return None if row is None else self._made(session, row)

    def one(self, session: Session, **values: Any) -> Row:
        """The row that fits, which is there."""
        found = self.first(session, **values)
        if found is None:
            raise NoResultFound(f"There is no such {self._model.__name__}.")
        return found

    def all(self, session: Session, **values: Any) -> list[Row]:
        """All that fit."""
        return [self._made(session, row) for row in self._statement.all(session, values)]

    def _made(self, session: Session, row: Sequence[Any]) -> Row:
        values = dict(zip(self._names, row, strict=True))
        for name, convert in self._from_database:
            values[name] = convert(values[name])
        return _owned(session, self._model, values)


def _note(session: Session, rows: Sequence[SQLModel]) -> None:
    transaction = session.get_transaction()
    before, made = session.info.get(_MADE, (None, {}))
    if before is not transaction:
        made = {}
        session.info[_MADE] = (transaction, made)
    level = _innermost(session)
    for row in rows:
        made[instance_state(row).key] = level


def _innermost(session: Session) -> SessionTransaction | None:
    """The savepoint that is open, or the transaction."""
    return session.get_nested_transaction() or session.get_transaction()


def _default(field: Any) -> Callable[[], Any]:
    """What gives the default. Pydantic's own would look at the factory's parameters each time."""
    made: Callable[[], Any] = field.default_factory or partial(copy, field.default)
    return made


def _table(model: type[SQLModel]) -> Table:
    found: Table = model.__table__  # type: ignore[attr-defined]
    return found


def _writer(column: Column[Any]) -> _Processor | None:
    found: _Processor | None = column.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return found


def _reader(column: Column[Any]) -> _Processor | None:
    kind = column.type.dialect_impl(_DIALECT)
    found: _Processor | None = kind.result_processor(_DIALECT, None)
    return found


@cache
def _by_id(model: type[Row]) -> Read[Row]:
    return Read(model, "WHERE id = :id")


@cache
def _keys(model: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.name for column in _table(model).primary_key.columns)


def _owned(session: Session, model: type[Row], values: Mapping[str, Any]) -> Row:
    primary = tuple(values[name] for name in _keys(model))
    known: Row | None = session.identity_map.get(identity_key(model, primary))
    if known is not None:
        for name, value in values.items():
            set_committed_value(known, name, value)
        return known
    made = as_read(model, values)
    make_transient_to_detached(made)
    session.add(made)
    return made
