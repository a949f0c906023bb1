"""The Android phone: its way to a card, what it sees of changes, what it objects to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulators.android.street import Street, opened
from tests.emulators.google.client import Client, accepted
from tests.emulators.google.conftest import client, emulator, private_key  # noqa: F401 - fixtures
from walletsvc.emulators.android import AndroidPhone, Seen
from walletsvc.emulators.phone import (
    Event,
    Kind,
    PackageRefused,
    ProtocolViolation,
    TimedOut,
    Unreachable,
)


@pytest.fixture(name="street")
def street_fixture(client: Client) -> Iterator[Street]:  # noqa: F811
    """A card's page whose button works."""
    with opened(client) as street:
        yield street


@pytest.fixture(name="events")
def events_fixture() -> list[Event]:
    """What the phone told."""
    return []


@pytest.fixture(name="phone")
def phone_fixture(events: list[Event]) -> Iterator[AndroidPhone]:
    """A phone that waits for nobody's sake."""
    with AndroidPhone(report=events.append, sleep=lambda _: None) as phone:
        yield phone


def points(street: Street, balance: int, *, told: bool = True) -> None:
    """The shop changes the balance."""
    change = {"loyaltyPoints": {"balance": {"string": None, "int": balance}}}
    notify = {"notifyPreference": "NOTIFY_ON_UPDATE"} if told else {}
    accepted(street.client.patch({**change, **notify}))


def kinds(events: list[Event]) -> list[Kind]:
    """What happened, in order."""
    return [event.kind for event in events]


def test_a_card_is_added_as_a_person_does(
    street: Street, phone: AndroidPhone, events: list[Event]
) -> None:
    """The page, its button, Google's page, its button; then the card is held."""
    card = phone.add(street.url)
    assert card.object_id == street.client.object_id
    assert card.lines["loyaltyPoints"].shown == "1 250"
    assert card.lines["secondaryLoyaltyPoints"].value == 12.5
    assert card.lines["text tier"].shown == "Золото"
    assert street.client.emulator.resource(card.object_id)["hasUsers"] is True
    assert kinds(events) == [Kind.OPENED, Kind.PRESSED, Kind.SAVED]
    assert events[1].details["text"] == "В Google Кошелёк"
    assert all("Android" in agent for agent in street.agents)
    assert phone.add(street.url) == card  # a second time it is there already
    phone.remove(card.object_id)
    assert street.client.emulator.resource(card.object_id)["hasUsers"] is False
    assert phone.cards == {}


def test_changes_are_seen_with_what_is_announced(
    street: Street, phone: AndroidPhone, events: list[Event]
) -> None:
    """One that notifies, one that does not, and the fourth that may not."""
    phone.add(street.url)
    points(street, 1300)
    seen = phone.wait_for_update(5)
    assert [(each.key, each.before, each.after) for each in seen.changes] == [
        ("loyaltyPoints", "1 250", 1300)
    ]
    assert seen.announced == ("Баллы: 1300",)
    points(street, 1350, told=False)
    seen = phone.wait_for_update(5)
    assert (seen.card.lines["loyaltyPoints"].value, seen.announced) == (1350, ())
    assert kinds(events)[3:] == [Kind.UPDATED, Kind.ANNOUNCED, Kind.UPDATED]
    assert events[3].at <= events[4].at <= events[5].at


def test_messages_come_in_the_phones_language(street: Street, phone: AndroidPhone) -> None:
    """They stand in the card; the lock screen says that there is one."""
    street.link = street.client.link({"giftCardObjects": [{"id": street.client.gift_id}]})
    phone.add(street.url)
    assert phone.cards[street.client.gift_id].lines["balance"].value == 2000.0
    accepted(street.client.message(f"giftCardObject/{street.client.gift_id}", "m1"))
    seen = phone.wait_for_update(5)
    assert seen.messages == ("Привет: Новое",)
    assert seen.announced == ("a message: Привет",)
    accepted(street.client.message(f"giftCardObject/{street.client.gift_id}", "m2", "TEXT"))
    assert phone.wait_for_update(5).announced == ()


def test_a_message_to_the_class_reaches_its_holders(street: Street, phone: AndroidPhone) -> None:
    """It is not in the object, and is announced all the same."""
    phone.add(street.url)
    accepted(street.client.message(f"loyaltyClass/{street.client.class_id}", "m1"))
    assert phone.wait_for_update(5).announced == ("a message: Привет",)


def test_texts_are_read_in_one_language(street: Street) -> None:
    """Where Google has it, and as it is for all where it has not."""
    said = {
        "defaultValue": {"language": "ru", "value": "Баллы"},
        "translatedValues": [{"language": "en", "value": "Points"}],
    }
    accepted(street.client.patch({"loyaltyPoints": {"localizedLabel": said}}))
    with AndroidPhone(language="en") as phone:
        card = phone.add(street.url)
    assert card.lines["loyaltyPoints"].label == "Points"
    assert card.lines["text tier"].label == "Уровень"
    assert "Points 1 250" in card.says


def test_a_change_that_was_answered_with_an_error_is_seen(
    street: Street, phone: AndroidPhone
) -> None:
    """It was applied all the same."""
    phone.add(street.url)
    street.client.emulator.arm("500", applied=True, method="PATCH")
    change = {"loyaltyPoints": {"balance": {"string": "1 300"}}}
    assert street.client.patch(change).status_code == 500
    assert phone.wait_for_update(5).card.lines["loyaltyPoints"].value == "1 300"


def test_nothing_new_is_no_news(street: Street, phone: AndroidPhone) -> None:
    """Reading is no change, nor is writing the same; waiting for more ends in time."""
    nothing: list[Seen] = []
    assert phone.look() == nothing  # nothing is held
    phone.add(street.url)
    accepted(street.client.call("GET", f"loyaltyObject/{street.client.object_id}"))
    points(street, 7, told=False)
    phone.wait_for_update(5)
    points(street, 7, told=False)
    with pytest.raises(TimedOut):
        phone.wait_for_update(0.05)


def test_it_tries_again_when_asked_to_wait(
    street: Street, phone: AndroidPhone, events: list[Event]
) -> None:
    """As long as the service says; three times in all."""
    street.answers = [(503, "10")]
    phone.add(street.url)
    waited = [event.details["seconds"] for event in events if event.kind is Kind.RETRYING]
    assert waited == [10]
    street.answers = [(503, "")] * 3
    with pytest.raises(Unreachable):
        phone.add(street.url)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("no button", ProtocolViolation),
        ("no page", ProtocolViolation),
        ("refused", ProtocolViolation),
        ("bad link", PackageRefused),
        ("nobody", Unreachable),
    ],
)
def test_what_is_wrong_on_the_way(
    street: Street, phone: AndroidPhone, fault: str, error: type[Exception]
) -> None:
    """Each is a deliberate error; nothing is in the wallet afterwards."""
    url = street.url
    if fault == "no button":
        street.page = '<a href="/p/1.pkpass">Apple</a>'
    elif fault == "no page":
        url += "0"
    elif fault == "refused":
        street.answers = [(429, "60")]
    elif fault == "bad link":
        street.link = street.client.save_url("a.b.c")
    else:
        url = "http://127.0.0.1:9/c/1"
    with pytest.raises(error):
        phone.add(url)
    assert phone.cards == {}
