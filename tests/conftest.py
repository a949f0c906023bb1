"""Fixtures for everything: a real PostgreSQL, a fresh database per test, a fixed clock."""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import structlog
from playwright.sync_api import Browser
from psycopg import sql
from sqlalchemy.engine import make_url

import walletsvc
from tests.browser import chromium
from walletsvc.app import event_handlers
from walletsvc.jobs import events
from walletsvc.storage import columns
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import upgrade

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _unlocked() -> None:
    """Encrypted columns work in every test, whatever key the one before opened them with."""
    columns.unlock("test-secret-key-that-is-long-enough-0001")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A test that sets logging up, as a process does at its start, does so for itself alone:
    the next one would log into a stream that is closed by then."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    ours = structlog.get_config() if structlog.is_configured() else None
    yield
    if root.handlers != handlers:
        logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    if ours is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**ours)


@pytest.fixture(scope="session", autouse=True)
def _all_models() -> None:
    """Foreign keys name tables of other packages: all models must be known."""
    for module in pkgutil.walk_packages(walletsvc.__path__, "walletsvc."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server: WALLETSVC_TEST_DATABASE_URL, else an embedded one of this process."""
    if given := os.environ.get("WALLETSVC_TEST_DATABASE_URL"):
        yield given
        return
    folder = tmp_path_factory.mktemp("postgres")
    # Nothing here must survive a power cut; everything else is as in production.
    with EmbeddedServer(folder, {"fsync": "off", "full_page_writes": "off"}) as server:
        yield server.start()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium or Chrome; where there is none, one line says what to install.

    One for a module, no longer: its driver keeps an event loop running in this thread, beside
    which no other could be run.
    """
    if chromium.find() is None:
        pytest.fail(chromium.MISSING, pytrace=False)
    with chromium.launched() as found:
        yield found


def _admin(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def migrated_database(server_url: str) -> Iterator[str]:
    """The address of a migrated database that the tests of this process use in turn."""
    name = f"test_{secrets.token_hex(6)}"
    _admin(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = str(make_url(server_url).set(database=name).render_as_string(False))
    database = Database(url)
    upgrade(database)
    database.close()
    yield url
    _admin(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """The address of a database of one test, as a shop's own server offers it: empty."""
    name = f"test_{secrets.token_hex(6)}"
    _admin(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield str(make_url(server_url).set(database=name).render_as_string(False))
    _admin(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Delete every row, the ledger's too, which refuses that otherwise."""
    # One round trip, without foreign keys and triggers.
    connection.execute(
        """
        SET session_replication_role = replica;
        SET lock_timeout = '10s';
        DO $$ DECLARE known text; BEGIN
            FOR known IN SELECT tablename FROM pg_tables
                WHERE schemaname = 'public' AND tablename <> 'alembic_version'
            LOOP EXECUTE format('DELETE FROM %I', known); END LOOP;
        END $$
        """
    )


@pytest.fixture
def database_url(migrated_database: str) -> str:
    """The address of an empty, migrated database.

    Emptying one takes two milliseconds, making one four hundred. Sequences go on counting, so
    nothing may rely on an id.
    """
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        # What a former test left running must neither write into this one nor hold locks.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        empty(connection)
    return migrated_database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    database = Database(database_url, pool_size=16, carried=events.carried(event_handlers()))
    yield database
    database.close()


@pytest.fixture(scope="session")
def signing_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys take long to make: one set serves all tests of a process."""
    return tmp_path_factory.mktemp("certs")


@pytest.fixture
def now() -> datetime:
    """The moment tests take as the present."""
    return NOW
