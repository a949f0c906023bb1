"""`walletsvc simulate phone` from the outside: what it prints and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding

from tests.emulators.phone.handmade import authority
from tests.emulators.phone.pass_server import PassServer, serve
from walletsvc.cli.simulate import simulate
from walletsvc.emulators.phone import PackageRefused, ProtocolViolation, TimedOut, Unreachable


@pytest.fixture
def server() -> Iterator[PassServer]:
    """A web service that does right until told otherwise."""
    with serve() as server:
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root to trust, as a file."""
    path = tmp_path / "root.pem"
    path.write_bytes(authority().root.certificate.public_bytes(Encoding.PEM))
    return path


def run(server: PassServer, *options: str) -> Result:
    """Run the command against the server."""
    return CliRunner().invoke(
        simulate, ["phone", server.pass_url, "--control", server.url, *options]
    )


def test_a_phone_tells_its_story(server: PassServer, root: Path) -> None:
    """One line per step with its time; it ends after the update, and unregisters."""
    server.on_registered = lambda: server.credit(50)
    result = run(server, "--root", str(root), "--updates", "1", "--timeout", "10")
    assert result.exit_code == 0, result.output
    for text in (
        "card-1: Example Pass ← Example WWDR ← Example Root\n",
        "registered    card-1 (201)",
        "updated       card-1: points 100 → 150",
        "lock screen   Баллов: 150",
        "unregistered  card-1",
    ):
        assert text in result.output
    assert all(line.split()[1] == "ms" for line in result.output.splitlines())
    assert server.registered == {}


def test_json_lines_are_json(server: PassServer, root: Path) -> None:
    """Every line an object with the time, the device and the event; a folder of roots works."""
    server.on_registered = lambda: server.credit(50)
    result = run(
        server, "--root", str(root.parent), "--updates", "1", "--timeout", "10", "--json",
        "--language", "en",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert {"ms", "device", "event"} <= lines[0].keys()
    assert [line["text"] for line in lines if line["event"] == "message"] == ["Points: 150"]


def test_many_phones_are_counted(server: PassServer) -> None:
    """Counts and delays instead of lines; --keep leaves them registered."""

    def when_all_are_there() -> None:
        if len(server.registered) == 12:
            server.credit(1)

    server.on_registered = when_all_are_there
    result = run(server, "--devices", "12", "--updates", "1", "--timeout", "20", "--keep")
    assert result.exit_code == 0, result.output
    assert "12 registered" in result.output
    assert "12 updated" in result.output
    assert "push to new pass: median" in result.output
    assert len(server.registered) == 12


def test_without_a_goal_the_end_of_the_time_is_success(server: PassServer) -> None:
    """Nothing was expected, nothing went wrong."""
    assert run(server, "--timeout", "0.05").exit_code == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("manifest", PackageRefused),
        ("type", ProtocolViolation),
        ("root", PackageRefused),
        ("update", TimedOut),
        ("nobody", Unreachable),
    ],
)
def test_what_wallet_would_not_take_fails(
    server: PassServer, root: Path, fault: str, error: type[Exception]
) -> None:
    """A refused package, a violation, a time-out, nobody there: a deliberate error, status 1."""
    options = ["--root", str(root), "--updates", "1", "--timeout", "0.05"]
    if fault == "manifest":
        server.recipe.manifest = lambda m: m.update({"icon.png": "0" * 40})
    elif fault == "type":
        server.misbehave.add("wrong type")
    elif fault == "root":
        other = authority("Other").root.certificate
        root.write_bytes(other.public_bytes(Encoding.PEM))
    elif fault == "nobody":
        options += ["--control", "http://127.0.0.1:9"]
    result = run(server, *options)
    assert result.exit_code == 1
    assert isinstance(result.exception, error)
    assert server.registered == {}
