"""The language of a page, and the catalogues behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import gettext

import walletsvc
from walletsvc import settings
from walletsvc.web import i18n

PACKAGE = Path(walletsvc.__file__).parent
SOURCES = [("**.py", "python"), ("**/templates/**.html", "jinja2")]


def catalogue(language: str) -> Path:
    return i18n.TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"


def read(language: str) -> Catalog:
    with catalogue(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


@pytest.mark.parametrize("language", list(i18n.LANGUAGES))
def test_every_text_is_translated_and_no_other(language: str) -> None:
    """A page half in another language looks broken; leftovers hide real gaps."""
    used = {message for _, _, message, _, _ in extract_from_dir(str(PACKAGE), SOURCES)}
    entries = {entry.id: entry for entry in read(language) if entry.id}
    assert set(entries) == used
    for message, entry in entries.items():
        assert entry.string, message
        assert not entry.fuzzy, message
        assert not list(entry.check()), message


@pytest.mark.parametrize("language", list(i18n.LANGUAGES))
def test_compiled_catalogues_are_up_to_date(language: str) -> None:
    """After changing a text: pybabel compile -d walletsvc/web/translations."""
    with catalogue(language).with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    assert texts(compiled) == texts(read(language))


def texts(catalog: Catalog) -> dict[object, object]:
    """What is said; the header says when, which does not matter."""
    return {_plain(entry.id): _plain(entry.string) for entry in catalog if entry.id}


def _plain(text: object) -> object:
    """Texts with plural forms come as tuples from one reader and as lists from the other."""
    return tuple(text) if isinstance(text, list) else text


def app_with(default: str = "ru") -> Flask:
    app = Flask("walletsvc")
    i18n.install(app, settings.load(default_language=default))
    app.add_url_rule("/", "page", lambda: f"{i18n.language()} {gettext('About this card')}")
    return app


RUSSIAN, ENGLISH = "ru О карте", "en About this card"


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "default", "page"),
    [
        ("?lang=en", "ru", "ru", "ru", ENGLISH),
        ("?lang=xx", "en", "ru", "ru", ENGLISH),
        ("", "en", "ru", "ru", ENGLISH),
        ("", "xx", "ru-RU,ru;q=0.9,en;q=0.8", "en", RUSSIAN),
        ("", "", "en-GB,en;q=0.9", "ru", ENGLISH),
        ("", "", "de,en;q=0.5", "ru", ENGLISH),
        ("", "", "de", "ru", RUSSIAN),
        ("", "", "de", "en", ENGLISH),
        ("", "", "", "en", ENGLISH),
    ],
)
def test_the_language_is_the_most_deliberate_choice(
    query: str, cookie: str, accept: str, default: str, page: str
) -> None:
    """Address, then cookie, then browser, then the installation's setting."""
    client = app_with(default).test_client()
    if cookie:
        client.set_cookie(i18n.COOKIE, cookie)
    assert client.get(f"/{query}", headers={"Accept-Language": accept}).text == page


def test_a_choice_is_remembered() -> None:
    """The next page needs no `?lang=`; a choice nobody offers leaves no trace."""
    client = app_with("ru").test_client()
    assert "Set-Cookie" not in client.get("/?lang=xx").headers
    answer = client.get("/?lang=en")
    for part in ("lang=en", "HttpOnly", "SameSite=Lax", "Max-Age=31536000"):
        assert part in answer.headers["Set-Cookie"]
    assert client.get("/").text == ENGLISH
    assert "Set-Cookie" not in client.get("/?lang=en").headers
    assert "Secure" in client.get("/?lang=ru", base_url="https://x.example").headers["Set-Cookie"]
