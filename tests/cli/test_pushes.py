"""`walletsvc pushes`: what is stopped and why, pause, resume."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.factories import make_shop
from walletsvc.apple import channels
from walletsvc.apple.dialect import PUSHES
from walletsvc.cli.pushes import pushes
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import NotFound
from walletsvc.jobs.signals import Listener
from walletsvc.storage.engine import Database

NAME = "pass.test.shop"


@pytest.fixture(name="pass_type")
def pass_type_fixture(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> int:
    """A shop's pass type in the database that the environment names."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        return make_shop(session, now).pass_type.id


def run(*words: str) -> str:
    """The command's output."""
    result = CliRunner().invoke(pushes, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_status_says_why_nothing_is_sent(database: Database, pass_type: int, now: datetime) -> None:
    """State, reason, since when, next try, and what waits."""
    assert run("status") == f"{NAME}: sent; waiting: 0 interactive, 0 bulk\n"
    with database.write_tx() as session:
        channels.stop(
            session,
            pass_type,
            reason="Apple answers 403.",
            failures=2,
            retry_at=now + timedelta(minutes=1),
            now=now,
        )
    lines = run("status").splitlines()
    assert lines[0].startswith(f"{NAME}: stopped;")
    assert lines[1] == "  Apple answers 403."
    assert "2026-11-20T09:30:00Z, tried again at 2026-11-20T09:31:00Z" in lines[2]


def test_pause_and_resume_wake_senders_everywhere(database: Database, pass_type: int) -> None:
    """Both reach a sender in another process at once."""
    with Listener(database.conninfo, PUSHES) as listener:
        listener.wait(0)
        for verb, word in (("pause", "paused"), ("resume", "sent")):
            assert run(verb, NAME) == f"Pushes of {NAME} are {word}.\n"
            assert listener.wait(10)
            assert f"{NAME}: {word};" in run("status")
        assert run("pause") == f"Pushes of {NAME} are paused.\n"
        run("resume", "--accept-losses")
        assert f"Lost devices are believed for now, as {OPERATOR} said." in run("status")


def test_a_fault_of_one_host_is_called_so(
    database: Database, pass_type: int, now: datetime
) -> None:
    """With its reason, and without the claim that nothing is sent."""
    with database.write_tx() as session:
        retry_at = now + timedelta(minutes=1)
        channels.note(session, pass_type, reason="No key.", retry_at=retry_at, now=now)
    lines = run("status").splitlines()
    assert lines[0].startswith(f"{NAME}: stopped;")
    assert lines[1] == "  No key."
    assert lines[2].endswith("(one host's own fault; others send)")


def test_an_unknown_pass_type_is_named(database: Database, pass_type: int) -> None:
    """Nothing is done."""
    with pytest.raises(NotFound, match=r"pass\.none"):
        run("pause", "pass.none")
