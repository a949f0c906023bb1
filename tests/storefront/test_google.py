"""The way into Google Wallet, for visitors and for those that only follow links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlmodel import select
from werkzeug.test import TestResponse

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from tests.google.test_saving import asked, card, saver, worker
from tests.storefront.serving import pages_of
from tests.storefront.test_landing import ANDROID, IPHONE
from walletsvc.cards.models import Card
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.wanted import House
from walletsvc.storefront.platforms import is_machine

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
BUTTON = "Добавить в Google Кошелёк"


def pages(desk: Desk, **options: Any) -> FlaskClient:
    """The pages of an installation; without a patient saver no worker is needed."""
    return pages_of(desk.database, lambda: desk.now, saver(desk, **options)).test_client()


@pytest.fixture
def client(desk: Desk) -> Iterator[FlaskClient]:
    """The pages, and a worker."""
    with worker(desk):
        yield pages(desk)


def get(client: FlaskClient, path: str, agent: str = ANDROID, **headers: str) -> TestResponse:
    return client.get(path, headers={"User-Agent": agent, **headers})


def test_a_click_leads_to_google(client: FlaskClient, desk: Desk) -> None:
    """The address is as private as the page's."""
    answer = get(client, f"/g/{card(desk)}")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{desk.google.base_url}/gp/v/save/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("agent", "headers"),
    [
        ("TelegramBot (like TwitterBot)", {}),
        ("WhatsApp/2.24.1.78 A", {}),
        ("facebookexternalhit/1.1", {}),
        ("Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)", {}),
        ("Mozilla/5.0 (compatible; YandexBot/3.0)", {}),
        (ANDROID, {"Sec-Purpose": "prefetch;prerender"}),
        (ANDROID, {"Purpose": "prefetch"}),
    ],
)
def test_who_only_follows_links_inserts_nothing(
    client: FlaskClient, desk: Desk, agent: str, headers: dict[str, str]
) -> None:
    """A preview in a messenger is no wish."""
    token = card(desk)
    answer = get(client, f"/g/{token}", agent, **headers)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/c/{token}")
    assert client.head(f"/g/{token}", headers={"User-Agent": ANDROID}).status_code == 302
    assert asked(desk, "POST") == 0


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36",
        "Mozilla/5.0 (Linux; Android 14; SM-A155F; wv) AppleWebKit/537.36 Telegram-Android/11.2",
        "Mozilla/5.0 (Linux; Android 14; SM-A155F; wv) AppleWebKit/537.36 [FB_IAB/FB4A;FBAV/480]",
        MAC,
    ],
)
def test_a_person_is_never_taken_for_a_robot(agent: str) -> None:
    """Whatever the phone is called, and in the windows of messengers too."""
    assert not is_machine(agent, "")


def test_each_device_is_offered_its_wallet(client: FlaskClient, desk: Desk) -> None:
    """And on a desktop both, with a code that opens the page on the phone."""
    token = card(desk)
    android, iphone, desktop = (
        get(client, f"/c/{token}?lang=ru", agent).text for agent in (ANDROID, IPHONE, MAC)
    )
    assert BUTTON in android
    assert android.index(BUTTON) < android.index("Без кошелька")
    assert "Добавить в Apple Wallet" not in android
    assert BUTTON not in iphone
    assert "Добавить в Apple Wallet" in iphone
    assert BUTTON in desktop
    assert "Добавить в Apple Wallet" in desktop
    assert f'href="/g/{token}"' in android


def test_a_google_that_does_not_answer(desk: Desk) -> None:
    """The page says what to do, and both ways on are there."""
    token = card(desk)
    answer = get(pages(desk, patience=0.05), f"/g/{token}?lang=ru")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Попробовать ещё раз" in answer.text
    assert f'href="/c/{token}"' in answer.text
    assert f'href="/g/{token}"' in answer.text


def test_somebody_who_clicks_on_and_on(client: FlaskClient, desk: Desk) -> None:
    """Is asked to wait a little."""
    token = card(desk)
    answers = [get(client, f"/g/{token}?lang=ru") for _ in range(13)]
    assert [answer.status_code for answer in answers] == [303] * 12 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 600
    assert "Немного подождите" in answers[-1].text  # Google is not to blame
    assert f'href="/c/{token}"' in answers[-1].text
    assert "/g/" not in answers[-1].text


def test_no_card(client: FlaskClient, desk: Desk) -> None:
    """An unknown token is a page, a closed card leads to its own."""
    assert get(client, "/g/" + "x" * 32).status_code == 404
    token = card(desk)
    desk.execute("UPDATE cards SET closed_at = :now")
    answer = get(client, f"/g/{token}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/c/{token}")


def test_without_google_the_address_leads_to_the_page(desk: Desk) -> None:
    """A link that was printed while there was an issuer; no button leads there."""
    plain, token = pages_of(desk.database, lambda: desk.now).test_client(), card(desk)
    assert get(plain, f"/g/{token}").headers["Location"] == f"/c/{token}"
    assert BUTTON not in get(plain, f"/c/{token}?lang=ru").text
    assert "Покажите эту страницу на кассе" in get(plain, f"/c/{token}?lang=ru").text


def test_a_card_of_another_issuer_has_no_button(desk: Desk) -> None:
    """The click would be refused."""
    [holder] = desk.cards(1)
    with desk.database.read_tx() as session:
        token = session.exec(select(Card)).one().link_token
    assert BUTTON in get(pages(desk), f"/c/{token}?lang=ru").text
    other = GoogleDialect(House("3388000000099999999", HOUSE.base_url, HOUSE.language))
    page = get(pages(desk, dialect=other), f"/c/{token}?lang=ru")
    assert page.status_code == 200
    assert "/g/" not in page.text
    assert holder.object_id.startswith(HOUSE.issuer_id)
