"""Numbers and readiness of Google's part, with a sender at work."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import GOOGLE
from walletsvc.core.actor import OPERATOR
from walletsvc.google import breaker, census, metrics, readiness
from walletsvc.google.due import GOOGLE as SIGNAL
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.counters import read, series
from walletsvc.jobs.signals import Listener
from walletsvc.passes.protocol import Announcement
from walletsvc.settings import Settings
from walletsvc.web.health import Findings

Samples = dict[tuple[str, tuple[str, ...]], float]
SETTINGS = Settings(google_issuer_id="3388000000022000000", google_requests_per_second=20)


def scrape(desk: Desk) -> Samples:
    """Every sample by its name and the values of its labels."""
    with desk.database.read_tx() as session:
        return {
            (sample.name.removeprefix("walletsvc_google_"), tuple(sample.labels.values())): (
                sample.value
            )
            for family in metrics.families(session, desk.now, SETTINGS)
            for sample in family.samples
        }


def counted(desk: Desk, name: str, **labels: str) -> int:
    """A counter."""
    with desk.database.read_tx() as session:
        return read(session).get(series(f"google_{name}", **labels), 0)


def notified(desk: Desk, kind: str) -> dict[str, int]:
    """What became of notifications."""
    outcomes = ("sent", "budget", "refused")
    found = {each: counted(desk, "notifications", kind=kind, outcome=each) for each in outcomes}
    return {outcome: count for outcome, count in found.items() if count}


def warned(desk: Desk) -> list[str]:
    """What `/readyz` warns of."""
    with desk.database.read_tx() as session:
        return list(readiness.warnings(session, SETTINGS.google_issuer_id, desk.now))


def test_nothing_issued_has_no_samples(desk: Desk) -> None:
    """Names and types are there, for whoever looks."""
    assert scrape(desk) == {}
    assert warned(desk) == []


def test_what_waits_is_counted_with_its_age(desk: Desk) -> None:
    """By lane and state; a try that failed does not make it young; messages; who holds cards."""
    holders = desk.cards(3)
    desk.change(holders[:1], 5)
    desk.change(holders[1:], 5, Lane.BULK)
    desk.now += timedelta(seconds=40)
    found = scrape(desk)
    assert found["objects_waiting", ("interactive", "due")] == 1
    assert found["objects_waiting", ("bulk", "due")] == 2
    assert found["objects_oldest_seconds", ("interactive",)] == 40
    assert found["saved", ()] == 3
    assert (found["classes", ("sent",)], found["classes", ("refused",)]) == (2, 0)
    assert found["issuer_state", ("3388000000022000000",)] == 0
    assert found["rate_limit", ("3388000000022000000",)] == 20
    desk.execute("UPDATE google_objects SET due_at = :now + interval '1 min', attempts = 3"
                 " WHERE lane = 0")  # fmt: skip
    found = scrape(desk)
    assert found["objects_waiting", ("interactive", "later")] == 1
    assert found["objects_waiting", ("interactive", "due")] == 0
    assert found["objects_oldest_seconds", ("interactive",)] == 40
    assert found["messages_waiting", ("pass",)] == 0


def test_messages_that_wait(desk: Desk) -> None:
    """To one pass, and to all of a class."""
    [holder] = desk.gifts(1)
    desk.execute(
        "INSERT INTO google_messages (pass_id, message_id, body, wants_buzz, state, lane, due_at,"
        " attempts, error, created_at) VALUES (:id, 'x', '{}', true, 'due', 0, :now, 0, '', :now)",
        id=holder.pass_id,
    )
    desk.now += timedelta(seconds=9)
    found = scrape(desk)
    assert found["messages_waiting", ("pass",)] == 1
    assert found["messages_oldest_seconds", ("pass",)] == 9
    assert found["messages_waiting", ("class",)] == 0


def test_notifications_are_counted_once_each(desk: Desk) -> None:
    """Three sounded, the fourth did not; one without an answer; one that Google refused."""
    one, two, three = desk.cards(3)
    sender = desk.sender()
    for _ in range(4):
        desk.advance(timedelta(minutes=10))
        desk.change([one], 5)
        sender.drain()
    assert notified(desk, "update") == {"sent": 3, "budget": 1}
    desk.google.arm("504", resource="loyaltyObject", applied=True)
    desk.change([two], 5)
    desk.settle(sender)
    assert notified(desk, "update") == {"sent": 4, "budget": 1}
    desk.google.arm("quotaExceeded", resource="loyaltyObject")
    desk.change([three], 5)
    desk.settle(sender)
    assert notified(desk, "update") == {"sent": 4, "budget": 1, "refused": 1}
    assert len(desk.google.buzzes()) == 4
    assert counted(desk, "requests", answer="403 quotaExceeded") == 1
    patched = [entry for entry in desk.google.log() if entry["status"] == 200]
    # The desk's first sender inserted; the control interface asks nothing of the API.
    assert counted(desk, "requests", answer="200") == sum(
        entry["path"].startswith("/walletobjects") for entry in patched
    )


def test_messages_and_announcements_are_counted(desk: Desk) -> None:
    """A gift card's change sounds by its message; a notice to a class once for the class."""
    [holder] = desk.gifts(1)
    desk.change([holder], 500)
    desk.settle(desk.sender())
    assert notified(desk, "message") == {"sent": 1}
    with desk.database.write_tx() as session:
        template = session.execute(
            text("SELECT template_id FROM google_classes WHERE kind = 'giftCard'")
        ).scalar_one()
        notice = Announcement(header={"en": "Hours"}, body={"en": "Closed on Monday"})
        assert GOOGLE.announce(session, template, notice, now=desk.now)
    desk.sender().drain()
    assert notified(desk, "announcement") == {"sent": 1}
    assert len(desk.google.buzzes()) == 2


