"""The page of a text that people are asked to agree to."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient

from tests.factories import TILL, Shop, make_shop
from tests.storefront.serving import pages_of
from walletsvc.people.consents import service
from walletsvc.people.consents.models import Purpose
from walletsvc.storage.engine import Database


@pytest.fixture
def client(database: Database, now: datetime) -> FlaskClient:
    """The pages of an installation, as a browser meets them."""
    return pages_of(database, lambda: now).test_client()


@pytest.fixture
def shop(database: Database, now: datetime) -> Shop:
    with database.write_tx() as session:
        return make_shop(session, now)


def test_a_text_in_both_languages(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """In full, with its version and whose it is; without scripts."""
    with database.write_tx() as session:
        words = service.current_texts(session, shop.organisation.id, now)[Purpose.DATA]
    russian = client.get(f"/consents/{words.public_id}?lang=ru")
    assert russian.status_code == 200
    for paragraph in words.body["ru"].split("\n\n"):
        assert paragraph in russian.text
    assert "Редакция 1, опубликована 20\xa0ноября\xa02026" in russian.text
    assert "<script" not in russian.text
    english = client.get(f"/consents/{words.public_id}?lang=en").text
    assert "Version 1, published on 20\xa0November\xa02026" in english
    assert words.title["en"] in english
    assert "Another version" not in english


def test_a_replaced_text_says_so_and_markup_is_text(
    client: FlaskClient, database: Database, shop: Shop, now: datetime
) -> None:
    """Somebody may have agreed to it; in a language it lacks it shows the one there is."""
    ids = []
    for number in range(2):
        with database.write_tx() as session:
            text = service.publish_text(
                session,
                organisation_id=shop.organisation.id,
                purpose=Purpose.ADVERTISING,
                title={"ru": f"<b>{number}</b>"},
                body={"ru": "Раз\nдва\n\nтри"},
                actor=TILL,
                now=now + timedelta(days=number),
            )
            ids.append(text.public_id)
    page = client.get(f"/consents/{ids[0]}?lang=en").text
    assert "Another version took its place on 21\xa0November\xa02026." in page
    assert '<h1 lang="ru">&lt;b&gt;0&lt;/b&gt;</h1>' in page
    assert page.count('<p class="lines"') == 2


@pytest.mark.parametrize("text", ["0" * 20, "nonsense", "%00"])
def test_no_such_text(client: FlaskClient, text: str) -> None:
    assert client.get(f"/consents/{text}").status_code == 404
