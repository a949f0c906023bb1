"""What goes wrong between us and Google, and how nobody notices; or the operator does."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from tests.google.desk import Desk, Holder, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import NotFound
from walletsvc.google import breaker, readiness
from walletsvc.google.models import IssuerState

# What Google may do to one request, and whether the phone may still be told of the change.
FAULTS = [
    ("429", {}, True),
    ("rateLimitExceeded", {}, True),
    ("500", {}, False),
    ("500", {"applied": True}, True),
    ("503", {"applied": True}, True),
    ("drop_before", {}, False),
    ("drop_after", {}, True),
    ("hang_before", {"seconds": 1.5}, False),
    ("hang_after", {"seconds": 1.5}, True),
]


def kinds(desk: Desk, holder: Holder) -> list[str]:
    """How the holder's phone was told."""
    return [each["kind"] for each in desk.buzzes(holder)]


def state(desk: Desk) -> breaker.IssuerStatus:
    """The issuer as an operator sees it."""
    with desk.database.read_tx() as session:
        [issuer] = breaker.status(session)
    return issuer


@pytest.mark.parametrize(("fault", "limits", "sounds"), FAULTS)
def test_every_fault_passes_and_nobody_is_told_twice(
    desk: Desk, fault: str, limits: dict[str, Any], sounds: bool
) -> None:
    """Applied or not, answered or not: the balance arrives, and it sounds once; or never, where
    nobody could say whether it had."""
    card, gift = desk.cards(1) + desk.gifts(1)
    sender = desk.sender(client=desk.client(read_seconds=0.5))
    desk.change([card, gift], 100)
    desk.google.arm(fault, method="PATCH", resource="loyaltyObject", **limits)
    desk.google.arm(fault, method="POST", resource="giftCardObject", **limits)
    desk.settle(sender)
    assert [desk.shown(card), desk.shown(gift)] == [200, 500_100]
    expected = [["UPDATE"], ["MESSAGE"]] if sounds else [[], []]
    assert [kinds(desk, card), kinds(desk, gift)] == expected
    assert len(desk.google.resource(gift.object_id)["messages"]) == 1
    assert len(desk.rows("SELECT FROM google_buzzes")) == 2
    assert {(row.attempt, row.attempts, row.error) for row in desk.objects()} == {(None, 0, "")}


def test_what_google_applies_after_we_hung_up_is_not_told_again(desk: Desk) -> None:
    """It does not show it yet when it is looked for: it may still be at it."""
    card, gift = desk.cards(1) + desk.gifts(1)
    sender = desk.sender(client=desk.client(read_seconds=0.3))
    late = {"seconds": 0.8, "count": 1}
    desk.google.arm("slow", method="PATCH", resource="loyaltyObject", **late)
    desk.google.arm("slow", method="POST", resource="giftCardObject", **late)
    desk.change([card, gift], 100)
    end = time.monotonic() + 15
    while not (desk.buzzes(card) and desk.buzzes(gift)):
        assert time.monotonic() < end
        sender.drain()
        desk.advance(timedelta(seconds=0.5))
        time.sleep(0.05)
    desk.settle(sender)
    assert [desk.shown(card), desk.shown(gift)] == [200, 500_100]
    assert [kinds(desk, card), kinds(desk, gift)] == [["UPDATE"], ["MESSAGE"]]
    assert len(desk.google.resource(gift.object_id)["messages"]) == 1
    assert len(desk.rows("SELECT FROM google_buzzes")) == 2


def test_a_change_while_the_first_is_unanswered_is_told_as_well(desk: Desk) -> None:
    """Two changes, two sounds; neither twice."""
    [card] = desk.cards(1)
    sender = desk.sender()
    desk.change([card], 1)
    desk.google.arm("500", applied=True, method="PATCH")
    sender.drain()
    desk.change([card], 1)
    desk.settle(sender)
    balances = [each["fields"]["loyaltyPoints.balance"]["int"] for each in desk.buzzes(card)]
    assert balances == [101, 102]


def test_google_says_that_no_notification_is_left(desk: Desk) -> None:
    """It knows of more than we do: the change arrives silently, and there is no second try."""
    card, gift = desk.cards(1) + desk.gifts(1)
    desk.google.arm("quotaExceeded", method="PATCH", resource="loyaltyObject")
    desk.google.arm("quotaExceeded", method="POST", resource="giftCardObject")
    desk.change([card, gift], 100)
    desk.settle(desk.sender())
    assert [desk.shown(card), desk.shown(gift)] == [200, 500_100]
    assert [kinds(desk, card), kinds(desk, gift)] == [[], []]
    assert [row.state for row in desk.rows("SELECT state FROM google_messages")] == ["silent"]
    refused = [line for line in desk.google.log() if line["reason"] == "quotaExceeded"]
    assert len(refused) == 2


def test_a_card_that_google_has_lost_is_inserted_anew(desk: Desk) -> None:
    """Whole, and silently."""
    [card] = desk.cards(1)
    desk.change([card], 100)
    desk.google.arm("404", method="PATCH")
    desk.settle(desk.sender())
    assert desk.shown(card) == 200
    assert kinds(desk, card) == []
    assert desk.rows("SELECT FROM google_buzzes") == []


