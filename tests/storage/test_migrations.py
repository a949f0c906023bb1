"""Migrations and models describe the same database."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Text, event, text
from sqlmodel import AutoString, SQLModel

import walletsvc
from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import config, is_current, upgrade

Rows = set[tuple[Any, ...]]


@pytest.fixture(scope="module", autouse=True)
def _every_table() -> None:
    """Some tables live beside the code that is their only user: import everything."""
    apart = tuple(f"walletsvc.{part}" for part in ("__main__", "emulators", "storage.migrations"))
    for module in pkgutil.walk_packages(walletsvc.__path__, "walletsvc."):
        if not module.name.startswith(apart):
            importlib.import_module(module.name)


def rows(connection: Connection, statement: str) -> Rows:
    """The rows of a statement about the current schema."""
    return {tuple(row) for row in connection.execute(text(statement))}


def everything(connection: Connection) -> list[Rows]:
    """Columns, constraints, indexes, triggers and revision of the database."""
    return [
        rows(
            connection,
            "SELECT table_name, column_name, data_type, is_nullable, column_default"
            "  FROM information_schema.columns WHERE table_schema = 'public'",
        ),
        rows(
            connection,
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace",
        ),
        rows(connection, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"),
        rows(connection, "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"),
        rows(connection, "SELECT version_num, xmin::text FROM alembic_version"),
    ]


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    """A second upgrade of an up-to-date database is a no-op."""
    assert is_current(database)
    with database.engine.connect() as connection:
        before = everything(connection)
    upgrade(database)
    with database.engine.connect() as connection:
        assert everything(connection) == before
    assert is_current(database)


EIGHT = """
import os, sys
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import upgrade
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        upgrade(Database(sys.argv[1]))
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_eight_processes_that_start_at_once_migrate_once(empty_database_url: str) -> None:
    """On one host or several: one does it, the others wait and find it done."""
    result = subprocess.run(
        [sys.executable, "-c", EIGHT, empty_database_url], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    database = Database(empty_database_url)
    assert is_current(database)
    database.close()


def test_a_database_that_is_up_to_date_costs_one_look(database: Database) -> None:
    """Every command and process opens one."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        asked.append(sql)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        upgrade(database)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert sum("alembic_version" in sql and sql.startswith("SELECT") for sql in asked) == 1, asked


def test_a_newer_database_is_refused(database: Database) -> None:
    """A revision this code does not know stops start-up with what to do."""
    real = revision(database, "9999")
    try:
        assert not is_current(database)
        with pytest.raises(ConfigurationError, match="newer walletsvc"):
            upgrade(database)
    finally:
        revision(database, real)  # other tests use the same database


def revision(database: Database, to: str) -> str:
    """Say that the database is at another revision; returns the one it was at."""
    with database.engine.begin() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": to})
    return str(found)


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def _type_differs(
    _context: object, _column: object, _model: object, inspected: object, modelled: object
) -> bool | None:
    """A plain `str` is Text in the migrations; everything else compares as usual."""
    if isinstance(modelled, AutoString) and modelled.length is None:
        return not isinstance(inspected, Text)
    return None


def test_the_models_need_no_further_migration(database: Database) -> None:
    """Autogenerate finds nothing to add, drop or change."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": _is_ours,
                "compare_type": _type_differs,
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, SQLModel.metadata) == []


@pytest.fixture
def modelled(database: Database) -> Iterator[Connection]:
    """A connection whose schema `modelled` was made from the models alone."""
    with database.engine.connect() as connection:
        connection.execute(text("CREATE SCHEMA modelled"))
        connection.execute(text("SET search_path TO modelled"))
        SQLModel.metadata.create_all(connection)
        yield connection


def defined(connection: Connection, schema: str, statement: str) -> Rows:
    """Definitions as they read inside a schema, without the job queue's own tables."""
    connection.execute(text(f"SET search_path TO {schema}"))
    found = rows(connection, statement.format(schema=schema))
    return {row for row in found if not str(row[0]).startswith(("procrastinate_", "alembic_"))}


def test_constraints_read_the_same_in_models_and_migrations(modelled: Connection) -> None:
    """Autogenerate misses changed CHECKs and new enum members; comparing definitions does not."""
    statement = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
        "  FROM pg_constraint WHERE connamespace = '{schema}'::regnamespace AND conrelid <> 0"
    )
    models = defined(modelled, "modelled", statement)
    assert len(models) > 50
    assert models == defined(modelled, "public", statement)


def test_indexes_read_the_same_in_models_and_migrations(modelled: Connection) -> None:
    """The same for indexes, whose conditions autogenerate does not compare."""
    statement = (
        "SELECT tablename, replace(indexdef, '{schema}.', '')"
        "  FROM pg_indexes WHERE schemaname = '{schema}'"
    )
    models = defined(modelled, "modelled", statement)
    assert len(models) > 50
    assert models == defined(modelled, "public", statement)


def test_pages_of_passes_have_room_for_new_states(database: Database) -> None:
    """More than half of a page: a broadcast changes all of its rows before any old one may go."""
    with database.read_tx() as session:
        options = session.execute(
            text("SELECT reloptions FROM pg_class WHERE relname = 'passes'")
        ).scalar_one()
    assert options == ["fillfactor=45"]


def test_nobody_waits_for_the_cards_of_former_imports(empty_database_url: str) -> None:
    """Migration 0027 goes through all of them before anything is locked against writing."""
    database = Database(empty_database_url)
    locked: list[Any] = []

    def look(connection: Connection, _cursor: Any, statement: str, *_: object) -> None:
        if "INSERT INTO card_registrations" in statement:
            found = connection.execute(
                text(
                    "SELECT relation::regclass::text, mode FROM pg_locks"
                    " WHERE pid = pg_backend_pid() AND mode = 'ShareRowExclusiveLock'"
                )
            )
            locked.append(found.all())

    with database.engine.begin() as connection:
        command.upgrade(config(connection), "0026")
    with database.engine.begin() as connection:
        event.listen(connection, "after_cursor_execute", look)
        command.upgrade(config(connection), "0027")
    database.close()
    assert locked == [[]]


def test_system_accounts_that_nothing_used_are_gone(empty_database_url: str) -> None:
    """Migration 0012 on an installation that has them; all others stay."""
    database = Database(empty_database_url)
    with database.engine.begin() as connection:
        command.upgrade(config(connection), "0011")
        connection.execute(
            text(
                "WITH o AS (INSERT INTO organisations (public_id, slug, name, created_at)"
                " VALUES ('o', 'shop', 'Shop', now()) RETURNING id),"
                " u AS (INSERT INTO ledger_units (code, kind, scale) VALUES ('RUB', 'currency', 2)"
                " RETURNING id)"
                " INSERT INTO accounts (public_id, organisation_id, unit_id, kind, code, held,"
                " min_balance, created_at) SELECT code, o.id, u.id, 'system', code, 0, 0, now()"
                " FROM o, u, unnest(ARRAY['issuance', 'certificate-liability', 'breakage']) code"
            )
        )
    upgrade(database)
    with database.engine.connect() as connection:
        left = connection.execute(text("SELECT code FROM accounts ORDER BY code")).scalars().all()
    database.close()
    assert left == ["breakage", "issuance"]
