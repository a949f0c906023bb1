"""After a restore Google's copies show again what is true, and nobody is told twice of anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.test_reconcile import class_id, damage, reconciler
from walletsvc.app import after_restore
from walletsvc.core.actor import OPERATOR, SYSTEM
from walletsvc.google import breaker
from walletsvc.google.budget import budget
from walletsvc.google.models import IssuerState
from walletsvc.jobs.changes import Lane

_TABLES = ("google_buzzes", "google_messages", "google_objects", "google_classes", "pass_events")


class Backup:
    """Rows of the database at one moment, as a backup keeps them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        names = (*_TABLES, "passes", "accounts")
        self._rows = {name: self._read(name) for name in names}

    def _read(self, name: str) -> list[str]:
        return [row[0] for row in self._desk.rows(f"SELECT to_json(t)::text FROM {name} t")]

    def restore(self) -> int:
        """Bring them back, and put right what they cannot know; how many objects are due."""
        with self._desk.database.write_tx() as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            for name, rows in self._rows.items():
                session.execute(text(f"DELETE FROM {name}"))
                for row in rows:
                    session.execute(
                        text(
                            f"INSERT INTO {name} OVERRIDING SYSTEM VALUE"
                            f" SELECT * FROM json_populate_record(NULL::{name}, CAST(:row AS json))"
                        ),
                        {"row": row},
                    )
            return after_restore(session, self._desk.now).objects


@pytest.fixture(name="unsent")
def unsent_fixture(desk: Desk) -> Iterator[Desk]:
    """A shop in which nothing is due."""
    yield desk
    assert desk.waiting() == 0


def test_google_shows_what_is_true_again(unsent: Desk) -> None:
    """What was lost in the books is lost there too, without a sound; who held it holds it."""
    desk = unsent
    held, gifts = desk.cards(3), desk.gifts(1)
    backup = Backup(desk)
    desk.change([*held, *gifts], 20)
    desk.settle(desk.sender())
    damage(desk, class_id(desk), hexBackgroundColor="#ffffff")  # a template published since
    buzzes = desk.google.buzzes()
    assert len(buzzes) == 4
    assert backup.restore() == 4
    assert {row.lane for row in desk.objects()} == {Lane.BULK}
    desk.settle(desk.sender())
    assert [desk.shown(each) for each in held] == [100] * 3
    assert desk.shown(gifts[0]) == 500_000
    assert desk.google.buzzes() == buzzes
    assert all(row.has_users for row in desk.objects())
    assert desk.google.resource(class_id(desk))["hexBackgroundColor"] != "#ffffff"
    assert reconciler(desk, dry_run=True).run(SYSTEM).counts.repairs == 0


@pytest.mark.parametrize("sent", [True, False])
def test_a_change_that_was_on_its_way_is_not_told_again(unsent: Desk, sent: bool) -> None:
    """The backup was made between the purchase and its notification, which was most likely heard
    since: silence is better than the same twice. The change itself arrives."""
    desk = unsent
    [card], [gift] = desk.cards(1), desk.gifts(1)
    desk.change([card, gift], 20)
    if sent:  # the gift's balance is at Google, and its message is due
        [courier, *_] = desk.sender().couriers
        courier.carry()
        assert desk.rows("SELECT 1 FROM google_messages WHERE state = 'due'")
    backup = Backup(desk)
    desk.settle(desk.sender())
    assert len(desk.google.buzzes()) == 2
    backup.restore()
    desk.settle(desk.sender())
    assert (desk.shown(card), desk.shown(gift)) == (120, 500_020)
    assert len(desk.google.buzzes()) == 2
    assert len(desk.google.resource(gift.object_id)["messages"]) == 1


def test_the_next_change_is_told(unsent: Desk) -> None:
    """Nothing of the silence stays."""
    desk = unsent
    held = desk.cards(1)
    backup = Backup(desk)
    desk.change(held, 20)
    desk.settle(desk.sender())
    backup.restore()
    desk.settle(desk.sender())
    desk.change(held, 5)
    desk.settle(desk.sender())
    assert (desk.shown(held[0]), len(desk.buzzes(held[0]))) == (105, 2)


def test_what_was_spent_stays_spent(unsent: Desk) -> None:
    """Also for a request whose answer had not come at the time."""
    desk = unsent
    [holder] = desk.cards(1)
    desk.change([holder], 20)
    desk.google.arm("drop_after", count=1)
    desk.sender().drain()
    assert desk.row(holder).attempt["key"]
    backup = Backup(desk)
    backup.restore()
    desk.settle(desk.sender())
    with desk.database.read_tx() as session:
        assert budget(session, holder.pass_id, desk.now).left == 2
    assert len(desk.buzzes(holder)) == 1


def test_a_stopped_issuer_is_tried_a_paused_one_not(desk: Desk) -> None:
    """The fault may be gone; the operator's word holds."""
    desk.cards(1)
    [(issuer,)] = desk.rows("SELECT pass_type_id FROM google_issuers")

    def state() -> tuple[Any, str]:
        with desk.database.write_tx() as session:
            after_restore(session, desk.now)
            [found] = breaker.status(session)
            return found.state, found.reason

    with desk.database.write_tx() as session:
        breaker.stop(session, issuer, reason="key", retry_at=desk.now, now=desk.now)
    assert state() == (IssuerState.OPEN, "")
    with desk.database.write_tx() as session:
        breaker.pause(session, None, actor=OPERATOR, now=desk.now)
    assert state()[0] is IssuerState.PAUSED


def test_who_saved_a_card_since_is_found(desk: Desk) -> None:
    """By the comparison; what was made since is told of."""
    [early] = desk.cards(1)
    desk.google.remove(early.object_id, callback=False)
    desk.execute("UPDATE google_objects SET has_users = false")
    backup = Backup(desk)
    desk.google.save(early.object_id, callback=False)
    [late] = desk.cards(1)
    assert backup.restore() == 0
    found = reconciler(desk).run(SYSTEM).counts
    assert (found.saved, found.unknown) == (1, 1)
    assert desk.row(early).has_users
    assert late.object_id != early.object_id
