"""Fixtures for everything: a real PostgreSQL, a fresh database per test, a fixed clock."""

from __future__ import annotations

import gc
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
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from playwright.sync_api import Browser
from psycopg import sql
from sqlalchemy.engine import make_url

import walletsvc
from tests.browser import chromium
from tests.databases import KeptDatabase, Shared
from walletsvc.storage import columns
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import upgrade

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


# As where it is installed, without the coloured tracebacks of a package that developers happen to
# have: one takes half a second.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback
# A process makes one application, a test one of its own: their templates are compiled once.
Flask.jinja_options["bytecode_cache"] = FileSystemBytecodeCache()


def pytest_collectstart() -> None:
    """What is made from here until all tests are collected stays: nothing is to be found."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Have the collector leave all modules and tests alone: to look through them again and again
    took a sixth of the processor time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


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
    # Nothing here must survive a power cut, and all of it is small; everything else is as in
    # production.
    settings = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
    with EmbeddedServer(folder, settings) as server:
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


@pytest.fixture(scope="session")
def kept_database(migrated_database: str) -> Iterator[KeptDatabase]:
    """The migrated database with what the tests share of it: its connections, their plans."""
    kept = KeptDatabase(migrated_database)
    yield kept
    kept.close()


@pytest.fixture
def database_url(kept_database: KeptDatabase) -> str:
    """The address of an empty, migrated database.

    Emptying one takes two milliseconds, making one four hundred. Sequences go on counting, so
    nothing may rely on an id.
    """
    kept_database.make_ready()
    return kept_database.url


@pytest.fixture
def database(database_url: str, kept_database: KeptDatabase) -> Iterator[Database]:
    """A fresh, migrated database."""
    database = Shared(kept_database)
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
