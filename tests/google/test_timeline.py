"""The story of a card in Google Wallet, with Google's emulator and a sender at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlmodel import Session

from tests.google.desk import Desk, Holder, desk_fixture  # noqa: F401 - a fixture
from tests.google.test_saving import card, saver, worker
from walletsvc.core.actor import OPERATOR
from walletsvc.google import breaker, callbacks
from walletsvc.google.due import GOOGLE as SIGNAL
from walletsvc.google.signatures import Event as Word
from walletsvc.google.timeline.report import read
from walletsvc.jobs.changes import CHANGES
from walletsvc.jobs.signals import Listener
from walletsvc.passes.timeline.entries import Entry, EntryKind
from walletsvc.passes.timeline.findings import Code
from walletsvc.passes.timeline.report import Report
from walletsvc.passes.timeline.subject import find
from walletsvc.passes.timeline.waiting import WaitingKind
from walletsvc.passes.wording.speech import Speech


@contextmanager
def workers(desk: Desk) -> Iterator[None]:
    """Somebody publishes and somebody sends, as far as the database can see."""
    conninfo = desk.database.conninfo
    with Listener(conninfo, CHANGES) as publisher, Listener(conninfo, SIGNAL) as sender:
        publisher.wait(0)
        sender.wait(0)
        yield


def report(desk: Desk, pass_id: int, **options: Any) -> Report:
    """The timeline of a pass."""
    values: dict[str, Any] = {
        "now": desk.now,
        "keep": timedelta(days=30),
        "since": desk.now - timedelta(days=7),
        "limit": 100,
    }
    desk.execute("DELETE FROM changes")  # the desk publishes without the log
    [(serial,)] = desk.rows("SELECT serial FROM passes WHERE id = :id", id=pass_id)
    with desk.database.read_tx() as session:
        (subject,) = find(session, serial)
        return read(session, subject, **values | options)


def codes(desk: Desk, holder: Holder) -> list[Code]:
    """What is found."""
    with workers(desk):
        return [finding.code for finding in report(desk, holder.pass_id).findings]


def google_says(desk: Desk, session: Session, object_id: str, event: str, count: int) -> None:
    """A callback, verified already."""
    word = Word.model_validate(
        {
            "classId": object_id.split(".")[0] + ".x",
            "objectId": object_id,
            "eventType": event,
            "expTimeMillis": int((desk.now + timedelta(hours=1)).timestamp() * 1000),
            "count": count,
            "nonce": f"{event}-{desk.now}",
        }
    )
    callbacks.take(session, word, desk.now)


def sent(entries: list[Entry]) -> list[Any]:
    """What Google was given, and how it was announced."""
    return [(e.detail["what"], e.detail["buzz"]) for e in entries if e.kind is EntryKind.SENT]


def test_the_whole_chain_is_told_in_order(desk: Desk) -> None:
    """Opened, inserted, saved, changed, published, sent, announced, removed."""
    token = card(desk)
    with worker(desk):
        saver(desk).link(token)
    [row] = desk.objects()
    assert report(desk, row.pass_id).verdict.code is Code.GOOGLE_NOT_SAVED
    desk.advance(timedelta(minutes=1))
    with desk.database.write_tx() as session:
        google_says(desk, session, row.object_id, "save", 1)
    desk.google.save(row.object_id, callback=False)
    desk.advance(timedelta(hours=1))
    [(account,)] = desk.rows("SELECT account_id FROM cards")
    holder = Holder(row.pass_id, row.object_id, account)
    desk.change([holder], 50)
    desk.now += timedelta(seconds=0.5)
    desk.sender().drain()
    told = report(desk, row.pass_id)
    assert told.verdict.code is Code.GOOGLE_ANNOUNCED
    assert told.verdict.values["left"] == 2
    assert told.notifications is not None
    assert (told.notifications.left, told.notifications.of) == (2, 3)
    assert told.notifications.next_at == desk.now + timedelta(hours=24, minutes=5)
    desk.advance(timedelta(hours=1))
    with desk.database.write_tx() as session:
        google_says(desk, session, row.object_id, "del", 0)
    told = report(desk, row.pass_id)
    kinds = [entry.kind for entry in told.entries]
    assert kinds[-8:] == [
        EntryKind.OPENED, EntryKind.PUBLISHED, EntryKind.SENT, EntryKind.SAVED,
        EntryKind.CHANGED, EntryKind.PUBLISHED, EntryKind.SENT, EntryKind.REMOVED,
    ]  # fmt: skip
    patch = told.entries[-2]
    assert sent([patch]) == [("patch", "asked")]
    assert patch.detail["differs"] == {"points": [100, 150]}
    assert (patch.seconds, patch.follows) == (0.5, EntryKind.PUBLISHED)
    assert "points 100 → 150; the phone was to announce it" in Speech("en", told.subject).entry(
        patch
    )
    assert told.verdict.code is Code.GOOGLE_REMOVED


def test_beyond_the_budget_it_says_why_nothing_sounded(desk: Desk) -> None:
    """Three sounded, the fourth came silently, and when the next may sound is told."""
    [holder] = desk.cards(1)
    sender = desk.sender()
    for _ in range(4):
        desk.advance(timedelta(minutes=10))
        desk.change([holder], 5)
        sender.drain()
    assert codes(desk, holder) == [Code.GOOGLE_SILENT_BUDGET]
    told = report(desk, holder.pass_id)
    assert sent(list(told.entries))[-4:] == [("patch", "asked")] * 3 + [("patch", "budget")]
    assert told.notifications is not None
    assert told.notifications.left == 0
    assert told.verdict.values["next"] == desk.now - timedelta(minutes=30) + timedelta(
        hours=24, minutes=5
    )


def test_a_gift_card_is_told_of_by_its_message(desk: Desk) -> None:
    """The PATCH is silent, the message sounds: the verdict knows both."""
    [holder] = desk.gifts(1)
    desk.advance(timedelta(minutes=1))
    desk.change([holder], 500)
    sender = desk.sender()
    assert codes(desk, holder)[0] is Code.GOOGLE_JUST_DUE
    while sender.drain():
        pass
    assert codes(desk, holder) == [Code.GOOGLE_ANNOUNCED]
    assert sent(list(report(desk, holder.pass_id).entries))[-2:] == [
        ("patch", ""),
        ("message", "asked"),
    ]


def test_an_announcement_that_nobody_answered_for_is_told(desk: Desk) -> None:
    """Google applied it and said nothing: it is looked up, and the phone was told once."""
    [holder] = desk.cards(1)
    desk.advance(timedelta(minutes=1))
    desk.google.arm("504", resource="loyaltyObject", applied=True)
    desk.change([holder], 5)
    desk.settle(desk.sender())
    told = report(desk, holder.pass_id)
    assert sent(list(told.entries))[-3:] == [("patch", "asked"), ("look", ""), ("patch", "")]
    assert told.verdict.code is Code.GOOGLE_ANNOUNCED
    assert len(desk.buzzes(holder)) == 1


def test_what_holds_it_up_is_named(desk: Desk) -> None:
    """Nobody sends; Google is out of order; it refuses; the operator has paused it."""
    [holder] = desk.cards(1)
    desk.advance(timedelta(minutes=1))
    desk.change([holder], 5)
    assert report(desk, holder.pass_id).verdict.code is Code.GOOGLE_NO_SENDER
    desk.advance(timedelta(minutes=1))
    assert codes(desk, holder) == [Code.GOOGLE_SENDER_BUSY]
    desk.google.arm("503", resource="loyaltyObject")
    desk.sender().drain()
    assert codes(desk, holder) == [Code.GOOGLE_UNANSWERED]
    kinds = [one.kind for one in report(desk, holder.pass_id).waiting]
    assert kinds == [WaitingKind.OBJECT]
    desk.settle(desk.sender())
    assert sent(list(report(desk, holder.pass_id).entries))[-3:] == [
        ("look", ""), ("look", ""), ("patch", ""),
    ]  # fmt: skip
    assert codes(desk, holder) == [Code.GOOGLE_UP_TO_DATE]
    desk.change([holder], 5)
    desk.google.arm("permissionDenied", resource="loyaltyObject")
    desk.sender().drain()
    assert codes(desk, holder) == [Code.GOOGLE_STOPPED]
    assert "Developer" in report(desk, holder.pass_id).verdict.values["reason"]
    with desk.database.write_tx() as session:
        breaker.pause(session, None, actor=OPERATOR, now=desk.now)
    assert codes(desk, holder) == [Code.GOOGLE_PAUSED]
    assert report(desk, holder.pass_id).waiting[0].kind is WaitingKind.ISSUER


def test_what_google_will_not_take(desk: Desk) -> None:
    """Its own words, and nothing is tried again."""
    [holder] = desk.cards(1)
    desk.change([holder], 5)
    desk.google.arm("400", resource="loyaltyObject")
    desk.sender().drain()
    assert codes(desk, holder) == [Code.GOOGLE_REFUSED]
    assert "400" in report(desk, holder.pass_id).verdict.values["reason"]


def test_a_change_that_google_was_not_told_of(desk: Desk) -> None:
    """Something lost the mark: it is found, and not called up to date."""
    [holder] = desk.cards(1)
    desk.change([holder], 5)
    desk.execute("UPDATE google_objects SET due_at = NULL")
    assert codes(desk, holder) == [Code.GOOGLE_MISSED]


def test_pages_show_everything_once(desk: Desk) -> None:
    """And what was sent says what differs on whichever page it stands."""
    [holder] = desk.cards(1)
    sender = desk.sender()
    for _ in range(5):
        desk.advance(timedelta(minutes=10))
        desk.change([holder], 1)
        sender.drain()
    whole = report(desk, holder.pass_id).entries
    pages: list[Entry] = []
    place = None
    while True:
        piece = report(desk, holder.pass_id, limit=4, after=place)
        pages = [*piece.entries, *pages]
        place = piece.older
        if place is None:
            break
    assert [(e.at, e.kind) for e in pages] == [(e.at, e.kind) for e in whole]


def test_a_card_has_a_story_in_each_wallet(desk: Desk) -> None:
    """Found together by the card, and each alone by its serial number."""
    [holder] = desk.cards(1)
    [(number,)] = desk.rows("SELECT number FROM cards")
    with desk.database.read_tx() as session:
        both = find(session, number)
        assert [subject.pass_.wallet.value for subject in both] == ["apple", "google"]
        for subject in both:
            assert [one.pass_.id for one in find(session, subject.pass_.serial)] == [
                subject.pass_.id
            ]
    assert holder.pass_id == both[1].pass_.id
