"""What a restore must know about the database it is about to fill."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from walletsvc.core.errors import ConfigurationError
from walletsvc.storage import migrate
from walletsvc.storage.backup.archive import Manifest

# Rows of these are no data of anybody's.
_HOUSEKEEPING: Final = frozenset({"alembic_version", "counters"})
_QUEUE: Final = "procrastinate_"

_CONNECTIONS: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()"
    " AND COALESCE(backend_type, 'client backend') = 'client backend'"
)
_RELATIONS: Final = text(
    "SELECT c.relname, c.relkind = 'r' AS is_table FROM pg_class c"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
    "   AND d.objid = c.oid AND d.deptype = 'e') ORDER BY c.relname"
)
_EXTENSIONS: Final = text(
    "SELECT extname FROM pg_extension WHERE extnamespace = 'public'::regnamespace ORDER BY extname"
)


def refuse_unfit(
    connection: Connection, manifest: Manifest, tables: frozenset[str], *, replace: bool
) -> None:
    """Raise ConfigurationError when this backup must not, or cannot, be restored here.

    `tables` are those of the dump. `replace`: data of ours may be there and will go.
    """
    if not migrate.knows(manifest.revision):
        raise ConfigurationError(
            f"The backup was made by walletsvc {manifest.walletsvc} at revision "
            f"{manifest.revision}, which this version does not know: install that version or a "
            "newer one."
        )
    here = connection.execute(text("SELECT current_setting('server_version_num')")).scalar_one()
    if int(here) // 10_000 < manifest.server_version // 10_000:
        raise ConfigurationError(
            f"The backup was made with PostgreSQL {manifest.server_version // 10_000}; this "
            f"server is {int(here) // 10_000}: use one of that version or newer."
        )
    _refuse_company(connection)
    _refuse_strangers(connection, tables)
    if not replace and (found := _data(connection)):
        named = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        raise ConfigurationError(
            f"The database holds data already ({named}): restore into an empty one, or replace "
            "all of it with --replace."
        )


def _refuse_company(connection: Connection) -> None:
    if others := connection.execute(_CONNECTIONS).scalar_one():
        raise ConfigurationError(
            f"The database is in use ({others} other connection(s)): stop web, workers and "
            "whatever else is connected first."
        )


def _refuse_strangers(connection: Connection, tables: frozenset[str]) -> None:
    """The schema is replaced as a whole: nothing of anybody else's may be in it."""
    ours = {table.name for table in SQLModel.metadata.tables.values()} | tables
    strangers = [
        row.relname
        for row in connection.execute(_RELATIONS)
        if row.relname not in ours and not row.relname.startswith(_QUEUE)
    ]
    if strangers:
        raise ConfigurationError(
            f"The schema public holds the table {strangers[0]}, which is not of this walletsvc: "
            "give walletsvc a database of its own."
        )
    if extensions := connection.execute(_EXTENSIONS).scalars().all():
        raise ConfigurationError(
            f"The extension {extensions[0]} lives in the schema public, which a restore "
            f"replaces: move it with ALTER EXTENSION {extensions[0]} SET SCHEMA to another one."
        )


def _data(connection: Connection) -> list[str]:
    """The tables that hold data."""
    found = []
    for row in connection.execute(_RELATIONS).all():
        name = row.relname
        if row.is_table and name not in _HOUSEKEEPING and not name.startswith(_QUEUE):
            quoted = connection.dialect.identifier_preparer.quote(name)
            if connection.execute(text(f"SELECT EXISTS (SELECT FROM public.{quoted})")).scalar():  # noqa: S608
                found.append(name)
    return found
