"""Classes follow their templates; announcements reach all holders once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import GOOGLE, HOUSE
from walletsvc.core.actor import OPERATOR
from walletsvc.google import breaker, budget
from walletsvc.google.models import IssuerState, MessageState
from walletsvc.passes.protocol import Announcement

HOUR = timedelta(hours=1)


def classes(desk: Desk) -> list[Any]:
    """The rows of the classes."""
    return desk.rows("SELECT * FROM google_classes ORDER BY id")


def calls(desk: Desk, method: str) -> list[str]:
    """What of classes was asked by this method, by path."""
    return [
        str(line["path"]).removeprefix("/walletobjects/v1/")
        for line in desk.google.log()
        if line["method"] == method and "Class" in line["path"]
    ]


def rename(desk: Desk, name: str) -> None:
    """The shop is called something else."""
    desk.execute("UPDATE organisations SET name = :name", name=name)


def test_classes_are_made_once_and_follow_the_shop(desk: Desk) -> None:
    """Nobody has a card yet; a change of the shop is a PATCH, and nothing else is."""
    sender = desk.sender()
    sender.drain()
    made = classes(desk)
    assert [row.review_status.lower() for row in made] == ["approved", "approved"]
    assert calls(desk, "POST") == ["loyaltyClass", "giftCardClass"]
    sender.drain()
    rename(desk, "Южный берег")
    sender.drain()
    sender.drain()
    assert calls(desk, "PATCH") == [
        f"{row.kind}Class/{row.class_id}" for row in sorted(made, key=lambda row: row.id)
    ]
    for row in made:
        assert desk.google.resource(row.class_id)["issuerName"] == "Южный берег"
    assert {row.attempts for row in classes(desk)} == {0}


@pytest.mark.parametrize(
    ("fault", "limits"),
    [("500", {"applied": True}), ("drop_after", {}), ("429", {}), ("drop_before", {})],
)
def test_an_unanswered_class_is_made_in_the_end(
    desk: Desk, fault: str, limits: dict[str, Any]
) -> None:
    """One that was there after all is brought up to date: both methods may be repeated."""
    desk.google.arm(fault, method="POST", resource="loyaltyClass", **limits)
    sender = desk.sender()
    for _ in range(3):
        sender.drain()
        desk.advance(HOUR)
    assert all(row.digest for row in classes(desk))
    assert {row.error for row in classes(desk)} == {""}


def test_a_class_that_google_has_lost(desk: Desk) -> None:
    """Found out by a change of the class, and by a card that cannot be inserted."""
    sender = desk.sender()
    sender.drain()
    rename(desk, "Южный берег")
    desk.google.arm("404", method="PATCH", resource="loyaltyClass")
    sender.drain()
    # It was there after all, so that the insert turned out to be none.
    desk.advance(HOUR)
    sender.drain()
    [loyalty, _] = classes(desk)
    assert desk.google.resource(loyalty.class_id)["issuerName"] == "Южный берег"


def test_a_refused_class_is_visible_and_not_offered_again_at_once(desk: Desk) -> None:
    """After an hour, or when it says something else."""
    desk.google.arm("400", method="POST", resource="loyaltyClass")
    sender = desk.sender()
    for _ in range(3):
        sender.drain()
    assert calls(desk, "POST").count("loyaltyClass") == 1
    with desk.database.read_tx() as session:
        assert breaker.figures(session, HOUSE.issuer_id).classes == 1
        [(_, reason)] = breaker.refusals(session, HOUSE.issuer_id)
    assert "invalidResource" in reason
    rename(desk, "Южный берег")
    sender.drain()
    assert breaker_figures(desk).classes == 0
    assert calls(desk, "POST").count("loyaltyClass") == 2


def breaker_figures(desk: Desk) -> breaker.Figures:
    """What waits and what was refused."""
    with desk.database.read_tx() as session:
        return breaker.figures(session, HOUSE.issuer_id)


def announce(desk: Desk, text: str = "Мы переехали") -> None:
    """Tell all who hold a loyalty card."""
    words = Announcement({"ru": "Новость", "en": "News"}, {"ru": text, "en": "We moved"})
    with desk.database.write_tx() as session:
        GOOGLE.announce(
            session, desk.rows("SELECT * FROM pass_templates")[0].id, words, now=desk.now
        )


def states(desk: Desk) -> list[MessageState]:
    """What became of the announcements."""
    rows = desk.rows("SELECT state FROM google_messages ORDER BY id")
    return [MessageState(row.state) for row in rows]


def test_an_announcement_reaches_every_holder_once(desk: Desk) -> None:
    """It counts for each of their allowances."""
    holders = desk.cards(3)
    sender = desk.sender()
    announce(desk)
    sender.drain()
    sender.drain()
    assert [[each["kind"] for each in desk.buzzes(holder)] for holder in holders] == [
        ["CLASS_MESSAGE"]
    ] * 3
    for _ in range(3):
        desk.change(holders, 1)
        sender.drain()
    assert [len(desk.buzzes(holder)) for holder in holders] == [3, 3, 3]
    with desk.database.read_tx() as session:
        assert budget.budget(session, holders[0].pass_id, desk.now).left == 0
    assert states(desk) == [MessageState.SENT]
    assert not [line for line in desk.google.log() if line["reason"] == "quotaExceeded"]


@pytest.mark.parametrize(
    ("fault", "limits"),
    [("500", {"applied": True}), ("500", {}), ("drop_after", {}), ("429", {}), ("hang_after", {})],
)
def test_an_unanswered_announcement_is_looked_for(
    desk: Desk, fault: str, limits: dict[str, Any]
) -> None:
    """Google would show and sound it twice."""
    [card] = desk.cards(1)
    sender = desk.sender(client=desk.client(read_seconds=0.3))
    announce(desk)
    if fault == "hang_after":
        limits = {"seconds": 0.5}
    desk.google.arm(fault, method="POST", resource="loyaltyClass", **limits)
    for _ in range(3):
        sender.drain()
        desk.advance(HOUR)
    assert len(desk.buzzes(card)) == 1
    assert states(desk) == [MessageState.SENT]
    assert len(desk.rows("SELECT FROM google_buzzes")) == 1


def test_a_stopped_issuer_is_tried_though_nothing_is_due(desk: Desk) -> None:
    """Or classes and announcements would wait for the next sale; a paused one is not."""
    [card] = desk.cards(1)
    sender = desk.sender()
    [(issuer,)] = desk.rows("SELECT pass_type_id FROM google_issuers")

    def state() -> tuple[IssuerState, int]:
        with desk.database.read_tx() as session:
            [found] = breaker.status(session)
        return found.state, found.failures

    with desk.database.write_tx() as session:
        retry_at = desk.now + timedelta(minutes=1)
        breaker.stop(session, issuer, reason="x", failures=1, retry_at=retry_at, now=desk.now)
    announce(desk)
    sender.drain()
    assert state() == (IssuerState.STOPPED, 1)
    desk.advance(HOUR)
    desk.google.arm("permissionDenied", count=1)
    for _ in range(2):  # tried once, not sooner than it says
        sender.drain()
        assert state() == (IssuerState.STOPPED, 2)
    desk.advance(HOUR)
    sender.drain()
    assert state() == (IssuerState.OPEN, 0)
    assert len(desk.buzzes(card)) == 1
    with desk.database.write_tx() as session:
        breaker.pause(session, None, actor=OPERATOR, now=desk.now)
    announce(desk)
    desk.advance(HOUR)
    sender.drain()
    assert state() == (IssuerState.PAUSED, 0)


def test_a_fourth_announcement_of_a_day_is_silent(desk: Desk) -> None:
    """And old ones make room for new ones, without sounding again."""
    [card] = desk.cards(1)
    sender = desk.sender()
    for number in range(11):
        announce(desk, f"Новость {number}")
        sender.drain()
    sounded = [each["text"] for each in desk.buzzes(card)]
    assert sounded == ["Новость 0", "Новость 1", "Новость 2"]
    assert states(desk) == [MessageState.SENT] * 3 + [MessageState.SILENT] * 8
    held = desk.google.resource(classes(desk)[0].class_id)["messages"]
    assert held[-1]["body"] == "Новость 10"
    assert len(held) < 10
    assert not [line for line in desk.google.log() if line["reason"] == "quotaExceeded"]


def test_google_refuses_an_announcement(desk: Desk) -> None:
    """It is kept with the reason, and its notification given back."""
    desk.cards(1)
    announce(desk)
    desk.google.arm("400", method="POST", resource="loyaltyClass")
    desk.sender().drain()
    assert states(desk) == [MessageState.REFUSED]
    assert desk.rows("SELECT FROM google_buzzes") == []
