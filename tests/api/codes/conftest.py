"""Tills of programmes whose cards show codes of the moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.codes.till import Till
from tests.api.conftest import Api


@pytest.fixture
def till(api: Api, tmp_path: Path) -> Till:
    """A till of a programme with codes by the time."""
    return Till(api, tmp_path)


@pytest.fixture
def rolling(api: Api, tmp_path: Path) -> Till:
    """A till of a programme with rolling codes."""
    return Till(api, tmp_path, "rolling")
