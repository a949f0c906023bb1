"""A pass that waits for something."""

from __future__ import annotations

import pytest

from tests.apple.conftest import Service
from tests.apple.timelines import (
    add,
    later,
)


@pytest.fixture
def waiting(service: Service) -> Service:
    """A phone with the pass, and a published change whose push waits."""
    add(service)
    later(service, minutes=1)
    service.change(5)
    service.drain()
    later(service, minutes=1)
    return service
