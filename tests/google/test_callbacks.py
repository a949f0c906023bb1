"""Google says that a pass was saved or removed: once each, in whatever order it comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlmodel import col, select
from werkzeug.test import TestResponse

from tests.google.shop import HOUSE, google_pass
from tests.google.signing import Google, millis
from tests.passes.shop import member, open_shop
from walletsvc import settings as settings_module
from walletsvc.core.errors import Unavailable
from walletsvc.google import callbacks
from walletsvc.google.models import GoogleObject
from walletsvc.google.root_keys import RootKeys
from walletsvc.google.signatures import RootKey, root_keys
from walletsvc.jobs.changes import Change, Lane
from walletsvc.passes.models import EventKind, Pass, PassEvent
from walletsvc.storage.engine import Database
from walletsvc.storage.inbox import InboxEntry, forget_before
from walletsvc.web import problems, requests
from walletsvc.web.context import Deps

Json = dict[str, Any]


class Keys(RootKeys):
    """Google's keys without the way to them."""

    def __init__(self, google: Google) -> None:
        self.google = google
        self.there = True

    def valid(self) -> list[RootKey]:
        if not self.there:
            raise Unavailable("Google's keys cannot be had.")
        return root_keys(self.google.published())


@dataclass
class Desk:
    """The address that Google calls, and a card it calls about."""

    app: Flask
    database: Database
    google: Google
    keys: Keys
    object_id: str
    pass_id: int
    now: datetime
    number: int = 0

    def tell(self, kind: str = "save", *, after: int = 0, **changes: Any) -> TestResponse:
        """A callback about the card, from so many seconds after the present."""
        self.number += 1
        said = {
            "objectId": self.object_id,
            "eventType": kind,
            "nonce": f"nonce-{self.number}",
            "expTimeMillis": millis(self.now + timedelta(hours=1, seconds=after)),
        }
        message = self.google.message(**said | changes)
        return self.post(self.google.envelope(message, issuer=HOUSE.issuer_id))

    def post(self, envelope: Json) -> TestResponse:
        return self.app.test_client().post(callbacks.PATH, json=envelope)

    def row(self) -> GoogleObject:
        with self.database.read_tx() as session:
            return session.get_one(GoogleObject, self.pass_id)

    def events(self) -> list[EventKind]:
        with self.database.read_tx() as session:
            own = select(PassEvent).where(PassEvent.pass_id == self.pass_id)
            found = session.exec(own.order_by(col(PassEvent.id)))
            return [event.kind for event in found if event.kind is not EventKind.PUBLISHED]

    def inbox(self) -> list[InboxEntry]:
        with self.database.read_tx() as session:
            return list(session.exec(select(InboxEntry)))

    def change(self, edit: Callable[[GoogleObject, Pass], None]) -> None:
        with self.database.write_tx() as session:
            edit(session.get_one(GoogleObject, self.pass_id), session.get_one(Pass, self.pass_id))


@pytest.fixture
def desk(database: Database, now: datetime, tmp_path: Path) -> Desk:
    with database.write_tx() as session:
        made = google_pass(session, member(session, open_shop(session, now), now), now)
        row = session.get_one(GoogleObject, made.id)
        row.inserted_at, row.sent_revision = now, made.revision
        pass_id, object_id = made.id, row.object_id
    google = Google(now)
    keys = Keys(google)
    settings = settings_module.load(data_dir=tmp_path, google_issuer_id=HOUSE.issuer_id)
    app = Flask("walletsvc.web")
    requests.install(app)
    problems.install(app)
    app.register_blueprint(callbacks.create(Deps(settings, database, lambda: now), keys))
    return Desk(app, database, google, keys, object_id, pass_id, now)


def test_a_save_puts_the_pass_into_a_wallet(desk: Desk) -> None:
    """From now on it is kept up to date; the timeline and the inbox say so."""
    answer = desk.tell()
    assert (answer.status_code, answer.get_json()) == (200, {"result": "saved"})
    row = desk.row()
    assert (row.has_users, row.saved_at, row.due_at) == (True, desk.now, None)
    assert desk.events() == [EventKind.SAVED]
    (entry,) = desk.inbox()
    assert (entry.source, entry.external_id, entry.remark) == ("google", "nonce-1", "saved")
    assert entry.processed_at == desk.now


