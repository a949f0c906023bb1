"""`walletsvc google reconcile`, and the nightly job that does the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from procrastinate import JobContext
from procrastinate.jobs import Job

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from tests.google.test_reconcile import damage
from walletsvc import settings as settings_module
from walletsvc.app import job_blueprints
from walletsvc.cli.google import google
from walletsvc.core.errors import ConfigurationError, Unavailable
from walletsvc.google.reconciling import report
from walletsvc.jobs import queue


@pytest.fixture(name="configured")
def configured_fixture(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The environment names the desk's database and Google."""
    key = tmp_path / "key.json"
    key.write_text(json.dumps(desk.key))
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", desk.database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    monkeypatch.setenv("WALLETSVC_PUBLIC_URL", HOUSE.base_url)
    monkeypatch.setenv("WALLETSVC_DEFAULT_LANGUAGE", HOUSE.language)
    monkeypatch.setenv("WALLETSVC_GOOGLE_ISSUER_ID", HOUSE.issuer_id)
    monkeypatch.setenv("WALLETSVC_GOOGLE_KEY_FILE", str(key))
    monkeypatch.setenv("WALLETSVC_GOOGLE_URL", desk.google.base_url)
    monkeypatch.setenv("WALLETSVC_GOOGLE_REQUESTS_PER_SECOND", "1000")
    return desk


def run(*words: str) -> Result:
    """The command, as somebody types it."""
    return CliRunner().invoke(google, ["reconcile", *words])


def told(*words: str) -> str:
    """Its output."""
    result = run(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_it_says_what_differs_and_mends_it(configured: Desk) -> None:
    """A dry run first, then the real one; the last ones can be read later."""
    desk = configured
    assert "Google has not been compared yet." in told("--last")
    [holder] = desk.cards(1)
    damage(desk, holder.object_id, accountName="Nobody", loyaltyPoints={"balance": {"int": 3}})
    line = f"{holder.object_id}: Google has another loyaltyPoints, accountName"
    dry = told("--dry-run")
    assert "1 object(s), 1 in wallets" in dry
    assert "1 objects in wallets with another content" in dry
    assert line in dry
    assert "Nothing was changed." in dry
    assert "Google has not been compared yet." in told("--last")
    assert line in told()
    desk.settle(desk.sender())
    assert desk.shown(holder) == 100
    assert "Google holds what it should." in told()
    last = told("--last").splitlines()
    assert [each for each in last if each.endswith(": done")] == [last[0], last[2]]
    assert "1 in wallets" in last[1]


def test_what_keeps_it_from_its_end_is_said(configured: Desk) -> None:
    """The exit code tells scripts so; the report tells whoever looks later."""
    configured.cards(1)
    configured.google.arm("permissionDenied", count=1)
    result = run()
    assert isinstance(result.exception, Unavailable)
    assert "invite it" in str(result.exception)
    assert "invite it" in told("--last")


def test_without_google_there_is_nothing_to_compare(
    configured: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a job for it."""
    del configured
    assert "google" in job_blueprints(settings_module.load())
    monkeypatch.delenv("WALLETSVC_GOOGLE_ISSUER_ID")
    assert isinstance(run().exception, ConfigurationError)
    assert "google" not in job_blueprints(settings_module.load())


def test_the_nightly_job_does_the_same(configured: Desk) -> None:
    """By the clock, one at a time."""
    desk = configured
    [holder] = desk.cards(1)
    damage(desk, holder.object_id, accountName="Nobody")
    settings = settings_module.load()
    app = queue.build(desk.database.conninfo, job_blueprints(settings))
    task = app.tasks["google:reconcile"]
    assert (task.lock, task.queueing_lock) == ("google-reconcile", "google-reconcile")
    assert ("google:reconcile", "") in app.periodic_registry.periodic_tasks
    job = Job(
        id=1,
        status="doing",
        queue="default",
        priority=0,
        lock=None,
        queueing_lock=None,
        task_name=task.name,
    )
    context = JobContext(
        app=app,
        job=job,
        start_timestamp=0,
        additional_context={"database": desk.database, "clock": lambda: desk.now},
        abort_reason=lambda: None,
    )
    task.func(context, 0)
    with desk.database.read_tx() as session:
        [kept] = report.newest(session, 2)
    assert (report.counts_of(kept).edited, kept.finished_at) == (1, desk.now)
    assert desk.row(holder).due_at == desk.now
