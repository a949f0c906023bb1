"""Fixtures for everything: a real PostgreSQL, a fresh database per test, a fixed clock."""

from __future__ import annotations

import importlib
import os
import pkgutil
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

import walletsvc
from walletsvc.storage import columns
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import upgrade

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def _unlocked() -> None:
    """Encrypted columns work in every test."""
    columns.unlock("test-secret-key-that-is-long-enough-0001")


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


def _admin(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def template_database(server_url: str) -> Iterator[str]:
    """A migrated, empty database that each test's own is copied from."""
    name = f"template_{secrets.token_hex(6)}"
    _admin(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = Database(str(make_url(server_url).set(database=name).render_as_string(False)))
    upgrade(database)
    database.close()
    yield name
    _admin(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """The address of a fresh, migrated database."""
    name = f"test_{secrets.token_hex(6)}"
    _admin(
        server_url,
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template_database)
        ),
    )
    yield str(make_url(server_url).set(database=name).render_as_string(False))
    _admin(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    database = Database(database_url, pool_size=16)
    yield database
    database.close()


@pytest.fixture
def now() -> datetime:
    """The moment tests take as the present."""
    return NOW
