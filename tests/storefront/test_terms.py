"""The pages of a programme's terms."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient

from tests.browser.shop import open_to_all
from tests.passes.shop import Shop
from tests.storefront.serving import pages_of
from walletsvc.core.actor import OPERATOR
from walletsvc.programmes.models import Programme
from walletsvc.programmes.terms import service
from walletsvc.storage.engine import Database


@pytest.fixture
def shop(database: Database, now: datetime) -> Shop:
    return open_to_all(database, now, pictures=False)[0]


@pytest.fixture
def client(database: Database, shop: Shop, now: datetime) -> FlaskClient:
    return pages_of(database, lambda: now).test_client()


def publish(database: Database, shop: Shop, words: str, at: datetime, **more: str) -> None:
    with database.write_tx() as session:
        service.publish(
            session,
            session.get_one(Programme, shop.points.id),
            title={"ru": "Условия", **dict.fromkeys(more, "Terms")},
            body={"ru": words, **more},
            actor=OPERATOR,
            now=at,
        )


def test_without_terms_of_its_own_the_rules_speak(client: FlaskClient) -> None:
    """In both languages, with the figures of the rules and the way to the form."""
    russian = client.get("/terms/guest?lang=ru")
    assert russian.status_code == 200
    for words in ("Условия программы", "5 %", "12 месяцев", "/join/guest"):
        assert words in russian.text, words
    english = client.get("/terms/guest?lang=en").text
    assert "12 months" in english
    assert "Version" not in english


def test_versions_have_pages_of_their_own(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """The one that counts without a number; a former one says that it is one."""
    publish(database, shop, "# Раз\n\nПервые <b>условия</b>", now)
    publish(database, shop, "Вторые", now + timedelta(days=1), en="The second ones")
    current = client.get("/terms/guest?lang=en").text
    assert "The second ones" in current
    assert "Version 2 of 21\xa0November\xa02026" in current
    assert "earlier version" not in current
    former = client.get("/terms/guest?version=1").text
    assert "<h2>Раз</h2>" in former
    assert "&lt;b&gt;условия" in former
    assert 'class="prose" lang="ru"' in former
    assert "This is an earlier version" in former
    assert 'href="/terms/guest"' in former
    for wrong in ("3", "0", "x", "-1", "1" * 40, "١"):
        assert client.get(f"/terms/guest?version={wrong}").status_code == 404


def test_gift_cards_have_terms_too(client: FlaskClient) -> None:
    """What is left is paid back; nobody joins there."""
    page = client.get("/terms/gift?lang=en").text
    assert "whenever asked" in page
    assert "/join/" not in page


def test_an_unknown_programme_is_not_found(client: FlaskClient) -> None:
    """Whatever its name."""
    for name in ("nothing", "x" * 300, "%00", "ключ"):
        assert client.get(f"/terms/{name}").status_code == 404


def test_the_page_may_be_kept_for_a_minute_only(client: FlaskClient) -> None:
    """And for each language apart."""
    answer = client.get("/terms/guest")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert "Accept-Language" in answer.headers["Vary"]
    assert "Cookie" in answer.headers["Vary"]
