"""One row by the shortest way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import (
    BigInteger,
    DateTime,
    Float,
    LargeBinary,
    Text,
    bindparam,
    literal_column,
    select,
)

from tests.storage.connections import cut
from walletsvc.core.errors import Unavailable
from walletsvc.storage.engine import Database
from walletsvc.storage.reader import OneRow

_ONE = OneRow(select(literal_column("1", BigInteger).label("one")))
_ECHO = OneRow(
    select(
        bindparam("word", type_=Text).label("word"),
        bindparam("number", type_=BigInteger).label("number"),
        literal_column("NULL", Text).label("nothing"),
    )
)


@pytest.mark.parametrize("word", ["да", "\x01\x7f", "'\"\\n", "\U0001f600", ""])
def test_text_and_numbers_come_as_they_are(database: Database, word: str) -> None:
    """Text of every kind, the widest whole numbers, null."""
    for number in (2**63 - 1, -(2**63), 0):
        row = database.reader.one(_ECHO, {"word": word, "number": number})
        assert (row.word, row.number, row.nothing) == (word, number, None)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 24, 12, 0, 0, 5, UTC),
        datetime(2026, 11, 24, 12, 0, 0, 120_000, UTC),
        datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_moments_and_bytes_come_exactly(database: Database, moment: datetime) -> None:
    """Microseconds are not lost, and bytes are no text."""
    when = literal_column(f"TIMESTAMPTZ '{moment.isoformat()}'", DateTime(timezone=True))
    raw = literal_column(r"'\x00ff5c'::bytea", LargeBinary)
    row = database.reader.one(OneRow(select(when.label("moment"), raw.label("raw"))), {})
    assert (row.moment, row.raw) == (moment, b"\x00\xff\\")


def test_nothing_found_is_none(database: Database) -> None:
    """Also for text that the database cannot hold: libpq would look for its beginning."""
    found = OneRow(
        select(literal_column("1", BigInteger).label("one")).where(
            bindparam("word", type_=Text) == "yes"
        )
    )
    given = dict.fromkeys(found.parameters, "yes")
    assert database.reader.one(found, given).one == 1
    assert database.reader.one(found, {**given, "word": "no"}) is None
    assert database.reader.one(found, {**given, "word": "yes\0"}) is None


def test_columns_that_json_would_bend_are_refused() -> None:
    """When the statement is made, not when it is used."""
    with pytest.raises(TypeError, match="half"):
        OneRow(select(literal_column("0.5", Float).label("half")))


def test_an_error_of_the_statement_is_told_and_breaks_nothing(database: Database) -> None:
    """Only a database that does not answer is asked again."""
    broken = OneRow(select(literal_column("1 / 0", BigInteger).label("one")))
    with pytest.raises(psycopg.errors.DivisionByZero):
        database.reader.one(broken, {})
    with pytest.raises(UnicodeEncodeError):
        database.reader.one(_ECHO, {"word": "\ud800", "number": 1})
    assert database.reader.one(_ONE, {}).one == 1


def test_what_only_reads_cannot_write(database: Database) -> None:
    """A statement with an effect is refused by the database."""
    effect = literal_column("nextval('pass_events_id_seq')", BigInteger).label("next")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        database.reader.one(OneRow(select(effect)), {})


def test_a_read_goes_on_after_the_connections_were_cut(database: Database) -> None:
    """However many of them had been waiting."""
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            answers = threads.map(lambda _: database.reader.one(_ONE, {}), range(60))
            assert [row.one for row in answers] == [1] * 60
            cut(database)


def test_a_database_that_is_away_is_said_to_be_unavailable(tmp_path: Path) -> None:
    """Not a failure of ours: the caller may try again."""
    database = Database(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(Unavailable, match="does not answer"):
        database.reader.one(_ONE, {})
