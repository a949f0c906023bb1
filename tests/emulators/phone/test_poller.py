"""Wallets that poll and never register."""

from __future__ import annotations

import pytest

from tests.emulators.phone.handmade import TOKEN
from tests.emulators.phone.pass_server import PassServer
from walletsvc.emulators.phone import Conditional, Poller, ProtocolViolation


@pytest.mark.parametrize("conditional", [Conditional.NOTHING, *Conditional, Conditional.BOTH])
def test_a_poller_sees_each_change_once(server: PassServer, conditional: Conditional) -> None:
    """With any validators or none: nothing, then the new pass, then nothing."""
    with Poller(conditional=conditional) as poller:
        poller.add(server.pass_url)
        assert poller.poll() is None
        server.credit(7)
        changed = poller.poll()
        assert changed is not None
        assert changed.values["points"] == 107
        assert poller.poll() is None
    assert server.registered == {}


def test_a_poller_sends_what_it_is_told_to(server: PassServer) -> None:
    """Its scheme and its validators, nothing else."""
    with Poller(conditional=Conditional.BOTH, scheme="AndroidPass") as poller:
        poller.add(server.pass_url)
        poller.poll()
    headers = server.requests[-1][2]
    assert headers["Authorization"] == f"AndroidPass {TOKEN}"
    assert headers["If-None-Match"] == '"1"'
    assert "If-Modified-Since" in headers


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("always 304", "304, but nothing was asked conditionally"),
        ("no ETag", "needs Last-Modified and ETag"),
        ("no Last-Modified", "needs Last-Modified and ETag"),
        ("restless ETag", "the ETag changed although the pass did not"),
        ("wrong type", "Content-Type"),
    ],
)
def test_a_poller_notices_what_defeats_polling(server: PassServer, fault: str, reason: str) -> None:
    """Each fault has its reason."""
    with Poller() as poller:
        poller.add(server.pass_url)
        server.misbehave.add(fault)
        with pytest.raises(ProtocolViolation, match=reason):
            poller.poll()


def test_a_poller_notices_a_refusal(server: PassServer) -> None:
    """401 after the token was good once."""
    with Poller() as poller:
        poller.add(server.pass_url)
        server.failing.append(("GET", "/apple/v1/passes", 401))
        with pytest.raises(ProtocolViolation, match="status 401"):
            poller.poll()
