"""Tills of programmes whose cards show codes of the moment."""

from __future__ import annotations

import pytest

from tests.api.codes.till import Till
from tests.api.conftest import Api


@pytest.fixture
def till(api: Api) -> Till:
    """A till of a programme with codes by the time."""
    return Till(api)


@pytest.fixture
def rolling(api: Api) -> Till:
    """A till of a programme with rolling codes."""
    return Till(api, "rolling")
