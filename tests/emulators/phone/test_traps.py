"""The trap suite: quiet about a service that does right, loud about each known mistake."""

from __future__ import annotations

import pytest

from tests.emulators.phone.pass_server import PassServer
from walletsvc.emulators.phone.traps import spring


def test_a_good_service_springs_no_trap(server: PassServer) -> None:
    """Everything is tried, nothing is wrong, nobody stays registered."""
    findings = spring(server.pass_url)
    assert [finding for finding in findings if finding.problem] == []
    assert len(findings) > 60
    assert server.registered == {}
    assert server.points == 100


@pytest.mark.parametrize(
    ("fault", "trap"),
    [
        ("list needs a token", "the list call without tag and token"),
        ("odd tags fail", "the odd tag 'NaN' counts as none"),
        ("any token will do", "DELETE with a wrong token is 401"),
        ("numeric tag", "the list call without tag and token"),
        ("listing without end", "asking with the newest tag is an empty 204"),
        ("204 with body", "the list of an unknown device is an empty 204"),
        ("never 304", "its own Last-Modified gives 304"),
        ("always 304", "another ETag outranks the date"),
    ],
)
def test_a_mistake_is_found(server: PassServer, fault: str, trap: str) -> None:
    """The trap that is made for it says what was answered."""
    server.misbehave.add(fault)
    assert trap in {finding.trap for finding in spring(server.pass_url) if finding.problem}