def test_what_google_will_never_take_is_kept_in_sight(desk: Desk) -> None:
    """Not tried again as it is, but as soon as the card says something else."""
    [card] = desk.cards(1)
    sender = desk.sender()
    desk.change([card], 100)
    desk.google.arm("400", method="PATCH")
    sender.drain()
    assert desk.waiting() == 0
    assert "invalidResource" in desk.row(card).error
    with desk.database.read_tx() as session:
        assert breaker.figures(session, HOUSE.issuer_id).refused == 1
        assert [what for what, _ in breaker.refusals(session, HOUSE.issuer_id)] == [card.object_id]
        assert any(
            "1 object" in warning
            for warning in readiness.warnings(session, HOUSE.issuer_id, desk.now)
        )
    desk.change([card], 100)
    desk.settle(sender)
    assert desk.shown(card) == 300
    assert desk.row(card).error == ""
    assert kinds(desk, card) == ["UPDATE"]


@pytest.mark.parametrize(("fault", "words"), [("permissionDenied", "Developer"), ("401", "token")])
def test_a_fault_of_configuration_stops_everything_and_loses_nothing(
    desk: Desk, fault: str, words: str
) -> None:
    """It is visible with its remedy, one request finds out whether it works again, and then all
    go on, without having spent an attempt or a notification."""
    holders = desk.cards(3)
    sender = desk.sender()
    desk.change(holders, 100)
    desk.google.arm(fault, count=100)
    sender.drain()
    stopped = state(desk)
    assert (stopped.state, stopped.failures) == (IssuerState.STOPPED, 1)
    assert words in stopped.reason
    with desk.database.read_tx() as session:
        assert any(
            words in warning for warning in readiness.warnings(session, HOUSE.issuer_id, desk.now)
        )
    assert sender.drain() == 0
    assert {row.attempts for row in desk.objects()} == {0}
    assert desk.rows("SELECT FROM google_buzzes") == []
    desk.advance(timedelta(minutes=1))
    assert sender.drain() == 1  # the probe
    assert state(desk).failures == 2
    desk.google.faults.clear()
    desk.settle(sender)
    assert state(desk).state is IssuerState.OPEN
    assert [desk.shown(each) for each in holders] == [200, 200, 200]
    assert [len(desk.buzzes(each)) for each in holders] == [1, 1, 1]


def test_one_worker_of_all_tries(desk: Desk) -> None:
    """A stopped issuer is not stormed when its time has come."""
    [card] = desk.cards(1)
    desk.change([card], 100)
    desk.google.arm("permissionDenied")
    desk.sender().drain()
    desk.advance(timedelta(minutes=1))
    [issuer] = desk.rows("SELECT pass_type_id AS id FROM google_issuers")
    with desk.database.write_tx() as session:
        assert breaker.begin_probe(session, issuer.id, desk.now)
    with desk.database.write_tx() as session:
        assert not breaker.begin_probe(session, issuer.id, desk.now)
    assert desk.sender().drain() == 0


def test_google_that_is_down_for_long_is_everybodys_business(desk: Desk) -> None:
    """Shown with what it answers; it opens by itself."""
    [card] = desk.cards(1)
    sender = desk.sender()
    desk.change([card], 100)
    desk.google.arm("503", count=5)
    for _ in range(5):
        sender.drain()
        desk.advance(timedelta(minutes=2))
    assert state(desk).state is IssuerState.STOPPED
    assert "503" in state(desk).reason
    desk.settle(sender)
    assert state(desk).state is IssuerState.OPEN
    assert desk.shown(card) == 200


def test_a_network_that_is_down_is_this_hosts_business(desk: Desk) -> None:
    """Others may well reach Google: nothing is stopped, this process rests and tries again."""
    [card] = desk.cards(1)
    sender = desk.sender()
    desk.change([card], 100)
    desk.google.arm("drop_before", count=6, resource="loyaltyObject")
    for _ in range(8):
        sender.drain()
        assert sender.drain() == 0  # it rests
        desk.advance(timedelta(minutes=2))
    assert state(desk).state is IssuerState.OPEN
    desk.settle(sender)
    assert desk.shown(card) == 200


def test_the_operator_pauses_and_resumes(desk: Desk) -> None:
    """Nothing leaves meanwhile, and no fault ends a pause."""
    [card] = desk.cards(1)
    sender = desk.sender()
    with desk.database.write_tx() as session:
        [name] = breaker.pause(session, None, actor=OPERATOR, now=desk.now)
    desk.change([card], 100)
    assert sender.drain() == 0
    desk.advance(timedelta(days=2))
    assert sender.drain() == 0
    assert state(desk).state is IssuerState.PAUSED
    with desk.database.write_tx() as session:
        assert breaker.resume(session, name, now=desk.now) == [name]
    desk.settle(sender)
    assert desk.shown(card) == 200
    with desk.database.write_tx() as session, pytest.raises(NotFound):
        breaker.pause(session, "1", actor=OPERATOR, now=desk.now)


def test_what_is_sent_again_with_a_new_token_takes_a_turn_of_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google counts it once more; the limit of the issuer would be exceeded by it."""
    cards = desk.cards(3)
    sender = desk.sender()
    asked: list[int] = []
    wait = sender.setup.limiter.wait

    def counted(pass_type_id: int, count: int, *rest: Any, **options: Any) -> bool:
        asked.append(count)
        return wait(pass_type_id, count, *rest, **options)

    monkeypatch.setattr(sender.setup.limiter, "wait", counted)
    desk.change(cards, 5)
    desk.google.arm("401", count=2, resource="loyaltyObject", part=True)
    sender.drain()
    assert asked == [3, 2]
    assert [desk.shown(card) for card in cards] == [105] * 3
