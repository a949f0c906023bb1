"""The sender as a worker runs it: in threads, until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from walletsvc.cli.google import google as command
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import ConfigurationError
from walletsvc.google.due import GOOGLE
from walletsvc.google.restored import after_restore
from walletsvc.google.sending import running
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.signals import Listener
from walletsvc.settings import load

RATE = 60.0


@contextmanager
def at_work(desk: Desk) -> Iterator[None]:
    """A sender in threads, that has ended after the block."""
    stop = threading.Event()
    sender = desk.sender(RATE, stop=stop)
    with Listener(desk.database.conninfo, GOOGLE) as listener:
        thread = threading.Thread(target=sender.run, args=(listener.wait, 0.05))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
    assert not thread.is_alive()


def until_sent(desk: Desk) -> None:
    """Wait until nothing is due."""
    deadline = time.monotonic() + 30
    while desk.waiting():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_somebody_at_the_till_does_not_wait_for_a_broadcast(desk: Desk) -> None:
    """Their change overtakes what was due before."""
    many, (one,) = desk.cards(120), desk.cards(1)
    start = len(desk.google.log())
    with at_work(desk):
        desk.change(many, 1, Lane.BULK)
        while len(desk.google.log()) < start + 10:
            time.sleep(0.01)
        desk.now = utcnow()
        desk.change([one], 1)
        until_sent(desk)
    patched = [
        line["path"].rpartition("/")[2]
        for line in desk.google.log()[start:]
        if line["method"] == "PATCH"
    ]
    assert len(patched) == 121
    # At most the batches that were under way are before it.
    assert patched.index(one.object_id) < 100
    assert all(desk.shown(each) == 101 for each in [*many, one])


def test_stopping_in_the_middle_loses_nothing(desk: Desk) -> None:
    """What is under way is finished, what was claimed is put back, the next one goes on there."""
    many = desk.cards(80)
    start = len(desk.google.log())
    desk.change(many, 1, Lane.BULK)
    with at_work(desk):
        while len(desk.google.log()) < start + 10:
            time.sleep(0.01)
    waiting = [row for row in desk.objects() if row.due_at is not None]
    assert waiting
    assert {row.attempts for row in waiting} == {0}
    with at_work(desk):
        until_sent(desk)
    assert all(desk.shown(each) == 101 for each in many)
    assert all(len(desk.buzzes(each)) == 1 for each in many)


def test_a_key_is_looked_at_before_anything_starts() -> None:
    """An issuer without a key is an error that names the setting; no issuer is none."""
    running.check(load())
    loaded = load().model_copy(update={"google_issuer_id": HOUSE.issuer_id})
    with pytest.raises(ConfigurationError, match="WALLETSVC_GOOGLE_KEY"):
        running.check(loaded)


def test_the_operator_sees_and_says(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, pause, status, resume."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", desk.database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    run = CliRunner().invoke
    assert "WALLETSVC_GOOGLE_ISSUER_ID is not set" in run(command, ["status"]).output
    monkeypatch.setenv("WALLETSVC_GOOGLE_ISSUER_ID", HOUSE.issuer_id)
    said = run(command, ["status"]).output
    assert "nothing has been issued" in said
    [card] = desk.cards(1)
    desk.change([card], 1)
    assert "are paused" not in run(command, ["status"]).output
    assert HOUSE.issuer_id in run(command, ["pause"]).output
    said = run(command, ["status"]).output
    assert f"{HOUSE.issuer_id}: paused" in said
    assert "Paused by system:command-line." in said
    assert "In wallets: 1 pass(es)" in said
    assert "Waiting: 1 urgent" in said
    assert run(command, ["resume", "7"]).exit_code
    assert HOUSE.issuer_id in run(command, ["resume", HOUSE.issuer_id]).output
    assert f"{HOUSE.issuer_id}: sent" in run(command, ["status"]).output


def test_a_restored_backup_brings_google_back_to_it(desk: Desk) -> None:
    """Cards, classes, and no message that was sent since the backup a second time."""
    card, gift = desk.cards(1) + desk.gifts(1)
    sender = desk.sender()
    desk.change([card, gift], 100)
    sender.couriers[0].carry()  # the message of the gift card is still due
    backup = desk.rows("SELECT * FROM passes ORDER BY id"), desk.objects()
    desk.settle(sender)
    desk.change([card], 100)
    desk.settle(sender)
    desk.execute("UPDATE google_messages SET state = 'due', attempts = 0, error = ''")
    for row in backup[0]:
        desk.execute(
            "UPDATE passes SET content = CAST(:content AS jsonb), revision = :revision"
            " WHERE id = :id",
            content=orjson.dumps(row.content).decode(),
            revision=row.revision,
            id=row.id,
        )
    for row in backup[1]:
        desk.execute(
            "UPDATE google_objects SET sent_revision = :revision, due_at = NULL,"
            " sent_values = CAST(:said AS jsonb) WHERE pass_id = :id",
            said=orjson.dumps(row.sent_values).decode(),
            revision=row.sent_revision,
            id=row.pass_id,
        )
    before = len(desk.buzzes(card)), len(desk.buzzes(gift))
    with desk.database.write_tx() as session:
        assert after_restore(session, desk.now) == 2
    desk.settle(sender)
    assert desk.shown(card) == 200  # as in the backup
    assert (len(desk.buzzes(card)), len(desk.buzzes(gift))) == before
    assert len(desk.google.resource(gift.object_id)["messages"]) == 1