def test_a_removal_takes_it_out(desk: Desk) -> None:
    """When nobody holds it any more."""
    desk.tell()
    assert desk.tell("del", after=1, count=0).get_json() == {"result": "removed"}
    row = desk.row()
    assert (row.has_users, row.removed_at) == (False, desk.now)
    assert desk.events() == [EventKind.SAVED, EventKind.REMOVED]


def test_a_removal_is_believed_whatever_the_count(desk: Desk) -> None:
    """It may well be of before the removal; of a family's card the nightly comparison knows."""
    desk.tell(count=1)
    assert desk.tell("del", after=1, count=1).get_json() == {"result": "removed"}
    assert not desk.row().has_users


def test_of_two_of_the_same_moment_the_later_one_counts(desk: Desk) -> None:
    """Saved and removed within a millisecond, or in two batches of Google's."""
    desk.tell()
    assert desk.tell("del").get_json() == {"result": "removed"}
    assert not desk.row().has_users
    assert desk.tell().get_json() == {"result": "saved"}
    assert desk.row().has_users


def test_a_save_of_what_has_changed_meanwhile_makes_it_due(desk: Desk) -> None:
    """A purchase between the click and the save on Google's page."""

    def earn(_row: GoogleObject, made: Pass) -> None:
        made.revision += 1

    desk.change(earn)
    desk.tell()
    assert desk.row().due_at == desk.now


def test_what_nobody_published_meanwhile_is_published(desk: Desk) -> None:
    """A purchase before the save changed a pass that nobody held: it is looked at again."""
    desk.tell()
    desk.tell("del", after=1, count=0)
    with desk.database.read_tx() as session:
        (change,) = session.exec(select(Change))
    assert (change.topic, change.key, change.lane) == ("pass", desk.pass_id, Lane.INTERACTIVE)


def test_the_same_delivered_twice_counts_once(desk: Desk) -> None:
    """Google tries again when our answer was lost; so may somebody who kept a copy."""
    desk.tell(nonce="one")
    desk.tell("del", after=1, nonce="two", count=0)
    again = desk.tell(nonce="one")
    assert (again.status_code, again.get_json()) == (200, {"result": "known"})
    assert not desk.row().has_users
    assert desk.events() == [EventKind.SAVED, EventKind.REMOVED]
    assert len(desk.inbox()) == 2


def test_an_older_word_changes_nothing(desk: Desk) -> None:
    """Removed and saved again, and the removal comes last."""
    desk.tell(after=5)
    late = desk.tell("del", after=2, count=0)
    assert late.get_json() == {"result": "older"}
    assert desk.row().has_users
    assert desk.events() == [EventKind.SAVED]


def test_a_pass_that_is_not_ours_any_more_is_noted(desk: Desk) -> None:
    """A database that was restored from before it; Google need not try again."""
    answer = desk.tell(objectId=f"{HOUSE.issuer_id}.gone")
    assert (answer.status_code, answer.get_json()) == (200, {"result": "unknown object"})
    assert desk.inbox()[0].remark == "unknown object"


def test_what_is_not_googles_is_refused_and_leaves_nothing(desk: Desk) -> None:
    """Forged, another issuer's, junk, too long."""
    genuine = desk.google.envelope(
        desk.google.message(objectId=desk.object_id), issuer=HOUSE.issuer_id
    )
    spoiled = json.loads(genuine["signedMessage"]) | {"objectId": f"{HOUSE.issuer_id}.other"}
    forged = genuine | {"signedMessage": json.dumps(spoiled)}
    for envelope in (forged, desk.google.envelope(issuer="1"), {}):
        answer = desk.post(envelope)
        assert answer.status_code == 400, answer.text
        assert answer.mimetype == "application/problem+json"
    assert desk.post({"signature": "x" * 40_000}).status_code == 413
    assert desk.inbox() == []
    assert desk.post(genuine).status_code == 200


def test_without_keys_google_is_to_try_again(desk: Desk) -> None:
    """A 503 is no refusal: the next try is believed."""
    desk.keys.there = False
    assert desk.tell(nonce="n").status_code == 503
    assert desk.inbox() == []
    desk.keys.there = True
    assert desk.tell(nonce="n").get_json() == {"result": "saved"}


def test_old_entries_of_the_inbox_go(desk: Desk) -> None:
    """When they were acted upon; a nonce as old as that has long expired."""
    desk.tell()
    with desk.database.write_tx() as session:
        assert forget_before(session, desk.now) == 0
        assert forget_before(session, desk.now + timedelta(days=1)) == 1
    assert desk.inbox() == []
