"""A card's public page."""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlmodel import select

from tests.factories import make_member, make_shop
from tests.passes.shop import TILL, Shop, certificate, member, open_shop
from tests.storefront.serving import pages_of
from walletsvc.certificates.models import Origin
from walletsvc.ledger import service as ledger
from walletsvc.passes.models import TemplateVersion
from walletsvc.storage.engine import Database

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"
ANDROID = "Mozilla/5.0 (Linux; Android 12; SM-A125F) AppleWebKit/537.36"


@pytest.fixture
def client(database: Database, now: datetime) -> FlaskClient:
    """The pages of an installation, as a browser meets them."""
    return pages_of(database, lambda: now).test_client()


@pytest.fixture
def shop(database: Database, now: datetime) -> Shop:
    """A shop with both templates."""
    with database.write_tx() as session:
        return open_shop(session, now)


def flat(page: str) -> str:
    """The page's words, without markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).replace("\xa0", " ").split())


def test_a_loyalty_card_shows_its_face(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """Name, points, number, and what the back says, in the language asked for."""
    with database.write_tx() as session:
        card = member(session, shop, now, points=1250)
    russian = client.get(f"/c/{card.link_token}?lang=ru")
    assert russian.status_code == 200
    assert '<html lang="ru">' in russian.text
    number = " ".join(card.number[at : at + 4] for at in range(0, 16, 4))
    for words in (
        "Баллы 1 250",
        "Анна",
        f"Номер карты {number}",
        "С нами с 20.11.2026",
        "Как копить",
        "+7 812 555-01-42",
    ):
        assert words in flat(russian.text), words
    english = flat(client.get(f"/c/{card.link_token}?lang=en").text)
    for words in ("Points 1,250", "Guest since 20 Nov 2026", "Earning points"):
        assert words in english, words


def test_the_page_always_has_the_present_balance(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """Nothing is stored or kept on the way."""
    with database.write_tx() as session:
        gift = certificate(session, shop, now)
    address = f"/c/{gift.link_token}?lang=ru"
    assert "Остаток 5 000 ₽" in flat(client.get(address).text)
    with database.write_tx() as session:
        ledger.debit(session, gift.account_id, 135_050, actor=TILL, reason="x", now=now)
    assert "Остаток 3 649,50 ₽" in flat(client.get(address).text)


def test_the_page_is_private(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """Who has the address sees the card, so the address must not travel."""
    with database.write_tx() as session:
        card = member(session, shop, now)
    for token, status in ((card.link_token, 200), ("unknown", 404)):
        answer = client.get(f"/c/{token}?lang=en")
        assert answer.status_code == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_page_obeys_its_own_policy(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """No script, no inline style, nothing from elsewhere: the browser would block it."""
    with database.write_tx() as session:
        tokens = [member(session, shop, now).link_token, certificate(session, shop, now).link_token]
    for token in (*tokens, "unknown"):
        for agent in (IPHONE, ANDROID, "curl"):
            page = client.get(f"/c/{token}", headers={"User-Agent": agent}).text
            assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
            fetched = re.findall(
                r'(?:src=|<link rel="(?:stylesheet|icon)"[^>]* href=)"([^"]+)', page
            )
            assert any(address.startswith("/assets/walletsvc.css?v=") for address in fetched)
            assert all(address.startswith("/") or address == "data:," for address in fetched)


def test_everything_the_page_refers_to_is_there(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """Pictures and colours come with the template and may be kept for ever."""
    with database.write_tx() as session:
        card = member(session, shop, now)
    page = client.get(f"/c/{card.link_token}").text
    addresses = set(re.findall(r"/look/[0-9a-f]{64}/[\w@.]+", page))
    assert len(addresses) == 8  # logo and strip in three densities, the icon, the colours
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert card.link_token not in address
        if address.endswith("strip@2x.png"):
            assert Image.open(io.BytesIO(answer.data)).size == (750, 288)
        if address.endswith(".css"):
            assert answer.text == ".card{--card:#0f3b45;--ink:#fff4df;--label:#9fcdc9}\n"


def test_an_unknown_look_is_not_found(client: FlaskClient) -> None:
    """Odd addresses are answered, not tripped over."""
    nobody = "0" * 64
    for name in ("zz/card.css", f"{nobody}/card.css", f"{nobody}/strip@2x.png", "x/strip@2x.png"):
        assert client.get(f"/look/{name}").status_code == 404


def test_only_made_pictures_are_served(client: FlaskClient, database: Database, shop: Shop) -> None:
    """The source a shop uploaded stays inside."""
    with database.read_tx() as session:
        version = session.exec(select(TemplateVersion)).first()
    assert version is not None
    for name in ("strip@0x.png", "strip@4x.png", "secret@1x.png", "strip@1x.jpg"):
        assert client.get(f"/look/{version.digest.hex()}/{name}").status_code == 404


def test_an_unknown_token_says_nothing(client: FlaskClient, shop: Shop) -> None:
    """A friendly page, in the reader's language, that tells a guesser nothing."""
    for token in ("unknown", "a" * 500, "ключ", "<script>"):
        for language, words in (("ru", "Такую карту мы не нашли"), ("en", "could not find")):
            answer = client.get(f"/c/{token}", headers={"Accept-Language": language})
            assert answer.status_code == 404
            assert words in answer.text
            assert "<script" not in answer.text
            assert shop.organisation.name not in answer.text
    assert client.get("/c/%00").status_code == 404


