"""An embedded server's folder, made once: half a second each would add up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.embedded.helpers import FAST, servers
from walletsvc.storage.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stopped server's folder, shared by tests that leave it as they found it: making takes."""
    folder = tmp_path_factory.mktemp("shared") / "postgres"
    with EmbeddedServer(folder, FAST):
        pass
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(initialised: Path) -> Iterator[Path]:
    """A server's folder; checks that the test left no server running in it."""
    yield initialised
    assert servers(initialised) == set()
