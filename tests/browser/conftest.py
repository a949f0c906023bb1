"""A browser for all tests of a process, and a shop for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.browser.shop import Street, running
from walletsvc.storage.engine import Database


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium or Chrome; where there is none, one line says what to install."""
    if chromium.find() is None:
        pytest.fail(chromium.MISSING, pytrace=False)
    with chromium.launched() as found:
        yield found


@pytest.fixture
def street(database: Database, tmp_path: Path) -> Iterator[Street]:
    """A shop that takes people in, on a port of its own."""
    with running(database, tmp_path) as found:
        yield found
