"""A shop for each test of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.shop import Street, running
from walletsvc.storage.engine import Database


@pytest.fixture
def street(database: Database, tmp_path: Path) -> Iterator[Street]:
    """A shop that takes people in, on a port of its own."""
    with running(database, tmp_path) as found:
        yield found
