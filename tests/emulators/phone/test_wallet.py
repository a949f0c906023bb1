"""The emulated phone's life: adding, registering, pushes, updates."""

from __future__ import annotations

import pytest

from tests.emulators.phone import handmade
from tests.emulators.phone.handmade import PASS_TYPE, TOKEN
from tests.emulators.phone.pass_server import PATIENCE, PassServer
from walletsvc.emulators.phone import (
    Event,
    Kind,
    Phone,
    Pushes,
    TimedOut,
    Unreachable,
)


def kinds(events: list[Event]) -> list[Kind]:
    """The kinds of events, without notes."""
    return [event.kind for event in events]


def test_the_whole_story(server: PassServer, phone: Phone, events: list[Event]) -> None:
    """Download, register, push, list, fetch, announce, unregister: each once, in this order."""
    phone.add(server.pass_url)
    assert list(server.registered) == [phone.device]
    server.credit(50)
    update = phone.wait_for_update(PATIENCE)
    assert update.messages == ("Баллов: 150",)
    assert [(c.key, c.label, c.before, c.after) for c in update.changes] == [
        ("points", "Баллы", 100, 150)
    ]
    assert update.pushed_at is not None
    assert update.pushed_at <= update.installed_at
    phone.remove_all()
    assert server.registered == {}
    assert [*phone.passes, *phone.tags, *phone.tokens] == []
    assert kinds(events) == [
        Kind.DOWNLOADED,
        Kind.VERIFIED,
        Kind.REGISTERED,
        Kind.PUSHED,
        Kind.LISTED,
        Kind.FETCHED,
        Kind.VERIFIED,
        Kind.UPDATED,
        Kind.MESSAGE,
        Kind.UNREGISTERED,
    ]
    assert phone.complaints == []
    assert server.logs == []


def test_requests_are_what_a_device_sends(server: PassServer, phone: Phone) -> None:
    """Paths, the token where it belongs and not in the list call, one conditional header."""
    phone.add(server.pass_url)
    first_modified = phone.passes[PASS_TYPE, "card-1"].last_modified
    server.credit(1)
    phone.wait_for_update(PATIENCE)
    server.credit(1)
    phone.wait_for_update(PATIENCE)
    registration = f"/apple/v1/devices/{phone.device}/registrations/{PASS_TYPE}"
    card = f"/apple/v1/passes/{PASS_TYPE}/card-1"
    assert [(m, p) for m, p, _ in server.requests] == [
        ("GET", "/p/secret.pkpass"),
        ("POST", f"{registration}/card-1"),
        ("GET", registration),
        ("GET", card),
        ("GET", f"{registration}?passesUpdatedSince=2"),
        ("GET", card),
    ]
    _, register, listing, fetch, *_ = [headers for _, _, headers in server.requests]
    assert register["Authorization"] == fetch["Authorization"] == f"ApplePass {TOKEN}"
    assert "Authorization" not in listing
    assert fetch["If-Modified-Since"] == first_modified
    assert "If-None-Match" not in fetch
    assert all("Cookie" not in headers for _, _, headers in server.requests)


def test_messages_speak_the_phone_s_language(server: PassServer, pushes: Pushes) -> None:
    """An English phone shows the English text."""
    with Phone(pushes, language="en") as phone:
        phone.add(server.pass_url)
        server.credit(1400)
        assert phone.wait_for_update(PATIENCE).messages == ("Points: 1,500",)


def test_only_fields_with_a_change_message_speak(server: PassServer, phone: Phone) -> None:
    """A changed name is a change without a message."""
    phone.add(server.pass_url)
    doc = handmade.document()
    doc["storeCard"]["secondaryFields"][0]["value"] = "Яна"
    server.changes = {"storeCard": doc["storeCard"]}
    server.credit(0)
    update = phone.wait_for_update(PATIENCE)
    assert [(c.key, c.shown_before, c.shown_after) for c in update.changes] == [
        ("name", "Анна", "Яна")
    ]
    assert update.messages == ()


def test_a_pass_without_service_is_not_registered(server: PassServer, phone: Phone) -> None:
    """It is just there."""
    server.package = handmade.package  # type: ignore[method-assign]
    phone.add(server.pass_url)
    assert server.paths("POST") == []
    phone.remove_all()
    assert server.paths("DELETE") == []


def test_a_restored_phone_registers_with_a_new_push_token(server: PassServer, phone: Phone) -> None:
    """The service knows the device already, takes the new token, and the push arrives there."""
    phone.add(server.pass_url)
    before = server.registered[phone.device]
    assert phone.restore() == [200]
    assert server.registered[phone.device] != before
    server.credit(1)
    assert phone.wait_for_update(PATIENCE).after.values["points"] == 101


def test_two_pushes_are_one_round(server: PassServer, phone: Phone) -> None:
    """Pushes that arrive before the phone gets to work are one question."""
    phone.add(server.pass_url)
    server.credit(1)
    server.credit(1)
    assert phone.wait_for_update(PATIENCE).after.values["points"] == 102
    phone.handle_pushes()
    assert phone.complaints == []


def test_a_push_that_the_push_service_refused_does_not_arrive(
    server: PassServer, phone: Phone
) -> None:
    """Only what was accepted is delivered."""
    phone.add(server.pass_url)
    server.credit(1, push=False)
    server.push(status=410)
    server.push(status=200)
    phone.wait_for_update(PATIENCE)
    assert phone.pushes_received == 1


def test_pull_to_refresh_needs_no_push(server: PassServer, phone: Phone) -> None:
    """Unchanged gives nothing and no complaint; changed gives the update."""
    phone.add(server.pass_url)
    assert phone.refresh(PASS_TYPE, "card-1") is None
    server.credit(5, push=False)
    update = phone.refresh(PASS_TYPE, "card-1")
    assert update is not None
    assert update.messages == ("Баллов: 105",)
    assert phone.complaints == []


def test_waiting_ends_when_nothing_comes(server: PassServer, phone: Phone) -> None:
    """Without a push: a time-out that says so; with one that changes nothing, too."""
    phone.add(server.pass_url)
    with pytest.raises(TimedOut, match=r"No update within 0.05 s; pushes received meanwhile: 0"):
        phone.wait_for_update(0.05)


def test_a_vanished_control_interface_ends_the_waiting(
    server: PassServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phone does not wait for pushes that nobody can deliver."""
    monkeypatch.setattr("walletsvc.emulators.phone.pushes._PAUSE_SECONDS", 0.01)
    server.misbehave.add("control down")
    with Pushes(server.url) as pushes, Phone(pushes) as phone:
        phone.add(server.pass_url)
        with pytest.raises(Unreachable, match="push emulator"):
            phone.wait_for_update(PATIENCE)
