"""Pieces: each once, in turn, never blocking others; failures are seen and end."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import Refused
from walletsvc.jobs.bulk import BulkJob, BulkState, begin, service
from walletsvc.jobs.bulk.runner import RETRY_SECONDS, TRIES, Piece, Runner
from walletsvc.jobs.changes import CHANGES, Lane, touch
from walletsvc.jobs.drain import Batch, Drain
from walletsvc.jobs.signals import Listener, Nudger
from walletsvc.storage.engine import Database

KIND = "test"


@dataclass
class Work:
    """A database, a clock to turn, and a handler that notes numbers in the counters' table."""

    database: Database
    now: datetime
    fails: set[str] = field(default_factory=set)

    def job(self, total: int, title: str = "job", kind: str = KIND) -> str:
        with self.database.write_tx() as session:
            return begin(
                session,
                kind=kind,
                title=title,
                parameters={"title": title},
                total=total,
                actor=SYSTEM,
                now=self.now,
            ).public_id

    def row(self, job_id: str) -> BulkJob:
        with self.database.read_tx() as session:
            return service.find(session, job_id)

    def piece(self, session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        """Counts from the cursor on; a number that is noted twice violates the primary key."""
        last = min(job.cursor + limit, job.total)
        session.execute(
            text(
                "INSERT INTO counters SELECT :title, CAST(n AS text), 1"
                " FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n"
            ),
            {"title": job.title, "first": job.cursor + 1, "last": last},
        )
        if job.title in self.fails:
            raise ValueError("secret 4711")
        return Piece(last, last - job.cursor, last == job.total, {"noted": last - job.cursor})

    def runner(self, **options: Any) -> Runner:
        options.setdefault("clock", lambda: self.now)
        return Runner(self.database, {KIND: self.piece}, **options)

    def noted(self) -> dict[str, int]:
        with self.database.read_tx() as session:
            rows = session.execute(
                text("SELECT name, count(*) AS times FROM counters GROUP BY name")
            )
            return {row.name: row.times for row in rows}


@pytest.fixture
def work(database: Database, now: datetime) -> Work:
    """Nothing to do yet."""
    return Work(database, now)


def run_out(runner: Runner) -> int:
    """Run until nothing is to be done; the number of pieces."""
    pieces = 0
    while runner.run_once() == 0:
        pieces += 1
    return pieces


def test_a_job_is_done_piece_by_piece(work: Work) -> None:
    """The cursor moves with the work; at the end the row tells what became of it."""
    job_id = work.job(1000)
    runner = work.runner()
    assert runner.run_once() == 0
    job = work.row(job_id)
    assert 0 < job.done < 1000
    assert job.counted_from == work.now
    run_out(runner)
    job = work.row(job_id)
    assert (job.state, job.done, job.cursor, job.result) == (
        BulkState.DONE, 1000, 1000, {"noted": 1000},
    )  # fmt: skip
    assert job.finished_at == work.now
    assert runner.run_once() == math.inf
    assert work.noted() == {"job": 1000}


def test_jobs_take_turns(work: Work) -> None:
    """A small job need not wait for a large one."""
    large, small = work.job(10_000, "large"), work.job(100, "small")
    runner = work.runner(clock=iter_clock(work.now))
    runner.run_once()
    runner.run_once()
    assert work.row(small).state is BulkState.DONE
    assert work.row(large).state is BulkState.RUNNING


def iter_clock(start: datetime) -> Any:
    """A clock that goes on by a millisecond whenever it is read."""

    def ticks() -> Iterator[datetime]:
        moment = start
        while True:
            moment += timedelta(milliseconds=1)
            yield moment

    return ticks().__next__


def test_several_workers_do_no_piece_twice(work: Work) -> None:
    """Each piece is done under the job's lock, together with its cursor."""
    jobs = [work.job(4000, f"job-{number}") for number in range(3)]
    begun: list[tuple[str, int]] = []

    def piece(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        begun.append((job.title, job.cursor))
        return work.piece(session, job, limit, now)

    def labour() -> None:
        runner = Runner(work.database, {KIND: piece}, clock=lambda: work.now)
        for _ in range(500):
            if all(work.row(job).state is BulkState.DONE for job in jobs):
                return
            runner.run_once()

    threads = [threading.Thread(target=labour) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert work.noted() == {f"job-{number}": 4000 for number in range(3)}
    assert {work.row(job).done for job in jobs} == {4000}
    assert len(begun) == len(set(begun)), "a piece was begun by two, or again"


def test_dying_in_a_piece_leaves_it_undone(work: Work) -> None:
    """The next worker begins where the last commit was."""

    class Killed(BaseException):
        pass

    def die(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        work.piece(session, job, limit, now)
        raise Killed

    job_id = work.job(300)
    with pytest.raises(Killed):
        Runner(work.database, {KIND: die}, clock=lambda: work.now).run_once()
    assert work.row(job_id).done == 0
    run_out(work.runner())
    assert work.noted() == {"job": 300}


def test_a_failing_job_waits_fails_and_resumes_while_others_go_on(work: Work) -> None:
    """After a few tries it is FAILED, with the reason in words and no secret in it."""
    bad, good = work.job(100, "bad"), work.job(100, "good")
    work.fails.add("bad")
    runner = work.runner()
    run_out(runner)
    assert work.row(good).state is BulkState.DONE
    job = work.row(bad)
    assert (job.state, job.failures, job.done) == (BulkState.RUNNING, 1, 0)
    assert job.problem is not None
    assert "ValueError" in job.problem
    assert "4711" not in job.problem
    for _ in range(TRIES):
        work.now += timedelta(seconds=RETRY_SECONDS * TRIES)
        run_out(runner)
    assert work.row(bad).state is BulkState.FAILED
    assert work.row(bad).failures == TRIES
    work.fails.clear()
    with work.database.write_tx() as session:
        service.resume(session, bad, now=work.now)
    run_out(runner)
    job = work.row(bad)
    assert (job.state, job.problem, job.failures) == (BulkState.DONE, None, 0)
    assert work.noted() == {"bad": 100, "good": 100}


def test_deliberate_errors_keep_their_words(work: Work) -> None:
    """They were written for people."""

    def refuse(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        raise Refused("The shop is closed.")

    job_id = work.job(1)
    Runner(work.database, {KIND: refuse}, clock=lambda: work.now).run_once()
    assert "The shop is closed." in str(work.row(job_id).problem)


def test_a_statement_that_the_database_refuses_counts_as_a_failure(work: Work) -> None:
    """A lock that is not granted must not look like a database that is gone."""

    def too_late(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        session.execute(text("SET LOCAL statement_timeout = 10"))
        session.execute(text("SELECT pg_sleep(5)"))
        raise AssertionError

    job_id = work.job(1)
    runner = Runner(work.database, {KIND: too_late}, clock=lambda: work.now)
    assert runner.run_once() == 0
    assert work.row(job_id).failures == 1


def test_a_lost_database_is_not_the_jobs_fault(work: Work) -> None:
    """The worker waits for it; the job has nothing to answer for."""

    def cut(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with work.database.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        session.execute(text("SELECT 1"))
        raise AssertionError

    job_id = work.job(1)
    with pytest.raises(OperationalError):
        Runner(work.database, {KIND: cut}, clock=lambda: work.now).run_once()
    assert work.row(job_id).failures == 0


def test_a_kind_that_is_not_known_is_left_to_others(work: Work) -> None:
    """During an upgrade an older worker may meet a newer job."""
    job_id = work.job(10, kind="of tomorrow")
    assert work.runner().run_once() == math.inf
    assert work.row(job_id).failures == 0


def test_a_job_that_must_wait_says_so_and_holds_up_nobody(work: Work) -> None:
    """Its pushes have to leave first; a job of another pass type goes on."""
    held, free = work.job(100, "held"), work.job(100, "free")
    waiting = {"held"}
    runner = work.runner(brake=lambda _session, job: job.title in waiting)
    run_out(runner)
    assert (work.row(held).done, work.row(free).done) == (0, 100)
    assert 0 < runner.run_once() < 1, "it is looked at again soon"
    assert work.row(held).waiting_since is None
    work.now += timedelta(seconds=10)
    runner.run_once()
    assert work.row(held).waiting_since == work.now
    for _ in range(100):
        pause = runner.run_once()
    assert pause == math.inf, "and after a while no more often than anything else"
    waiting.clear()
    run_out(runner)
    assert (work.row(held).done, work.row(held).waiting_since) == (100, None)


def test_pausing_stops_and_resuming_goes_on(work: Work) -> None:
    """Nothing is done in between; the cursor stays."""
    job_id = work.job(1000)
    runner = work.runner()
    runner.run_once()
    with work.database.write_tx() as session:
        done = service.pause(session, job_id, now=work.now).done
    assert runner.run_once() == math.inf
    assert work.row(job_id).done == done
    with work.database.write_tx() as session:
        service.resume(session, job_id, now=work.now)
    run_out(runner)
    assert work.noted() == {"job": 1000}


def test_pieces_adapt_to_the_time_they_take(work: Work) -> None:
    """A slow kind gets small pieces, so that a purchase never waits long."""
    sizes: list[int] = []

    def slow(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        sizes.append(limit)
        session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": limit / 400})
        return Piece(job.cursor + limit, limit, len(sizes) > 3)

    work.job(10_000)
    run_out(Runner(work.database, {KIND: slow}, clock=lambda: work.now))
    assert sizes[0] == 200
    assert max(sizes[1:]) <= 60


def test_the_drain_looks_for_purchases_between_pieces(work: Work) -> None:
    """Interactive changes first, then bulk changes, then a piece, and round again."""
    order: list[str] = []
    stop = threading.Event()

    def handle(_session: Session, batch: Batch) -> None:
        order.append(batch.lane.name)

    def change(lane: Lane) -> None:
        with work.database.write_tx() as session:
            touch(session, "card", [1], at=work.now, lane=lane)

    def spare() -> float:
        order.append("piece")
        if len(order) < 5:
            change(Lane.BULK)
            change(Lane.INTERACTIVE)
            return 0.0
        stop.set()
        return math.inf

    change(Lane.BULK)
    change(Lane.BULK)
    drain = Drain(work.database, handle, limit=1, spare=spare)
    drain.run(stop, lambda _seconds: None, sweep=1.5)
    assert order == ["BULK", "BULK", "piece", "INTERACTIVE", "BULK", "piece"]


def test_beginning_wakes_the_worker(database_url: str, now: datetime) -> None:
    """A job begins at once, not at the next look."""
    nudger = Nudger(database_url)
    database = Database(database_url, on_commit=nudger.nudge)
    with Listener(database.conninfo, CHANGES) as listener:
        listener.wait(5)
        Work(database, now).job(1)
        assert listener.wait(20)
    nudger.close()
    database.close()
