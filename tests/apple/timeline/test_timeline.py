"""Why did the phone not update? The whole story of a pass, and each way it can end early."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.apple.conftest import LIBRARY, Service
from tests.apple.timelines import (
    add,
    ask,
    fetch,
    later,
    pushed,
    report,
    verdict,
    workers,
)
from walletsvc.core.actor import Actor
from walletsvc.core.errors import InputError, NotFound, Refused
from walletsvc.jobs.bulk import begin
from walletsvc.jobs.changes import touch
from walletsvc.passes.timeline.entries import EntryKind, Place
from walletsvc.passes.timeline.findings import Code
from walletsvc.passes.timeline.subject import find
from walletsvc.passes.timeline.waiting import WaitingKind


def test_the_whole_chain_is_told_in_order(service: Service) -> None:
    """Changed, published, pushed, asked, fetched: each with its time and what it took."""
    tag = add(service)
    later(service, hours=1)
    since = service.clock()
    service.change(50)
    later(service, seconds=0.08)
    service.drain()
    later(service, seconds=0.1)
    pushed(service)
    later(service, seconds=0.3)
    new = ask(service, tag)
    later(service, seconds=0.2)
    assert fetch(service, **{"User-Agent": f"passd/1 \x07{'x' * 90} {'app ' * 30}"}) == 200
    with workers(service):
        told = report(service, since=since)
    assert [(entry.kind, entry.seconds) for entry in told.entries] == [
        (EntryKind.CHANGED, None),
        (EntryKind.PUBLISHED, 0.08),
        (EntryKind.PUSHED, 0.1),
        (EntryKind.ASKED, 0.3),
        (EntryKind.FETCHED, 0.2),
    ]
    changed, published, push, asked, fetched = (dict(entry.detail) for entry in told.entries)
    assert (changed["type"], changed["amount"], changed["actor"]) == ("credit", 50, "till:test")
    assert published["differs"] == {"points": [0, 50]}
    assert (published["causes"], published["lane"]) == (["account"], "interactive")
    assert (published["tag"], published["version"]) == (new, 1)
    assert push["apns_id"]
    assert (asked["since"], asked["answered"], asked["serials"]) == (tag, new, 1)
    assert fetched["revision"] == published["revision"]
    assert fetched["agent"] == ("passd/1  " + "app " * 30)[:60].strip()
    phones = {entry.device for entry in told.entries if entry.device}
    assert phones == {told.findings[0].device}
    assert [finding.code for finding in told.findings] == [Code.UP_TO_DATE]
    assert told.older is None


def test_the_beginning_is_told_too(service: Service) -> None:
    """First publication, download, registration; and the end: removed."""
    add(service)
    later(service, seconds=1)
    service.client.delete(service.registration(), headers=service.auth())
    kinds = [entry.kind for entry in report(service).entries]
    assert kinds == [
        EntryKind.PUBLISHED,
        EntryKind.ASKED,
        EntryKind.FETCHED,
        EntryKind.REGISTERED,
        EntryKind.UNREGISTERED,
    ]
    assert report(service).entries[0].detail["causes"] == ["request"]
    assert verdict(service) is Code.REMOVED


def test_a_pass_nobody_took(service: Service) -> None:
    """Never looked at, or looked at and not added."""
    assert verdict(service) is Code.NEVER_ADDED
    service.client.get(f"/p/{service.members[0][0].link_token}.pkpass")
    assert verdict(service) is Code.ADDED_WITHOUT_REGISTERING


def test_a_change_waits(service: Service) -> None:
    """Nobody publishes; somebody does and is slow; an error sets it aside."""
    add(service)
    later(service, minutes=1)
    service.change(5)
    later(service, minutes=1)
    assert verdict(service) is Code.NO_PUBLISHER
    with workers(service):
        assert verdict(service) is Code.PUBLISHER_BUSY
        with service.database.write_tx() as session:
            session.execute(text("UPDATE changes SET postponed_until = now() + interval '1 min'"))
        assert verdict(service) is Code.CHANGE_SET_ASIDE
    kinds = [one.kind for one in report(service).waiting]
    assert kinds == [WaitingKind.CHANGE_ASIDE]


def test_a_change_that_changes_nothing(service: Service) -> None:
    """Ten points more and ten less: the pass says what it said."""
    add(service)
    fetch(service)
    later(service, minutes=1)
    service.change(10)
    service.change(-10)
    service.drain()
    assert verdict(service) is Code.SAME_CONTENT


def test_a_change_past_the_service(service: Service) -> None:
    """Somebody edited the database: nothing will publish that by itself."""
    add(service)
    with service.database.write_tx() as session:
        session.execute(text("UPDATE organisations SET name = 'Another'"))
    assert verdict(service) is Code.NOT_PUBLISHED


def test_a_bulk_job_that_has_not_come_to_the_pass(service: Service) -> None:
    """Its progress is the answer."""
    add(service)
    ids = {"programme_id": service.shop.programme.id, "last": service.members[0][0].account_id}
    credit = {"programme_id": ids["programme_id"], "by_number": False}
    for last in (ids["last"], ids["last"] - 1):
        with service.database.write_tx() as session:
            session.execute(text("DELETE FROM bulk_jobs"))
            begin(
                session, kind="credit", title="Credit", total=2, actor=Actor("staff", "x"),
                parameters={**credit, "last_account_id": last}, now=service.clock(),
            )  # fmt: skip
        expected = Code.BULK_RUNNING if last == ids["last"] else Code.UP_TO_DATE
        assert verdict(service) is expected
    with service.database.write_tx() as session:
        job = begin(
            session, kind="template", title="New look",
            parameters={"template_id": service.shop.template.id}, total=2,
            actor=Actor("staff", "x"), now=service.clock(),
        )  # fmt: skip
    assert verdict(service) is Code.BULK_RUNNING
    with service.database.write_tx() as session:
        session.execute(
            text("UPDATE bulk_jobs SET cursor = :cursor WHERE id = :id"),
            {"cursor": service.members[0][1].id, "id": job.id},
        )
    assert verdict(service) is Code.UP_TO_DATE


def test_a_pass_is_found_by_whatever_the_operator_has(service: Service) -> None:
    """Serial number, card number with or without gaps, id of the card."""
    card, pass_ = service.members[0]
    grouped = " ".join(card.number[at : at + 4] for at in range(0, 16, 4))
    with service.database.write_tx() as session:
        for what in (pass_.serial, card.number, grouped, card.public_id):
            (found,) = find(session, what)
            assert found.pass_.id == pass_.id
        for nothing in ("", "nothing", "12345", "%", "x\x00", card.public_id[:-1]):
            with pytest.raises(NotFound):
                find(session, nothing)
        with pytest.raises(NotFound):
            find(session, pass_.serial, organisation_id=-1)
        session.execute(
            text("UPDATE passes SET serial = :serial, pass_type_id = (SELECT min(id) FROM"
                 " pass_types) WHERE id = :id"),
            {"serial": pass_.serial, "id": service.members[1][1].id},
        )  # fmt: skip
        with pytest.raises(Refused, match="Several"):
            find(session, pass_.serial)


def test_pages_show_everything_once(waiting: Service) -> None:
    """Also where many entries are of one moment, and whatever happens in between."""
    for _ in range(5):
        waiting.change(1)
    whole = report(waiting).entries
    seen: list[tuple[object, ...]] = []
    after = None
    for _ in range(50):
        page = report(waiting, limit=2, after=after)
        seen = [(entry.at, entry.kind, str(entry.detail)) for entry in page.entries] + seen
        if page.older is None:
            break
        after = Place.parse(str(page.older))
        later(waiting, seconds=1)
        waiting.change(1)
    assert seen == [(entry.at, entry.kind, str(entry.detail)) for entry in whole]
    for odd in ("", "1", "1-", "x-1", "-1-1", "1-1-1", "9" * 30 + "-1"):
        with pytest.raises(InputError):
            Place.parse(odd)


def test_no_secret_is_in_a_timeline(waiting: Service) -> None:
    """Neither of the phone nor of the pass, and no name of the holder."""
    pushed(waiting)
    tag = ask(waiting, None)
    fetch(waiting)
    waiting.client.get(waiting.list_url(f"{tag}<script>"))
    told = report(waiting)
    everything = f"{told.entries} {told.findings}"
    card, pass_ = waiting.members[0]
    for secret in (LIBRARY, "ab" * 32, pass_.auth_token, card.link_token, "Анна", "script"):
        assert secret not in everything


def test_one_publication_tells_of_all_its_causes(service: Service) -> None:
    """Two movements and a new name before the drain: the oldest change is what it lags behind."""
    add(service)
    service.change(5)
    later(service, seconds=30)
    service.change(6)
    with service.database.write_tx() as session:
        touch(session, "person", [service.members[0][0].person_id], at=service.clock())
    service.drain()
    published = report(service).entries[-1]
    assert published.detail["causes"] == ["account", "person"]
    assert (published.seconds, published.follows) == (30.0, EntryKind.CHANGED)
    assert published.detail["differs"] == {"points": [0, 11]}
