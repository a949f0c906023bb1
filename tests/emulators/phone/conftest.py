"""A well-behaved service, a push stream and a phone that never really sleeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulators.phone.handmade import authority
from tests.emulators.phone.pass_server import PassServer, serve
from walletsvc.emulators.phone import (
    Event,
    Phone,
    Pushes,
    Transport,
)


@pytest.fixture
def server() -> Iterator[PassServer]:
    """A web service that does right until told otherwise."""
    with serve() as server:
        yield server


@pytest.fixture
def pushes(server: PassServer) -> Iterator[Pushes]:
    """The push stream of the server's control interface."""
    with Pushes(server.url) as pushes:
        yield pushes


@pytest.fixture
def waits() -> list[float]:
    """What the phone slept between tries, in seconds; nobody really sleeps."""
    return []


@pytest.fixture
def events() -> list[Event]:
    """What the phone reported."""
    return []


@pytest.fixture
def phone(pushes: Pushes, waits: list[float], events: list[Event]) -> Iterator[Phone]:
    """A phone that trusts the example's root and does not sleep."""
    transport = Transport(sleep=waits.append)
    with Phone(
        pushes,
        roots=[authority().root.certificate],
        language="ru",
        report=events.append,
        transport=transport,
    ) as phone:
        yield phone
    transport.close()
