"""Dumps of a real database: loaded beside the live tables, swapped in one transaction."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url

from tests.factories import make_member, make_shop
from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.backup import dump, programs
from walletsvc.storage.engine import Database


@pytest.fixture
def other(server_url: str) -> Iterator[Database]:
    """An empty database."""
    name = f"other_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        database = Database(
            make_url(server_url).set(database=name).render_as_string(hide_password=False)
        )
        yield database
        database.close()
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def dumped(database: Database, now: datetime, tmp_path: Path) -> Path:
    """A dump of a shop with a member."""
    with database.write_tx() as session:
        make_member(session, make_shop(session, now), now)
    file = tmp_path / "dump"
    file.touch(0o600)
    snapshot = dump.dump(database, file)
    assert snapshot.revision
    assert snapshot.database_bytes > 1_000_000
    return file


def schemas(database: Database) -> list[str]:
    """The schemas that are not PostgreSQL's own."""
    with database.engine.connect() as connection:
        return sorted(
            connection.execute(
                text("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information'")
            ).scalars()
        )


def test_a_dump_is_loaded_beside_and_swapped_in(dumped: Path, other: Database) -> None:
    """Until the swap commits, the live schema is what it was; rolled back, it still is."""
    with other.engine.begin() as connection:
        connection.execute(text("CREATE TABLE live (id int)"))
    assert "passes" in dump.examine(dumped)
    dump.load(other, dumped)
    assert schemas(other) == ["public", dump.STAGED]
    with other.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM live")).scalar_one() == 0
        connection.rollback()
        with connection.begin() as transaction:
            dump.swap(connection)
            assert connection.execute(text("SELECT count(*) FROM passes")).scalar_one() == 1
            transaction.rollback()
        with connection.begin():
            assert connection.execute(text("SELECT to_regclass('public.live')")).scalar_one()
        with connection.begin():
            dump.swap(connection)
        rows = connection.execute(text("SELECT count(*) FROM public.passes")).scalar_one()
        assert rows == 1
    assert schemas(other) == ["public"]


def test_what_a_killed_restore_left_is_replaced(dumped: Path, other: Database) -> None:
    """It can simply be run again."""
    dump.load(other, dumped)
    dump.load(other, dumped)
    with other.engine.begin() as connection:
        dump.discard(connection)
    assert schemas(other) == ["public"]


def test_a_dump_that_ends_early_is_not_committed(dumped: Path, other: Database) -> None:
    """psql would take the end of its input for the end of the data."""
    whole = dumped.read_bytes()
    for share in (0.5, 0.9, 0.99):
        dumped.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ConfigurationError, match="pg_restore failed"):
            dump.load(other, dumped)
        assert schemas(other) == ["public"]


def test_what_the_server_refuses_is_said_in_its_words(dumped: Path, other: Database) -> None:
    """The first error, without rows."""
    with other.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA walletsvc_kept"))
    with pytest.raises(ConfigurationError, match='psql failed: schema "walletsvc_kept" already'):
        dump.load(other, dumped)


def test_an_empty_database_is_nothing_to_back_up(other: Database, tmp_path: Path) -> None:
    """A wrong address would otherwise give a fine backup of nothing."""
    with pytest.raises(ConfigurationError, match="empty"):
        dump.dump(other, tmp_path / "dump")


def test_a_failing_dump_is_an_error(database: Database, tmp_path: Path) -> None:
    """A full disk, say."""
    with pytest.raises(ConfigurationError, match="pg_dump failed"):
        dump.dump(database, tmp_path / "nowhere" / "dump")


def test_something_else_is_no_dump(tmp_path: Path) -> None:
    """A file that pg_restore cannot read."""
    file = tmp_path / "dump"
    file.write_text("no dump")
    with pytest.raises(ConfigurationError, match="pg_restore failed"):
        dump.examine(file)


def test_the_password_travels_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments are for everybody to read; our own settings are for nobody."""
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "x" * 40)
    env = programs.environment("postgresql://anna:pa%40ss@db.example:5433/cards?sslmode=require")
    assert env["PGPASSWORD"] == "pa@ss"
    assert (env["PGHOST"], env["PGPORT"], env["PGUSER"]) == ("db.example", "5433", "anna")
    assert (env["PGDATABASE"], env["PGSSLMODE"]) == ("cards", "require")
    assert not any(name.startswith("WALLETSVC_") for name in env)


def test_no_argument_of_a_running_program_holds_the_address(database: Database) -> None:
    """What `ps` shows."""
    address = "postgresql://anna:pa55word@127.0.0.1:1/cards"
    with programs.running("psql", "--file=-", conninfo=address, stdin=-1) as program:
        shown = Path(f"/proc/{program.process.pid}/cmdline").read_bytes()
        assert b"pa55word" not in shown
        program.stdin.close()
        with pytest.raises(ConfigurationError, match="psql failed"):
            program.check()
    assert not Path(f"/proc/{program.process.pid}").exists()
    assert "PGPASSWORD" not in os.environ