def test_readiness_names_what_does_not_go_on(desk: Desk) -> None:
    """A worker that is away is a problem; what is late, stopped or rejected, a warning."""
    [holder] = desk.cards(1)
    assert warned(desk) == []
    none = Findings([], [])
    found = readiness.examine(desk.database, SETTINGS, lambda: desk.now, none)
    assert found.problems == ["Nobody sends to Google: start `walletsvc worker`."]
    with Listener(desk.database.conninfo, SIGNAL) as listener:
        listener.wait(0)
        assert readiness.examine(desk.database, SETTINGS, lambda: desk.now, none).problems == []
    assert readiness.examine(desk.database, Settings(), lambda: desk.now, none).problems == []
    desk.change([holder], 5)
    desk.now += timedelta(minutes=10)
    assert "not given a change for 600 s" in warned(desk)[0]
    with desk.database.write_tx() as session:
        breaker.pause(session, None, actor=OPERATOR, now=desk.now)
    assert [line.partition(" since")[0] for line in warned(desk)] == [
        "Google issuer 3388000000022000000: paused"
    ]
    assert scrape(desk)["issuer_state", ("3388000000022000000",)] == 2
    desk.execute("UPDATE google_issuers SET state = 'open'")
    desk.execute("UPDATE google_objects SET due_at = NULL, error = '400'")
    desk.execute("UPDATE google_classes SET review_status = 'REJECTED' WHERE kind = 'loyalty'")
    desk.execute("UPDATE google_classes SET error = '400' WHERE kind = 'giftCard'")
    assert warned(desk) == [
        "Google does not take 1 class(es): see `walletsvc doctor google`.",
        "Google's reviewer has not let 1 class(es) pass: see `walletsvc doctor google`.",
        "Google does not take 1 object(s): see `walletsvc google status`.",
    ]
    assert scrape(desk)["classes", ("refused",)] == 1


def test_very_many_are_not_counted_one_by_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner's estimate will do: it is near after an ANALYZE, which the server does itself."""
    desk.cards(30)
    desk.execute("UPDATE google_objects SET has_users = pass_id % 3 = 0")
    desk.execute("ANALYZE google_objects")
    with desk.database.read_tx() as session:
        exact = census.saved(session, SETTINGS.google_issuer_id)
        monkeypatch.setattr(census, "COUNTED", 10)
        assert not census.is_small(session)
        assert abs(census.saved(session, SETTINGS.google_issuer_id) - exact) <= 3


def test_what_is_left_of_a_former_issuer_does_not_wait(desk: Desk) -> None:
    """Nothing is ever sent for it: it would be an alarm for ever."""
    holders = desk.cards(1) + desk.gifts(1)
    sender = desk.sender()
    desk.change(holders, 5)
    sender.couriers[0].carry()  # the changes; a message waits
    desk.change(holders, 5)
    desk.advance(timedelta(hours=1))
    ours = scrape(desk)
    assert ours[("objects_waiting", ("interactive", "due"))] == 2
    assert ours[("messages_waiting", ("pass",))] == 1
    assert ours[("classes", ("sent",))] == 2
    desk.execute("UPDATE pass_types SET identifier = '3388000000099999999' WHERE wallet = 'google'")
    former = scrape(desk)
    for name, labels in (
        ("objects_waiting", ("interactive", "due")),
        ("objects_oldest_seconds", ("interactive",)),
        ("messages_waiting", ("pass",)),
        ("classes", ("sent",)),
    ):
        assert former[name, labels] == 0
