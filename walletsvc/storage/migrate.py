"""Bring the schema up to date. Any number of processes may try at once; one does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.engine import Database

# Held for the length of a migration, so that processes starting together take turns.
_MIGRATION_LOCK = 0x57414C4C45540001
_MIGRATIONS = str(Path(__file__).parent / "migrations")


def config(connection: Connection) -> Config:
    """Alembic's configuration for an open connection."""
    settings = Config()
    settings.set_main_option("script_location", _MIGRATIONS)
    settings.attributes["connection"] = connection
    return settings


def upgrade(database: Database) -> None:
    """Run all outstanding migrations in one transaction."""
    with database.engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        bring_forward(connection)


def bring_forward(connection: Connection) -> None:
    """Run all outstanding migrations in the caller's transaction.

    Raises ConfigurationError for a schema that a newer version wrote.
    """
    current = MigrationContext.configure(connection).get_current_revision()
    if current == _scripts().get_current_head():
        return
    if current and current not in _known():
        raise ConfigurationError(
            f"The database is at revision {current}, which this version does not know: "
            "it was written by a newer walletsvc. Install that version or restore a backup."
        )
    command.upgrade(config(connection), "head")


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Keep migrations out for a block, and with them every process that starts meanwhile.

    The connection must be in no transaction. Raises ConfigurationError when another process
    migrates or restores at this moment.
    """
    with connection.begin():
        key = {"key": _MIGRATION_LOCK}
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
            raise ConfigurationError("The database is being migrated or restored at this moment.")
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)


def knows(revision: str) -> bool:
    """Whether this code can bring a schema of that revision forward."""
    return revision in _known()


def is_current(database: Database) -> bool:
    """Whether the schema is the one this code needs."""
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        return current == _scripts().get_current_head()


@cache
def _scripts() -> ScriptDirectory:
    """The migrations, which to read takes longer than to ask a database what it is at."""
    return ScriptDirectory(_MIGRATIONS)


def _known() -> set[str]:
    return {revision.revision for revision in _scripts().walk_revisions()}
