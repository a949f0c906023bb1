"""An emulator for each test, and a client with a real service account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulators.google.client import Client
from walletsvc.emulators.google import GoogleEmulator
from walletsvc.emulators.google.accounts import make_key


@pytest.fixture
def emulator() -> Iterator[GoogleEmulator]:
    """An emulator that remembers nothing."""
    with GoogleEmulator() as running:
        yield running


@pytest.fixture(scope="session")
def private_key() -> str:
    """An RSA key in PEM, made once, since that takes a moment."""
    return str(make_key("")[0]["private_key"])


@pytest.fixture
def client(emulator: GoogleEmulator, private_key: str) -> Iterator[Client]:
    """An invited service account that speaks to it."""
    with Client(emulator, emulator.account(private_key=private_key)) as client:
        yield client


@pytest.fixture
def shop(client: Client) -> Client:
    """The same with a loyalty class and a gift card class, an object of each."""
    client.insert("loyaltyClass", client.loyalty_class())
    client.insert("loyaltyObject", client.loyalty_object())
    client.insert("giftCardClass", client.gift_class())
    client.insert("giftCardObject", client.gift_object())
    return client
