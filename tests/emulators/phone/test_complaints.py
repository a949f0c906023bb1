"""What the phone objects to, what it survives, and what it only complains about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.emulators.phone import handmade
from tests.emulators.phone.handmade import PASS_TYPE, TOKEN, authority
from tests.emulators.phone.pass_server import PATIENCE, PassServer
from walletsvc.emulators.phone import (
    Event,
    Kind,
    PackageRefused,
    Phone,
    PhoneError,
    ProtocolViolation,
    Unreachable,
)


def _later(seconds: int) -> Callable[[PassServer], None]:
    def change(server: PassServer) -> None:
        server.modified += timedelta(seconds=seconds)

    return change


def _misbehave(*names: str) -> Callable[[PassServer], None]:
    return lambda server: server.misbehave.update(names)


def _other_signer(server: PassServer) -> None:
    server.recipe.leaf = handmade.Signer(
        authority().leaf.certificate, handmade.key("somebody else")
    )


def _spoil_manifest(server: PassServer) -> None:
    server.recipe.manifest = lambda m: m.update({"icon.png": "0" * 40})


# What goes wrong after the phone holds the pass, and what it says about it.
VIOLATIONS: dict[str, tuple[Callable[[PassServer], None], type[PhoneError], str]] = {
    "numeric tag": (
        _misbehave("numeric tag"),
        ProtocolViolation,
        "lastUpdated must be a JSON string, not 2",
    ),
    "no serials": (_misbehave("no serials"), ProtocolViolation, "serialNumbers is no list"),
    "serial twice": (_misbehave("serial twice"), ProtocolViolation, "listed twice"),
    "listing cut": (_misbehave("listing cut"), ProtocolViolation, "not JSON"),
    "listing as list": (_misbehave("listing as list"), ProtocolViolation, "serialNumbers"),
    "wrong type": (
        _misbehave("wrong type"),
        ProtocolViolation,
        "Content-Type is 'application/zip'",
    ),
    "no Last-Modified": (_misbehave("no Last-Modified"), ProtocolViolation, "no Last-Modified"),
    "odd Last-Modified": (_misbehave("odd Last-Modified"), ProtocolViolation, "is no date"),
    "local Last-Modified": (_misbehave("local Last-Modified"), ProtocolViolation, "not in GMT"),
    "Last-Modified back": (
        lambda s: (_later(-60)(s), _misbehave("never 304")(s))[0],
        ProtocolViolation,
        "Last-Modified went back",
    ),
    "Last-Modified stays": (
        lambda s: (_later(-1)(s), _misbehave("never 304")(s))[0],
        ProtocolViolation,
        "the pass changed, but Last-Modified is still",
    ),
    "401 for the pass": (
        lambda s: s.failing.append(("GET", "/apple/v1/passes", 401)),
        ProtocolViolation,
        "unexpected status 401",
    ),
    "401 for the list": (
        lambda s: s.failing.append(("GET", "/apple/v1/devices", 401)),
        ProtocolViolation,
        "unexpected status 401",
    ),
    "redirect": (
        lambda s: s.failing.append(("GET", "/apple/v1/passes", 302)),
        ProtocolViolation,
        "unexpected status 302",
    ),
    "foreign signature": (_other_signer, PackageRefused, "does not verify"),
    "wrong hash": (_spoil_manifest, PackageRefused, "the hash of 'icon.png'"),
    "another serial": (
        lambda s: s.changes.update(serialNumber="card-9"),
        PackageRefused,
        "serialNumber differs from the installed pass's",
    ),
}


@pytest.mark.parametrize("fault", VIOLATIONS)
def test_a_violation_is_noticed_and_logged(server: PassServer, phone: Phone, fault: str) -> None:
    """The phone raises, complains to the log, keeps the old pass and its tag."""
    break_it, error, reason = VIOLATIONS[fault]
    phone.add(server.pass_url)
    server.credit(50, push=False)
    break_it(server)
    server.push()
    with pytest.raises(error) as raised:
        phone.wait_for_update(PATIENCE)
    assert reason in raised.value.detail
    assert phone.complaints == [raised.value.detail]
    assert [raised.value.detail in line for line in server.logs] == [True]
    assert phone.passes[PASS_TYPE, "card-1"].package.values["points"] == 100
    assert phone.tags == {}
    assert TOKEN not in "".join(server.logs)


def test_a_204_with_a_body_is_noticed(server: PassServer, phone: Phone) -> None:
    """HTTP clients never show that body; the header gives it away."""
    phone.add(server.pass_url)
    server.credit(1)
    phone.wait_for_update(PATIENCE)
    server.misbehave.add("204 with body")
    with pytest.raises(ProtocolViolation, match="204 with a body"):
        phone.on_push(PASS_TYPE)
    assert len(server.logs) == 1


def test_a_204_without_body_is_nothing_new(server: PassServer, phone: Phone) -> None:
    """The usual answer to a push that another push overtook."""
    phone.add(server.pass_url)
    server.credit(1)
    phone.wait_for_update(PATIENCE)
    assert phone.on_push(PASS_TYPE) == []
    assert phone.complaints == []


def test_a_304_for_a_listed_serial_is_complained_about(server: PassServer, phone: Phone) -> None:
    """With a tag the service claims a change; without one it lists everything, and 304 is fine."""
    phone.add(server.pass_url)
    assert phone.on_push(PASS_TYPE) == []
    assert phone.complaints == []
    server.misbehave.add("listing without end")
    assert phone.on_push(PASS_TYPE) == []
    assert phone.complaints == ["Asked to update serial number card-1, which is unchanged (304)"]
    assert len(server.logs) == 1


def test_the_same_pass_again_is_complained_about(server: PassServer, phone: Phone) -> None:
    """A service whose Last-Modified is always now defeats the 304."""
    phone.add(server.pass_url)
    _later(1)(server)
    server.misbehave.add("never 304")
    assert phone.on_push(PASS_TYPE) == []
    assert "200 with the same content" in phone.complaints[0]


def test_a_serial_the_phone_does_not_have_is_complained_about(
    server: PassServer, phone: Phone
) -> None:
    """The rest of the list is followed all the same."""
    phone.add(server.pass_url)
    server.misbehave.add("foreign serial")
    server.credit(1)
    assert phone.wait_for_update(PATIENCE).after.values["points"] == 101
    assert phone.complaints == ["Asked to update serial number card-2, which is not here"]


def test_an_unconditional_304_is_noticed(server: PassServer, phone: Phone) -> None:
    """Nobody may answer "not modified" to who has no date to compare with."""
    server.misbehave.add("no Last-Modified")
    phone.add(server.pass_url)
    server.misbehave = {"always 304"}
    with pytest.raises(ProtocolViolation, match="304, but nothing was asked conditionally"):
        phone.on_push(PASS_TYPE)


@pytest.mark.parametrize(
    ("method", "prefix"),
    [
        ("POST", "/apple/v1/devices"),
        ("GET", "/apple/v1/devices"),
        ("GET", "/apple/v1/passes"),
        ("DELETE", "/apple/v1/devices"),
    ],
)
def test_failures_are_tried_again_with_growing_waits(
    server: PassServer,
    phone: Phone,
    waits: list[float],
    events: list[Event],
    method: str,
    prefix: str,
) -> None:
    """Three failures of any call are survived, the waits grow, and there is nothing to log."""
    server.failing += [(method, prefix, status) for status in (500, 502, 503)]
    phone.add(server.pass_url)
    server.credit(1)
    phone.wait_for_update(PATIENCE)
    phone.remove_all()
    assert waits == [1.0, 4.0, 16.0]
    assert [event.kind for event in events].count(Kind.RETRYING) == 3
    assert server.logs == []


def test_a_service_that_stays_down_is_given_up(
    server: PassServer, phone: Phone, waits: list[float]
) -> None:
    """After the last retry the phone gives up and keeps its tag, so nothing is lost."""
    phone.add(server.pass_url)
    server.credit(1)
    server.failing += [("GET", "/apple/v1/passes", 500)] * 4
    with pytest.raises(Unreachable, match="answered 500, after 3 retries too"):
        phone.wait_for_update(PATIENCE)
    assert phone.tags == {}
    server.push()
    assert phone.wait_for_update(PATIENCE).after.values["points"] == 101


def test_nobody_there_is_unreachable(server: PassServer, phone: Phone) -> None:
    """A refused connection is an error of ours, not a traceback."""
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9/x failed: Connection refused$"):
        phone.add("http://127.0.0.1:9/x")


@pytest.mark.parametrize("status", [400, 401, 404, 429])
def test_a_refused_registration_is_noticed(server: PassServer, phone: Phone, status: int) -> None:
    """Anything but 201 and 200."""
    server.failing.append(("POST", "/apple/v1/devices", status))
    with pytest.raises(ProtocolViolation, match=f"Register task.*unexpected status {status}"):
        phone.add(server.pass_url)
    assert len(server.logs) == 1


def test_a_refused_unregistration_is_noticed(server: PassServer, phone: Phone) -> None:
    """The pass is gone from the phone all the same."""
    phone.add(server.pass_url)
    server.failing.append(("DELETE", "/apple/v1/devices", 401))
    with pytest.raises(ProtocolViolation, match="Unregister task"):
        phone.remove_all()
    assert phone.passes == {}


def test_a_missing_log_endpoint_is_mentioned(
    server: PassServer, phone: Phone, events: list[Event]
) -> None:
    """A complaint nobody takes is no error, but the operator should know."""
    phone.add(server.pass_url)
    server.failing.append(("POST", "/apple/v1/log", 404))
    server.misbehave.add("foreign serial")
    phone.on_push(PASS_TYPE)
    assert [e.details["text"] for e in events if e.kind is Kind.NOTE] == [
        "The log call was answered 404"
    ]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("wrong type", "Content-Type"), ("odd Last-Modified", "is no date")],
)
def test_a_faulty_download_is_noticed(
    server: PassServer, phone: Phone, fault: str, reason: str
) -> None:
    """Nothing is registered then."""
    server.misbehave.add(fault)
    with pytest.raises(ProtocolViolation, match=reason):
        phone.add(server.pass_url)
    assert server.registered == {}


def test_a_download_that_is_not_there_is_noticed(server: PassServer, phone: Phone) -> None:
    """A wrong link says which status came."""
    with pytest.raises(ProtocolViolation, match="status 404"):
        phone.add(f"{server.url}/x")
