"""Versions of a programme's terms, and those that follow from its rules."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import TILL, make_shop
from walletsvc.core.errors import InputError, NotFound
from walletsvc.merchants.models import Organisation
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.terms import defaults, service
from walletsvc.storage.engine import Database

TITLE = {"ru": "Условия", "en": "Terms"}
BODY = {"ru": "Первое.\r\n\r\n# Второе \r\nтретье", "en": "One."}


def test_versions_follow_each_other_and_stay(database: Database, now: datetime) -> None:
    """The last one counts; every one can be read; the same text again is no new version."""
    with database.write_tx() as session:
        programme = make_shop(session, now).programme

        def publish(body: dict[str, str], at: datetime) -> int:
            return service.publish(
                session, programme, title=TITLE, body=body, actor=TILL, now=at
            ).number

        assert publish(BODY, now) == 1
        assert publish(BODY, now + timedelta(hours=1)) == 1
        assert publish(BODY | {"en": "Two."}, now + timedelta(hours=2)) == 2
        assert publish(BODY, now) == 3  # back to the first text is news, and not before the second
        versions = service.list_versions(session, programme)
        assert [each.number for each in versions] == [3, 2, 1]
        assert versions[0].published_at == now + timedelta(hours=2)
        assert service.shown(session, programme, "en").number == 3
        assert service.shown(session, programme, "en", 2).body == "Two."
        assert service.get(session, programme, 1).body["ru"] == "Первое.\n\n# Второе\nтретье"
        with pytest.raises(NotFound, match="no version 4"):
            service.shown(session, programme, "ru", 4)


def test_a_missing_language_is_read_in_the_other(database: Database, now: datetime) -> None:
    """And the page can say in which language it is."""
    with database.write_tx() as session:
        programme = make_shop(session, now).programme
        service.publish(
            session, programme, title={"ru": "У"}, body={"ru": "Текст"}, actor=TILL, now=now
        )
        found = service.shown(session, programme, "en")
        assert (found.language, found.title, found.body) == ("ru", "У", "Текст")


@pytest.mark.parametrize(
    ("title", "body", "field", "code"),
    [
        ({}, {}, "body", "required"),
        ({"ru": "У"}, {"en": "x"}, "title", "required"),
        ({"ru": "У"}, {"ru": " \n "}, "body.ru", "required"),
        ({"ru": " "}, {"ru": "x"}, "title.ru", "required"),
        ({"de": "D"}, {"de": "x"}, "body", "not_allowed"),
        ({"ru": "У"}, {"ru": "a\x07"}, "body.ru", "invalid_characters"),
        ({"ru": "У"}, {"ru": "я" * 50_001}, "body.ru", "too_long"),
    ],
)
def test_what_cannot_be_terms_is_named(
    database: Database, now: datetime, title: dict[str, str], body: dict[str, str], field: str,
    code: str,
) -> None:  # fmt: skip
    """Nothing of it is written."""
    with database.write_tx() as session:
        programme = make_shop(session, now).programme
        with pytest.raises(InputError) as caught:
            service.publish(session, programme, title=title, body=body, actor=TILL, now=now)
        assert [(each.field, each.code) for each in caught.value.fields] == [(field, code)]
        assert service.current(session, programme.id) is None


def test_two_who_publish_at_once_make_two_versions(database: Database, now: datetime) -> None:
    """And neither gets an error."""
    with database.write_tx() as session:
        programme_id = make_shop(session, now).programme.id

    def publish(number: int) -> int:
        with database.write_tx() as session:
            return service.publish(
                session,
                session.get_one(Programme, programme_id),
                title=TITLE,
                body={"ru": f"№ {number}", "en": "x"},
                actor=TILL,
                now=now,
            ).number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(publish, range(8))) == list(range(1, 9))


def _default(language: str, kind: ProgrammeKind, book: dict[str, Any] | None) -> str:
    programme = Programme(slug="x", name="Клуб «Гости»", kind=kind, currency="RUB",
                          organisation_id=1, unit_id=1)  # fmt: skip
    shop = Organisation(name="Лавка {x}", slug="x", phone="+7 812 555-01-42", website="x.example")
    parsed = RuleBook.model_validate(book) if book else None
    title, body = defaults.compose(programme, parsed, shop, language)
    assert "Клуб «Гости»" in title
    assert "««" not in title + body
    assert "Лавка {x}" in body
    assert "x.example" in body
    return body.replace("\xa0", " ")


@pytest.mark.parametrize("language", service.LANGUAGES)
@pytest.mark.parametrize("kind", ProgrammeKind)
def test_every_kind_of_programme_has_terms(language: str, kind: ProgrammeKind) -> None:
    """With rules and without; no figure is left open."""
    for book in (None, {"earn": {"percent": "0"}}):
        body = _default(language, kind, book)
        assert len(body) > 200
        assert body.startswith("# ")


def test_the_figures_are_those_of_the_rules() -> None:
    """Percent, share, waiting and lifetime, in the language's own forms."""
    book = {
        "earn": {"percent": "7.5"},
        "spend": {"max_share_percent": "50", "min_points": 100},
        "available_after_days": 1,
        "lifetime": {"months": 12},
    }
    russian = _default("ru", ProgrammeKind.POINTS, book)
    for words in ("7,5 %", "до 50 %", "1 ₽ скидки", "100 или больше", "через 1 день", "12 месяцев"):
        assert words in russian, words
    english = _default("en", ProgrammeKind.POINTS, book)
    for words in (
        "7.5%",
        "up to 50%",
        "takes 1 ₽ off",
        "100 or more",
        "1 day after",
        "last 12 months",
    ):
        assert words in english, words
    assert "takes 1 ₽ off" in english
    forever = _default("en", ProgrammeKind.POINTS, {"earn": {"percent": "1"}})
    assert "do not expire" in forever
    assert "cannot be spent" in forever
    stamps = {"earn": {"percent": "0"}, "stamp_card": {"stamps": 6, "reward": {
        "name": {"ru": "Кофе", "en": "Coffee"}}}}  # fmt: skip
    assert "6 stamps" in _default("en", ProgrammeKind.STAMPS, stamps)
