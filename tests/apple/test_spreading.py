"""A new template version or certificate reaches every phone, in pieces, and nobody else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from tests.apple.conftest import Service
from tests.factories import DESCRIPTION, make_member
from tests.passes.shop import plain, product_template
from walletsvc.app import bulk_runner
from walletsvc.cards import bulk_credit
from walletsvc.core.actor import SYSTEM
from walletsvc.jobs import counters
from walletsvc.jobs.bulk import BulkJob, BulkState, begin
from walletsvc.jobs.bulk import service as bulk
from walletsvc.jobs.changes import Lane
from walletsvc.passes import spreading
from walletsvc.passes.models import Pass, TemplateVersion
from walletsvc.passes.publish import Publisher
from walletsvc.passes.templates import LoadedTemplate, publish


def holders(service: Service, count: int = 3) -> None:
    """So many members more, whose phones hold their passes; two members nobody took a pass of."""
    for number in range(count):
        with service.database.write_tx() as session:
            member = make_member(
                session, service.shop, service.clock(), phone=f"+7900000{number:04}"
            )
        service.members.append(member)
        index = len(service.members) - 1
        service.client.get(service.pass_url(index), headers=service.auth(index))
        service.register(index, library=f"phone-{number}", token=f"{number:064x}")
    service.drain()


def new_version(service: Service, background: str = "#203040") -> TemplateVersion:
    """Publish a template of another colour."""
    template = plain(product_template("loyalty"))
    described = template.description.model_dump()
    described["colours"]["background"] = background
    changed = LoadedTemplate(type(template.description).model_validate(described), template.images)
    with service.database.write_tx() as session:
        return publish(
            session,
            programme_id=service.shop.programme.id,
            pass_type_id=service.shop.pass_type.id,
            template=changed,
            dialects=service.installation.publisher.dialects,
            now=service.clock(),
        )


def run_jobs(service: Service) -> None:
    runner = bulk_runner(service.installation)
    while runner.run_once() == 0:
        pass


def newest(service: Service) -> BulkJob:
    with service.database.read_tx() as session:
        return bulk.newest(session)[0]


def versions(service: Service) -> list[int | None]:
    """The version each pass was last published with."""
    with service.database.read_tx() as session:
        return list(session.exec(select(Pass.version_id).order_by(col(Pass.id))))


def test_a_new_version_reaches_every_holder(service: Service) -> None:
    """One push per phone, in the bulk lane; passes that nobody took stay unbuilt."""
    holders(service)
    version = new_version(service)
    assert service.count("changes") == 0
    run_jobs(service)
    job = newest(service)
    assert (job.state, job.done, job.total) == (BulkState.DONE, 3, 3)
    assert versions(service) == [None, None, version.id, version.id, version.id]
    with service.database.read_tx() as session:
        lanes = session.execute(text("SELECT lane FROM pushes")).scalars().all()
        assert lanes == [Lane.BULK] * 3
        assert counters.read(session)[counters.series("published", lane="bulk")] == 3


def test_a_newer_version_supersedes_one_that_still_spreads(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was published with the version in between is published again."""
    holders(service)
    between = new_version(service, "#111111")
    monkeypatch.setattr("walletsvc.jobs.bulk.runner._FIRST_SIZE", 1)
    bulk_runner(service.installation).run_once()
    former = newest(service)
    assert versions(service)[2:].count(between.id) == 1
    last = new_version(service, "#222222")
    run_jobs(service)
    assert versions(service)[2:] == [last.id] * 3
    with service.database.read_tx() as session:
        ended = bulk.find(session, former.public_id)
    assert (ended.state, ended.problem) == (BulkState.DONE, bulk.SUPERSEDED)
    assert newest(service).done == 3


def test_a_renewed_certificate_looks_at_every_pass_of_its_type(service: Service) -> None:
    """What differs is published; this version of the digest says nothing differs."""
    holders(service)
    with service.database.write_tx() as session:
        session.execute(text("UPDATE passes SET digest = '\\x00' WHERE revision > 0"))
        session.execute(text("DELETE FROM pushes"))
        begin(
            session,
            kind=spreading.CERTIFICATE,
            title="renewal",
            parameters={"pass_type_id": service.shop.pass_type.id},
            total=3,
            actor=SYSTEM,
            now=service.clock(),
        )
    run_jobs(service)
    assert (newest(service).done, service.count("pushes")) == (3, 3)


def test_a_pass_that_cannot_be_published_is_set_aside(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others get the new version; the bad one goes to the change log, which names it."""
    holders(service, 5)
    bad = service.members[4][1].id
    version = new_version(service)
    really = Publisher.publish

    def spoilt(self: Publisher, session: Session, ids: Any, **options: Any) -> set[int]:
        if bad in ids:
            raise ValueError("this one fails")
        return really(self, session, ids, **options)

    monkeypatch.setattr(Publisher, "publish", spoilt)
    run_jobs(service)
    job = newest(service)
    assert (job.state, job.done, job.result) == (BulkState.DONE, 5, {"set_aside": 1})
    assert versions(service).count(version.id) == 4
    with service.database.read_tx() as session:
        left = session.execute(text("SELECT topic, key, lane FROM changes")).all()
    assert [tuple(row) for row in left] == [("pass", bad, Lane.BULK)]


def test_a_job_waits_for_the_pushes_of_its_own_pass_type(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So pausing is felt at once; a stopped channel holds up its own jobs only."""
    holders(service)
    monkeypatch.setattr(spreading, "MOST_WAITING", 3)
    new_version(service, "#111111")
    run_jobs(service)
    assert service.count("pushes") == 3
    new_version(service, "#222222")
    run_jobs(service)
    assert newest(service).done == 0
    with service.database.write_tx() as session:
        session.execute(text("DELETE FROM pushes"))
    run_jobs(service)
    assert newest(service).done == 3


def test_points_do_not_wait_for_pushes_that_are_not_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait while pushes leave, so that a pause is felt; money waits for no push service."""
    holders(service)
    monkeypatch.setattr(spreading, "MOST_WAITING", 3)
    new_version(service, "#111111")
    run_jobs(service)
    assert service.count("pushes") == 3
    with service.database.write_tx() as session:
        bulk_credit.begin(
            session,
            programme=service.shop.programme,
            amount=5,
            reason="Праздник",
            actor=SYSTEM,
            now=service.clock(),
        )
    run_jobs(service)
    assert newest(service).done == 0
    with service.database.write_tx() as session:
        session.execute(
            text(
                "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
                " VALUES (:id, 'stopped', 'BadCertificate', 1, now())"
            ),
            {"id": service.shop.pass_type.id},
        )
    run_jobs(service)
    assert newest(service).state is BulkState.DONE
    new_version(service, "#222222")
    run_jobs(service)
    assert newest(service).done == 0


def test_the_first_version_has_nothing_to_spread(service: Service, now: datetime) -> None:
    """Passes come after it."""
    assert DESCRIPTION
    with service.database.read_tx() as session:
        assert bulk.newest(session) == []
