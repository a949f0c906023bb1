"""Many phones at once."""

from __future__ import annotations

import pytest

from tests.emulators.phone.handmade import authority
from tests.emulators.phone.pass_server import PATIENCE, PassServer
from walletsvc.emulators.phone import (
    Fleet,
    ProtocolViolation,
    Pushes,
    TimedOut,
)


def test_a_fleet_follows_one_push_each(server: PassServer, pushes: Pushes) -> None:
    """Forty phones register, every one gets its update, every one unregisters."""
    with Fleet(pushes, 40, roots=[authority().root.certificate]) as fleet:
        fleet.add([server.pass_url])
        assert len(server.registered) == 40
        assert len(set(server.registered.values())) == 40
        server.credit(1)
        fleet.wait(updates=1, timeout=PATIENCE)
        assert set(fleet.updates.values()) == {1}
        fleet.remove_all()
    assert server.registered == {}


def test_a_fleet_reports_the_first_objection(server: PassServer, pushes: Pushes) -> None:
    """A violation that one phone meets ends the waiting."""
    with Fleet(pushes, 3) as fleet:
        fleet.add([server.pass_url])
        server.misbehave.add("numeric tag")
        server.credit(1)
        with pytest.raises(ProtocolViolation, match="lastUpdated"):
            fleet.wait(updates=1, timeout=PATIENCE)


def test_a_fleet_says_how_many_are_late(server: PassServer, pushes: Pushes) -> None:
    """The time-out counts them; without a target the end of the time is just the end."""
    with Fleet(pushes, 3) as fleet:
        fleet.add([server.pass_url])
        with pytest.raises(TimedOut, match="3 of 3 phones had fewer than 1 updates"):
            fleet.wait(updates=1, timeout=0.01)
        fleet.wait(updates=None, timeout=0.01)
