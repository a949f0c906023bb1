"""Hands to make the events of a timeline and to read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from tests.apple.conftest import LIBRARY, Service
from walletsvc.apple.dialect import PUSHES
from walletsvc.apple.timeline.report import read
from walletsvc.jobs.changes import CHANGES
from walletsvc.jobs.signals import Listener
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind
from walletsvc.passes.timeline.findings import Code
from walletsvc.passes.timeline.report import Report
from walletsvc.passes.timeline.subject import find


@contextmanager
def workers(service: Service) -> Iterator[None]:
    """Somebody publishes and somebody sends, as far as the database can see."""
    conninfo = service.database.conninfo
    with Listener(conninfo, CHANGES) as publisher, Listener(conninfo, PUSHES) as sender:
        publisher.wait(0)
        sender.wait(0)
        yield


def later(service: Service, **span: float) -> None:
    """Let time pass."""
    service.ticks.append(timedelta(**span))


def device_id(service: Service, library: str = LIBRARY) -> int:
    """The device of a library."""
    with service.database.read_tx() as session:
        query = text("SELECT id FROM devices WHERE library_identifier = :library")
        return int(session.execute(query, {"library": library}).scalar_one())


def pushed(service: Service, library: str = LIBRARY, status: int | None = 200, **more: Any) -> None:
    """What the sender records of a push; an accepted one leaves the queue."""
    detail = {
        "apns_id": "c0ffee00-0000-4000-8000-000000000001",
        "status": status,
        "reason": "" if status == 200 else "ServiceUnavailable",
        "attempts": 1,
        "action": "done" if status == 200 else "retry",
    }
    id_ = device_id(service, library)
    event = Event(
        service.clock(),
        EventKind.PUSHED,
        service.shop.pass_type.id,
        device_id=id_,
        detail=detail | more,
    )
    with service.database.write_tx() as session:
        record(session, [event])
        if status == 200:
            session.execute(text("DELETE FROM pushes WHERE device_id = :id"), {"id": id_})


def report(service: Service, index: int = 0, **options: Any) -> Report:
    """The timeline of a member's pass."""
    service.installation.events.flush()
    values: dict[str, Any] = {
        "now": service.clock(),
        "keep": timedelta(days=30),
        "since": service.clock() - timedelta(days=7),
        "limit": 100,
    }
    with service.database.read_tx() as session:
        (subject,) = find(session, service.members[index][1].serial)
        return read(session, subject, **values | options)


def verdict(service: Service, index: int = 0) -> Code:
    """What is said first."""
    return report(service, index).verdict.code


def add(service: Service, library: str = LIBRARY, token: str = "ab" * 32) -> str:
    """A phone takes the pass from its page, registers, and asks; returns its tag."""
    service.client.get(f"/p/{service.members[0][0].link_token}.pkpass")
    service.register(library=library, token=token)
    service.drain()
    return ask(service, None, library)


def ask(service: Service, tag: str | None, library: str = LIBRARY) -> str:
    """A phone lists what changed; returns the tag it has then."""
    answer = service.client.get(service.list_url(tag, library))
    return str(answer.get_json()["lastUpdated"]) if answer.status_code == 200 else str(tag)


def fetch(service: Service, **headers: str) -> int:
    """A phone fetches the pass; the status."""
    found = service.client.get(service.pass_url(), headers={**service.auth(), **headers})
    return found.status_code


def write(service: Service, statement: str) -> None:
    service.installation.events.flush()
    with service.database.write_tx() as session:
        values = {"now": service.clock(), "type": service.shop.pass_type.id}
        session.execute(text(statement), values)
