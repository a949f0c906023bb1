"""Rehearsals on the café's sales: begun, computed by a runner, read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from tests.sales.shop import TILL, Café
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Piece, Runner
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.sales.rehearsing import service, tasks
from walletsvc.sales.rehearsing.models import Rehearsal

TEA = {
    "id": "tea",
    "name": {"ru": "Чай", "en": "Tea"},
    "when": {"items": ["tea"]},
    "effect": {"kind": "discount", "percent": "50"},
}


def draft(café: Café, book: dict[str, Any]) -> None:
    """Keep these rules as the draft."""
    with café.database.write_tx() as session:
        checked = RuleBook.model_validate(book)
        versions.save_draft(session, café.programme, checked, TILL, "", café.now)


def begun(
    café: Café,
    first: date | None = None,
    last: date | None = None,
    branches: tuple[str, ...] = (),
) -> Rehearsal:
    """A rehearsal of the draft, on all days up to today unless said otherwise."""
    today = café.now.date()
    with café.database.write_tx() as session:
        return service.begin(
            session, café.programme, first or today - timedelta(days=30), last or today, branches,
            TILL, café.now,
        )  # fmt: skip


def runner(
    café: Café, limit: int | None = None, after: Callable[[BulkJob], None] = lambda _job: None
) -> Runner:
    """Does rehearsals, in pieces of `limit` accounts; `after` each, before its commit."""
    (piece,) = (tasks.handlers(least=1) if limit else tasks.handlers()).values()

    def smaller(session: Session, job: BulkJob, size: int, now: datetime) -> Piece:
        done = piece(session, job, limit or size, now)
        session.flush()
        after(job)
        return done

    return Runner(café.database, {service.KIND: smaller}, clock=lambda: café.now)


def ended(café: Café, rehearsal: Rehearsal) -> Rehearsal:
    """As it is stored, once nothing is left to do."""
    with café.database.read_tx() as session:
        found = service.find(session, café.programme, rehearsal.public_id)
        job = service.job_of(session, found)
        assert job.state == "done", job.problem
        assert job.result.get("purchases", 0) == found.figures["totals"].get("purchases", 0)
        return found


def run(café: Café, limit: int | None = None) -> int:
    """Do all pieces; how many there were."""
    works, number = runner(café, limit), 0
    while works.run_once() == 0:
        number += 1
        assert number < 1_000, "it does not come to an end"
    return number


def tried(
    café: Café, book: dict[str, Any], *, limit: int | None = None, **options: Any
) -> dict[str, Any]:
    """What these rules would have meant: a rehearsal's figures."""
    draft(café, book)
    rehearsal = begun(café, **options)
    run(café, limit)
    return ended(café, rehearsal).figures
