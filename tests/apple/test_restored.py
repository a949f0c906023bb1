"""After a restore phones that hold more than the database knows must still learn what is true."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.apple.conftest import Service, pass_json
from walletsvc.app import PutRight, after_restore
from walletsvc.apple.queue import claim
from walletsvc.apple.restored import PUSHES_PER_SECOND
from walletsvc.jobs.changes import Lane
from walletsvc.passes.models import Pass

LATER = timedelta(days=1)


def restore(service: Service, after: timedelta = LATER) -> PutRight:
    """What a restore does in its last transaction, a day after the backup."""
    service.ticks.append(after)
    with service.database.write_tx() as session:
        return after_restore(session, service.clock())


def shown(body: bytes) -> object:
    """The balance in a pass."""
    store = pass_json(body)["storeCard"]
    assert isinstance(store, dict)
    return store["headerFields"][0]["value"]


@pytest.fixture
def registered(service: Service) -> Service:
    """Both passes are in one phone, with 10 points each."""
    for index in (0, 1):
        service.change(10, index)
        service.client.get(f"/p/{service.members[index][0].link_token}.pkpass")
        service.register(index)
    service.drain()
    return service


def test_every_tag_of_before_counts_as_none(registered: Service) -> None:
    """The last known one, lost ones, and those that the restored service gives itself again."""
    service = registered
    old = service.client.get(service.list_url()).get_json()["lastUpdated"]
    epoch, counter = old.split("-")
    assert restore(service)[:2] == (2, 1)
    for lost in range(10):
        answer = service.client.get(service.list_url(f"{epoch}-{int(counter) + lost}"))
        assert len(answer.get_json()["serialNumbers"]) == 2
        service.change(1)
        service.drain()
    new = answer.get_json()["lastUpdated"]
    assert int(new.split("-")[0]) > int(epoch)


def test_two_restores_of_one_backup_differ(registered: Service) -> None:
    """A phone that asked after the first holds a tag that the second does not know."""
    service = registered
    seen = set()
    for _ in range(2):
        with service.database.engine.connect() as connection:  # rolled back: the backup again
            service.ticks.append(LATER)
            connection.begin()
            after_restore(Session(connection), service.clock())
            seen.add(connection.execute(text("SELECT epoch FROM pass_types LIMIT 1")).scalar_one())
            connection.rollback()
    assert len(seen) == 2


def test_a_lost_copy_is_never_unchanged(registered: Service) -> None:
    """Neither by its date, later than what the database knows, nor by its ETag."""
    service = registered
    url = service.pass_url()
    kept = service.client.get(url, headers=service.auth())
    known = service.pass_()
    service.change(90)
    service.drain()
    lost = service.client.get(url, headers=service.auth())
    assert shown(lost.data) == 100
    with service.database.write_tx() as session:  # what the backup remembers
        row = session.get_one(Pass, known.id)
        for name in ("content", "digest", "tag", "revision", "last_modified"):
            setattr(row, name, getattr(known, name))
    service.change(-90)
    restore(service)
    for copy in (lost, kept):
        dated = {**service.auth(), "If-Modified-Since": copy.headers["Last-Modified"]}
        assert service.client.get(url, headers=dated).status_code == 200
    tagged = {**service.auth(), "If-None-Match": lost.headers["ETag"]}
    assert service.client.get(url, headers=tagged).status_code == 200
    same = {**service.auth(), "If-None-Match": kept.headers["ETag"]}
    assert service.client.get(url, headers=same).status_code == 304


def test_dates_move_beyond_whatever_was_lost(registered: Service) -> None:
    """A burst pushes dates ahead of the clock; the new one is later than any of them."""
    service = registered
    before = service.client.get(service.pass_url(), headers=service.auth())
    restore(service, timedelta())
    after = service.client.get(service.pass_url(), headers=service.auth())
    dates = [parsedate_to_datetime(a.headers["Last-Modified"]) for a in (before, after)]
    assert dates[1] > dates[0]
    headers = {**service.auth(), "If-Modified-Since": format_datetime(dates[1], usegmt=True)}
    assert service.client.get(service.pass_url(), headers=headers).status_code == 304
    with service.database.read_tx() as session:  # why did this phone take its pass anew?
        details = session.execute(
            text("SELECT detail FROM pass_events WHERE detail->'causes' @> '[\"restore\"]'")
        ).scalars()
        assert [detail["lane"] for detail in details] == ["bulk", "bulk"]


def test_a_copy_taken_before_the_disaster_and_registered_after_it_is_told(
    service: Service,
) -> None:
    """It may show what is lost: downloads counted before the restore vouch for nothing."""
    service.change(10)
    service.client.get(f"/p/{service.members[0][0].link_token}.pkpass")
    assert service.pass_().revision == 1
    restore(service, timedelta(minutes=1))
    assert service.register() == 201
    assert service.count("pushes") == 1
    answer = service.client.get(service.list_url()).get_json()
    assert answer["serialNumbers"] == [service.members[0][1].serial]


def test_every_device_is_told_once_and_at_once(registered: Service) -> None:
    """Rows that were waiting, claimed or postponed at the time are among these."""
    service = registered
    service.change(1)
    service.drain()
    with service.database.write_tx() as session:
        session.execute(text("UPDATE pushes SET due_at = now() + interval '9 years', attempts = 5"))
        session.execute(text("UPDATE devices SET quiet_until = now() + interval '9 years'"))
        session.execute(
            text(
                "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
                " VALUES (:id, 'stopped', 'certificate', 3, now())"
            ),
            {"id": service.shop.pass_type.id},
        )
    assert restore(service)[1] == 1
    with service.database.write_tx() as session:
        (push,) = session.execute(text("SELECT id, lane, attempts FROM pushes")).all()
        assert (push.lane, push.attempts) == (Lane.BULK, 0)
        # Apns-ids are made of these, and those up to now were used before the disaster.
        assert push.id >= int(service.clock().timestamp() * 1_000_000)
        quiet = session.execute(text("SELECT quiet_until FROM devices")).scalar_one()
        channels = session.execute(text("SELECT count(*) FROM push_channels")).scalar_one()
        assert (quiet, channels) == (None, 0)
        now = service.clock()
        kind = service.shop.pass_type.id
        claimed = claim(session, kind, Lane.BULK, now=now, lease=LATER, limit=10)
    assert len(claimed.pushes) == 1
    with service.database.write_tx() as session:  # the operator pauses, and it happens again
        session.execute(
            text(
                "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
                " VALUES (:id, 'paused', 'by hand', 0, now())"
            ),
            {"id": service.shop.pass_type.id},
        )
    restore(service)
    assert service.count("push_channels") == 1
    with service.database.read_tx() as session:
        assert session.execute(text("SELECT id FROM pushes")).scalar_one() > push.id


def test_phones_are_not_all_called_in_the_same_second(registered: Service) -> None:
    """Each of them comes and takes its passes anew."""
    count = 3 * PUSHES_PER_SECOND
    with registered.database.write_tx() as session:
        session.execute(
            text(
                "WITH made AS (INSERT INTO devices"
                " (library_identifier, push_token, registered_at, created_at)"
                " SELECT 'more-' || n, lpad(to_hex(n), 64, '0'), now(), now()"
                " FROM generate_series(1, :count) n RETURNING id)"
                " INSERT INTO registrations (device_id, pass_id, pass_type_id, tag, created_at)"
                " SELECT id, :pass_id, :type, 0, now() FROM made"
            ),
            {
                "count": count,
                "pass_id": registered.members[0][1].id,
                "type": registered.shop.pass_type.id,
            },
        )
    assert restore(registered)[1] == count + 1
    now: datetime = registered.clock()
    with registered.database.read_tx() as session:
        last = session.execute(text("SELECT max(due_at) FROM pushes")).scalar_one()
    assert last == now + timedelta(seconds=3)
