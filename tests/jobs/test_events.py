"""Events: their handlers run inside the transaction, in their order, or undo it."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.app import event_handlers
from walletsvc.core.errors import Conflict
from walletsvc.jobs import events
from walletsvc.jobs.changes import touch
from walletsvc.storage.engine import Database


def told(now: datetime) -> events.AccountsMerged:
    return events.AccountsMerged(at=now, programme_id=1, account_id=2, into_id=3)


def count(database: Database) -> int:
    with database.read_tx() as session:
        return int(session.execute(text("SELECT count(*) FROM changes")).scalar_one())


def test_handlers_run_in_order_inside_the_transaction(database_url: str, now: datetime) -> None:
    """What they write is written with it; other kinds of events are not theirs."""
    seen: list[str] = []

    def first(session: Session, event: events.AccountsMerged) -> None:
        seen.append("first")
        touch(session, "account", [event.into_id], at=event.at)

    def second(_session: Session, _event: object) -> None:
        seen.append("second")

    database = Database(
        database_url, carried=events.carried({events.AccountsMerged: (first, second)})
    )
    with database.write_tx() as session:
        events.emit(session, told(now))
        events.emit(session, events.AccountSplit(at=now, programme_id=1, account_id=2, new_id=3))
    assert seen == ["first", "second"]
    assert count(database) == 1
    database.close()


def test_a_handler_that_raises_undoes_everything(database_url: str, now: datetime) -> None:
    """Nothing is half-done."""

    def broken(_session: Session, _event: object) -> None:
        raise Conflict("no")

    database = Database(database_url, carried=events.carried({events.AccountsMerged: (broken,)}))
    with pytest.raises(Conflict), database.write_tx() as session:
        touch(session, "account", [1], at=now)
        events.emit(session, told(now))
    assert count(database) == 0
    database.close()


def test_without_handlers_an_event_is_nobodys(database_url: str, now: datetime) -> None:
    """A database that was opened for something else."""
    database = Database(database_url)
    with database.write_tx() as session:
        events.emit(session, told(now))
    database.close()


def test_the_product_handles_what_it_must() -> None:
    """A merge without its handler would lose turnover."""
    handled = event_handlers()
    for kind in (events.AccountsMerged, events.AccountSplit, events.RulesPublished):
        assert handled[kind]
