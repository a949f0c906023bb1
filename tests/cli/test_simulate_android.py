"""`walletsvc simulate android` from the outside: what it prints and how it ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from tests.emulators.android.street import Street, opened
from tests.emulators.google.client import Client, accepted
from tests.emulators.google.conftest import client, emulator, private_key  # noqa: F401 - fixtures
from walletsvc.cli.simulate import simulate
from walletsvc.emulators.phone import ProtocolViolation, TimedOut


@pytest.fixture(name="street")
def street_fixture(client: Client) -> Iterator[Street]:  # noqa: F811
    """A card's page whose button works."""
    with opened(client) as street:
        yield street


def run(street: Street, *options: str) -> Result:
    """Run the command for the card."""
    return CliRunner().invoke(simulate, ["android", street.url, *options])


def change_once_held(street: Street) -> threading.Thread:
    """150 points as soon as somebody holds the card."""

    def change() -> None:
        google = street.client.emulator
        while not google.resource(street.client.object_id).get("hasUsers"):
            time.sleep(0.01)
        body = {
            "loyaltyPoints": {"balance": {"string": "1 400"}},
            "notifyPreference": "NOTIFY_ON_UPDATE",
        }
        accepted(street.client.patch(body))

    thread = threading.Thread(target=change)
    thread.start()
    return thread


def test_a_phone_tells_its_story(street: Street) -> None:
    """One line per step; it ends after the update, and the card is out of the wallet."""
    changing = change_once_held(street)
    result = run(street, "--updates", "1", "--timeout", "10")
    changing.join()
    assert result.exit_code == 0, result.output
    for text in (
        f"opened        {street.url}",
        "pressed       “В Google Кошелёк”",
        f"saved         {street.client.object_id}: Баллы 1 250",
        f"updated       {street.client.object_id}: loyaltyPoints 1 250 → 1 400",
        "announced     Баллы: 1 400",
        f"removed       {street.client.object_id}",
    ):
        assert text in result.output
    assert all(line.split()[1] == "ms" for line in result.output.splitlines())
    assert street.client.emulator.resource(street.client.object_id)["hasUsers"] is False


def test_json_lines_are_json_and_the_card_may_stay(street: Street) -> None:
    """Without a number of updates the end of the time is success."""
    result = run(street, "--timeout", "0.05", "--json", "--keep")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert [line["event"] for line in lines] == ["opened", "pressed", "saved"]
    assert street.client.emulator.resource(street.client.object_id)["hasUsers"] is True


def test_failures_are_deliberate(street: Street) -> None:
    """A time that is over, a page without a way in: status 1."""
    result = run(street, "--updates", "1", "--timeout", "0.05")
    assert isinstance(result.exception, TimedOut)
    assert street.client.emulator.resource(street.client.object_id)["hasUsers"] is False
    street.page = "<p>Карта</p>"
    result = run(street, "--timeout", "0.05")
    assert (result.exit_code, type(result.exception)) == (1, ProtocolViolation)