def test_each_device_is_offered_what_it_can_do(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """An iPhone gets the button, a computer a code for the phone, Android works as it is."""
    with database.write_tx() as session:
        card = member(session, shop, now)
    download = f'href="/p/{card.link_token}.pkpass"'

    def page(agent: str) -> str:
        headers = {"User-Agent": agent, "Accept-Language": "en"}
        return client.get(f"/c/{card.link_token}", headers=headers).text

    iphone, android, desktop = page(IPHONE), page(ANDROID), page("Mozilla/5.0 (X11; Linux x86_64)")
    assert all(download in each for each in (iphone, android, desktop))
    assert [each.count('class="qr"') for each in (iphone, android, desktop)] == [1, 1, 2]
    assert "Add to Apple Wallet" in iphone
    assert "Add to Apple Wallet" in desktop
    assert "Add to Apple Wallet" not in android
    assert "Show this page at the till" in android


def test_a_card_that_is_of_no_use_says_why(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """Closed and expired cards are not offered to phones; money that is owed is not hidden."""
    with database.write_tx() as session:
        card = member(session, shop, now)
        card.closed_at = now
        blocked = certificate(session, shop, now)
        blocked.blocked_at = now
        ended = certificate(session, shop, now, expires_at=now + timedelta(days=1))
        ended.expires_at = now
        noted = certificate(session, shop, now, expires_at=now + timedelta(days=1))
        noted.expires_at = noted.expired_at = now
        given = certificate(session, shop, now, expires_at=now + timedelta(days=1))
        given.expires_at, given.origin = now, Origin.FREE
        session.add_all([card, blocked, ended, noted, given])
    for token, words in (
        (card.link_token, "This card is closed"),
        (blocked.link_token, "This card is closed"),
        (ended.link_token, "the money on it is still yours"),
        (noted.link_token, "the money on it is still yours"),
        (given.link_token, "You can no longer pay with this gift card.<"),
    ):
        page = client.get(f"/c/{token}?lang=en").text
        assert words in page
        assert ".pkpass" not in page


def test_names_are_shown_and_never_run(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """Customers type their names themselves."""
    with database.write_tx() as session:
        card = member(session, shop, now, first='<img src=x onerror="x">')
    page = client.get(f"/c/{card.link_token}").text
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_template_without_pictures_still_makes_a_page(
    client: FlaskClient, database: Database, now: datetime
) -> None:
    """The organisation's name stands where the logo would."""
    with database.write_tx() as session:
        card, _ = make_member(session, make_shop(session, now), now)
    page = client.get(f"/c/{card.link_token}").text
    assert "<img" not in page
    assert '<p class="card-name">Лавка shop</p>' in page
