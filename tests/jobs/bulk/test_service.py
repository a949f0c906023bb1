"""Beginning, finding, pausing, resuming: what fits the state, and whose job it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import Conflict, NotFound, Refused
from walletsvc.jobs.bulk import BulkJob, BulkState, begin, service
from walletsvc.storage.engine import Database


def make(session: Session, now: datetime, **values: Any) -> BulkJob:
    given = {"kind": "test", "title": "t", "parameters": {"id": 1}, "total": 5, **values}
    return begin(session, actor=SYSTEM, now=now, **given)


def test_a_newer_job_supersedes_the_same_one(database: Database, now: datetime) -> None:
    """Unfinished ones of the same kind and parameters end and say why; others go on."""
    with database.write_tx() as session:
        former = make(session, now)
        paused = make(session, now)
        service.pause(session, paused.public_id, now=now)
        other = make(session, now, parameters={"id": 2})
        make(session, now, supersede=True)
        for job in (former, paused):
            assert (job.state, job.finished_at) == (BulkState.DONE, now)
            assert job.problem == service.SUPERSEDED
        assert other.state is BulkState.RUNNING


def test_items_are_kept_once(database: Database, now: datetime) -> None:
    """A list may name one twice."""
    with database.write_tx() as session:
        make(session, now, items=[3, 1, 3])
        rows = session.execute(text("SELECT item FROM bulk_items ORDER BY item")).scalars()
        assert list(rows) == [1, 3]


def test_pausing_and_resuming_twice_is_once(database: Database, now: datetime) -> None:
    """A retried request changes nothing; what has ended cannot be changed."""
    with database.write_tx() as session:
        job = make(session, now)
        for verb, state in ((service.pause, "paused"), (service.resume, "running")):
            for _ in range(2):
                assert verb(session, job.public_id, now=now).state == state
        job.state = BulkState.DONE
        session.flush()
        for verb in (service.pause, service.resume):
            with pytest.raises(Conflict):
                verb(session, job.public_id, now=now)
        with pytest.raises(NotFound):
            service.find(session, "nope")


def test_an_organisation_sees_its_own_and_changes_no_other(
    database: Database, now: datetime
) -> None:
    """The installation's jobs are seen by all and paused by the operator only."""
    with database.write_tx() as session:
        own, others, common = (
            make(session, now, organisation_id=owner).public_id for owner in (1, 2, None)
        )
        seen = [job.public_id for job in service.newest(session, organisation_id=1)]
        assert seen == [common, own]
        assert len(service.newest(session)) == 3
        service.pause(session, own, now=now, organisation_id=1)
        with pytest.raises(NotFound):
            service.pause(session, others, now=now, organisation_id=1)
        with pytest.raises(Refused):
            service.pause(session, common, now=now, organisation_id=1)
