"""`walletsvc doctor`: what it finds, and what it makes of it."""

from __future__ import annotations

import stat
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.factories import make_shop
from walletsvc.app import CHANNELS, Installation, assemble
from walletsvc.cli.doctor import apple, host
from walletsvc.cli.doctor.command import examine
from walletsvc.cli.doctor.findings import Finding
from walletsvc.core.clock import utcnow
from walletsvc.jobs.changes import touch
from walletsvc.jobs.signals import Listener
from walletsvc.settings import Settings
from walletsvc.storage.data_dir import prepare_data_dir
from walletsvc.storage.engine import Database


def installed(database: Database, folder: Path) -> Installation:
    return assemble(Settings(data_dir=folder), database)


def said(findings: list[Finding], about: str) -> list[tuple[str, bool]]:
    return [(f.text, f.problem) for f in findings if f.about == about]


def test_a_new_installation_is_well(database: Database, tmp_path: Path) -> None:
    """Nobody works yet, and nothing waits: something to know, nothing to mend."""
    findings = list(examine(installed(database, tmp_path)))
    assert [finding for finding in findings if finding.problem] == []
    assert said(findings, "changes") == [("none waiting", False)]
    assert said(findings, "clock") == [("agrees with the database's", False)]
    assert "publish, send, messages, jobs" in said(findings, "workers")[0][0]


def test_work_that_waits_for_nobody_is_a_problem(database: Database, tmp_path: Path) -> None:
    """A change that nobody publishes; an old one in any case."""
    installation = installed(database, tmp_path)
    with database.write_tx() as session:
        touch(session, "card", [1], at=utcnow() - timedelta(seconds=5))
    findings = list(examine(installation))
    assert said(findings, "changes")[0][1] is False
    assert said(findings, "workers")[0][1] is True
    with ExitStack() as stack:
        for channel in CHANNELS.values():
            stack.enter_context(Listener(database.conninfo, channel)).wait(5)
        with database.write_tx() as session:
            touch(session, "card", [2], at=utcnow() - timedelta(seconds=500))
            session.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
        findings = list(examine(installation))
    assert said(findings, "workers") == [("1 publish, 1 send, 1 messages, 1 jobs", False)]
    ((changes, problem),) = said(findings, "changes")
    assert problem
    assert changes.startswith("2 waiting, the oldest for 50")


def test_a_stopped_channel_is_told_with_its_reason(database: Database, now: datetime) -> None:
    """A stop is a fault; a pause was the operator's wish."""
    with database.write_tx() as session:
        for slug, state in (("one", "stopped"), ("two", "paused"), ("three", "open")):
            shop = make_shop(session, now, slug)
            session.execute(
                text(
                    "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
                    " VALUES (:id, :state, 'BadCertificate', 1, :now)"
                ),
                {"id": shop.pass_type.id, "state": state, "now": now},
            )
    with database.read_tx() as session:
        found = said(list(apple.channels(session)), "pushes")
    why = "since 2026-11-20 09:30 UTC: BadCertificate"
    assert found == [
        (f"pass.test.one: stopped {why} Put it right; then `walletsvc pushes resume`.", True),
        (f"pass.test.two: paused {why}", False),
    ]


def _ahead(seconds: int) -> datetime:
    return utcnow() + timedelta(seconds=seconds)


def test_clocks_that_differ_are_a_problem(database: Database) -> None:
    """Tags, dates of passes and due times come from the hosts' clocks."""
    for seconds, words in ((60, "60.0 s ahead of"), (-60, "60.0 s behind")):
        finding = host.clock(database, partial(_ahead, seconds))
        assert finding.problem
        assert words in finding.text


def test_too_few_connections_are_a_problem(database: Database, tmp_path: Path) -> None:
    """Found here, and not when all threads are busy for the first time."""
    few, many = Settings(data_dir=tmp_path), Settings(data_dir=tmp_path, web_processes=64)
    with database.read_tx() as session:
        assert not host.connections(session, few).problem
        assert host.connections(session, many).problem


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database stops when it cannot write."""
    assert not host.disk(tmp_path).problem
    monkeypatch.setattr(host, "FREE_BYTES", 2**80)
    assert host.disk(tmp_path).problem


def test_a_data_directory_open_to_others_is_told(database: Database, tmp_path: Path) -> None:
    """walletsvc makes it for its owner only; one that others made may be wider."""
    folder = tmp_path / "data"
    prepare_data_dir(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(said(list(examine(installed(database, folder))), "data directory")) == 1
    folder.chmod(0o755)
    _, (warning, problem) = said(list(examine(installed(database, folder))), "data directory")
    assert f"chmod 700 {folder}" in warning
    assert not problem
