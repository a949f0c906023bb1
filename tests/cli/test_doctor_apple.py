"""`walletsvc doctor apple`: the way to the push service, the public address, the web service."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask

from tests.cli.serving import free_port, tls, web
from tests.factories import make_shop
from walletsvc.app import assemble
from walletsvc.app.web import create_app
from walletsvc.cli.doctor import address, apple
from walletsvc.cli.doctor.command import doctor
from walletsvc.cli.doctor.reach import ask, hidden
from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

PASS_TYPE = "pass.test.one"


def installation(database: Database, folder: Path, port: int) -> Settings:
    """The settings of an installation whose web process listens on this port."""
    return Settings(data_dir=folder, public_url=f"http://127.0.0.1:{port}")


def answering(status: int, body: str = "") -> Flask:
    """A web server that is not ours and answers everything in one way."""
    app = Flask("stranger")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def anything(path: str) -> tuple[str, int]:
        return body, status

    return app


def test_the_push_service_is_tried_without_a_push(tmp_path: Path) -> None:
    """It shakes hands; somebody else in its place is found out, so is nobody."""
    with tls(tmp_path / "one") as (port, authority):
        assert not apple.push_service(f"https://localhost:{port}", authority).problem
        foreign = apple.push_service(f"https://localhost:{port}", None)
        assert foreign.problem
        assert "not trusted" in foreign.text
    with tls(tmp_path / "two", "http/1.1") as (port, authority):
        old = apple.push_service(f"https://localhost:{port}", authority)
        assert (old.problem, "HTTP/2" in old.text) == (True, True)
    nobody = apple.push_service(f"https://127.0.0.1:{free_port()}", None)
    assert nobody.problem
    assert "connect out to 127.0.0.1:" in nobody.text


def test_the_web_service_is_asked_as_phones_ask_it(database: Database, tmp_path: Path) -> None:
    """Ours turns a call without a token away; a proxy's own answer is found out."""
    port = free_port()
    settings = installation(database, tmp_path, port)
    own = assemble(settings, database)
    with web(create_app(own), port) as url:
        assert (address.web(url).text, address.web(url).problem) == ("answers there", False)
        assert not apple.web_service(settings, PASS_TYPE).problem
    own.events.close()
    for status in (200, 404, 301, 403):
        with web(answering(status, "hello"), port) as url:
            said = apple.web_service(settings, PASS_TYPE)
            assert said.problem
            assert f"answered {status}" in said.text
            assert address.web(url).problem


def test_nobody_at_the_public_address(tmp_path: Path, database: Database) -> None:
    """A problem where others are to come; an installation that is only tried may have none."""
    settings = installation(database, tmp_path, free_port())
    found = list(address.examine(settings))
    assert [finding.problem for finding in found] == [False, False]
    assert "only this machine" in found[0].text
    assert "start `walletsvc web`" in found[1].text
    public = Settings(data_dir=tmp_path, public_url="https://cards.invalid")
    found = list(address.examine(public))
    assert [finding.problem for finding in found] == [False, False, True]
    assert "no address in the DNS" in found[1].text


def test_an_address_of_ones_own_network_is_told() -> None:
    """Others cannot reach it; one of the world they can."""
    assert hidden("192.168.1.20") == (
        "192.168.1.20 is 192.168.1.20 for this host, which others cannot reach"
    )
    assert hidden("203.0.113.7") is not None  # kept for books
    assert hidden("8.8.8.8") is None


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    """As with a proxy that made its own."""
    with tls(tmp_path / "tls", "http/1.1") as (port, _):
        assert "TLS certificate" in ask(f"https://localhost:{port}/healthz").error


def test_the_command_fails_with_a_count(
    database: Database, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one wallet: the other's lines are not there."""
    with database.write_tx() as session:
        make_shop(session, now, "one")
    for name, value in (
        ("DATABASE_URL", database.conninfo),
        ("DATA_DIR", str(tmp_path)),
        ("SECRET_KEY", "test-secret-key-that-is-long-enough-0001"),
        ("APNS_URL", f"https://127.0.0.1:{free_port()}"),
        ("PORT", str(free_port())),
    ):
        monkeypatch.setenv(f"WALLETSVC_{name}", value)

    def run(*words: str) -> tuple[str, BaseException | None]:
        result = CliRunner().invoke(doctor, words)
        return result.output, result.exception

    output, error = run("apple")
    assert isinstance(error, ConfigurationError)
    assert "2 problem(s) found" in str(error)
    assert starts(output.splitlines()) == [
        "public address", "web", "certificates", "push service", "web service",
    ]  # fmt: skip
    output, error = run("google")
    assert error is None
    assert starts(output.splitlines()) == ["public address", "web", "google"]
    output, error = run()
    assert "workers" in starts(output.splitlines())
    assert isinstance(error, ConfigurationError)


def starts(lines: Iterable[str]) -> list[str]:
    """What each line is about."""
    return [line[:16].strip() for line in lines]
