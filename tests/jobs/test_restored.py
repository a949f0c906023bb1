"""Work under way at the time of a backup is taken up again after the restore."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from walletsvc.core.actor import Actor
from walletsvc.jobs import bulk
from walletsvc.jobs.changes import touch
from walletsvc.jobs.restored import after_restore
from walletsvc.storage.engine import Database

JOB = text(
    "INSERT INTO procrastinate_jobs (queue_name, task_name, status, queueing_lock, worker_id)"
    " VALUES ('default', :task, CAST(:status AS procrastinate_job_status), :lock, :worker)"
)


def test_started_jobs_start_again(database: Database, now: datetime) -> None:
    """All that were `doing`; of those that exclude each other in the queue only one."""
    with database.write_tx() as session:
        worker = session.execute(
            text("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id")
        ).scalar_one()
        for task, status, lock in (
            ("alone", "doing", None),
            ("first", "doing", "a"),
            ("second", "doing", "a"),
            ("running", "doing", "b"),
            ("waiting", "todo", "b"),
            ("done", "succeeded", None),
        ):
            session.execute(
                JOB, {"task": task, "status": status, "lock": lock,
                      "worker": worker if status == "doing" else None},
            )  # fmt: skip
        after_restore(session)
        states = {
            row.task_name: row.status
            for row in session.execute(text("SELECT task_name, status FROM procrastinate_jobs"))
        }
        workers = session.execute(text("SELECT count(*) FROM procrastinate_workers")).scalar_one()
    assert states == {
        "alone": "todo", "first": "todo", "waiting": "todo", "done": "succeeded",
    }  # fmt: skip
    assert workers == 0


def test_changes_set_aside_are_due(database: Database, now: datetime) -> None:
    """What failed then may succeed now."""
    with database.write_tx() as session:
        touch(session, "pass", [1, 2], at=now)
        session.execute(text("UPDATE changes SET postponed_until = now() + interval '1 day'"))
        after_restore(session)
        waiting = session.execute(
            text("SELECT count(*) FROM changes WHERE postponed_until IS NOT NULL")
        ).scalar_one()
    assert waiting == 0


def test_the_rate_of_a_bulk_job_counts_from_the_restore(database: Database, now: datetime) -> None:
    """The days between would make its end look far away; one that is paused stays so."""
    with database.write_tx() as session:
        job = bulk.begin(
            session, kind="test", title="test", parameters={}, total=10,
            actor=Actor("test", "test"), now=now - timedelta(days=3),
        )  # fmt: skip
        session.execute(
            text("UPDATE bulk_jobs SET done = 4, cursor = 40, counted_from = :then"),
            {"then": now - timedelta(days=3)},
        )
        after_restore(session)
        session.refresh(job)
    assert (job.counted_from, job.counted_done, job.cursor) == (None, 4, 40)
    assert job.state == bulk.BulkState.RUNNING
