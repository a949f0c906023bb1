"""The database's part of a backup: dumping it, looking into a dump, loading one beside the live
data, and putting it in their place.

A dump is loaded with one transaction into a schema of its own, so that the tables in use stay
untouched; `swap` then exchanges the two inside a transaction of the caller. Killed at any point
before that one commit, a restore has changed nothing.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.backup.programs import Program, running
from walletsvc.storage.engine import Database

STAGED: Final = "walletsvc_restored"
_KEPT: Final = "walletsvc_kept"
_CHUNK: Final = 1 << 20
_TABLE_DATA: Final = re.compile(r" TABLE DATA public (\S+) ")

Progress = Callable[[int], None]

# The dump names the schema `public` throughout, so the live one steps aside for its length.
_BEFORE: Final = f"""\
BEGIN;
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS {STAGED} CASCADE;
ALTER SCHEMA public RENAME TO {_KEPT};
CREATE SCHEMA public;
"""
_AFTER: Final = f"""
ALTER SCHEMA public RENAME TO {STAGED};
ALTER SCHEMA {_KEPT} RENAME TO public;
COMMIT;
"""
_SWAP: Final = (
    "SET LOCAL client_min_messages = warning",
    "DROP SCHEMA public CASCADE",
    f"ALTER SCHEMA {STAGED} RENAME TO public",
    "GRANT USAGE ON SCHEMA public TO PUBLIC",
)


@dataclass(frozen=True)
class Snapshot:
    """What was dumped: the schema's revision, the server's version (180004), the data's bytes."""

    revision: str
    server_version: int
    database_bytes: int


def dump(database: Database, target: Path, progress: Progress = lambda _: None) -> Snapshot:
    """Write a dump of one moment into `target` while the service goes on.

    `progress` gets the bytes written so far. Raises ConfigurationError when pg_dump fails or the
    database holds no schema of ours.
    """
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection, connection.begin():
        # What is read here and what the dump holds are of the same moment.
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        revision = MigrationContext.configure(connection).get_current_revision()
        if revision is None:
            raise ConfigurationError("The database is empty: there is nothing to back up.")
        facts = connection.execute(
            text(
                "SELECT current_setting('server_version_num')::int AS version,"
                " pg_database_size(current_database()) AS bytes"
            )
        ).one()
        with running(
            "pg_dump",
            *("--format=custom", "--schema=public", "--no-owner", "--no-privileges"),
            *(f"--snapshot={snapshot}", f"--file={target}"),
            conninfo=database.conninfo,
        ) as program:
            while not program.ended():
                progress(target.stat().st_size)
            program.check()
    return Snapshot(revision, facts.version, facts.bytes)


def examine(file: Path) -> frozenset[str]:
    """The tables in a dump; raises ConfigurationError unless it is one of a walletsvc database."""
    with running("pg_restore", "--list", str(file), stdout=subprocess.PIPE) as program:
        listed = program.stdout.read().decode(errors="replace")
        program.check()
    tables = frozenset(_TABLE_DATA.findall(listed))
    if "alembic_version" not in tables:
        raise ConfigurationError("The dump in the backup is not one of a walletsvc database.")
    return tables


def load(database: Database, file: Path, progress: Progress = lambda _: None) -> None:
    """Load a dump into the schema STAGED, in one transaction; the live schema stays as it is.

    `progress` gets the bytes of SQL loaded so far. Raises ConfigurationError with the reason.
    """
    with (
        running(
            "psql",
            *("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"),
            "--file=-",
            conninfo=database.conninfo,
            stdin=subprocess.PIPE,
        ) as psql,
        running(
            "pg_restore",
            *("--file=-", "--schema=public", "--no-owner", "--no-privileges", str(file)),
            stdout=subprocess.PIPE,
        ) as reader,
    ):
        try:
            psql.stdin.write(_BEFORE.encode())
            _pass_on(reader, psql, progress)
            # A dump that cannot be read to its end must not be committed as far as it went.
            reader.check()
            psql.stdin.write(_AFTER.encode())
            psql.stdin.close()
        except BrokenPipeError:
            pass  # psql stopped at an error, which it tells here:
        psql.check()


def _pass_on(reader: Program, psql: Program, progress: Progress) -> None:
    passed = 0
    while chunk := reader.stdout.read(_CHUNK):
        psql.stdin.write(chunk)
        passed += len(chunk)
        progress(passed)


def swap(connection: Connection) -> None:
    """Put the loaded schema in the place of the live one, which is dropped at the commit."""
    for statement in _SWAP:
        connection.execute(text(statement))


def discard(connection: Connection) -> None:
    """Drop what a restore loaded and did not use."""
    connection.execute(text(f"DROP SCHEMA IF EXISTS {STAGED} CASCADE"))
