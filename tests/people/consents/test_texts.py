"""The texts that people agree to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.concurrency.at_once import together
from tests.people.consents.office import Office
from walletsvc.core.errors import InputError
from walletsvc.people.consents import service
from walletsvc.people.consents.models import Purpose


def test_a_shop_has_texts_from_the_start(office: Office) -> None:
    """Both purposes, two languages, the shop as the operator; asked again, the same ones."""
    found = office.texts()
    assert list(found) == list(Purpose)
    for purpose, words in found.items():
        assert (words.purpose, words.version, words.actor) == (purpose, 1, "system:walletsvc")
        assert set(words.title) == set(words.body) == {"ru", "en"}
        for body in words.body.values():
            assert "Лавка shop" in body
            assert "{" not in body
    assert list(office.texts().items()) == list(found.items())


def test_the_first_who_ask_at_once(office: Office) -> None:
    """One version of each, whoever is first."""
    found = together(8, lambda _: sorted(each.id for each in office.texts().values()))
    assert all(each == found[0] for each in found)
    with office.database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM consent_texts")).scalar_one() == 2


def test_the_texts_say_what_the_law_asks_for(office: Office) -> None:
    """Who, what for, which data, what is done, how long, how to withdraw; two documents."""
    data, advertising = office.texts().values()
    for part in ("оператор", "Зачем", "Какие данные", "Что с ними делают", "Сколько", "отозвать"):
        assert part in data.body["ru"]
    for part in ("What for", "Which data", "What is done", "How long", "withdraw"):
        assert part in data.body["en"]
    for part in ("SMS", "электронная почта", "Кошелёк", "мессенджер", "звонок", "СТОП"):
        assert part in advertising.body["ru"]
    for part in ("SMS", "e-mail", "wallet", "messenger", "phone call", "STOP"):
        assert part in advertising.body["en"]


def test_a_new_version_takes_the_place_of_the_former(office: Office) -> None:
    """Which is kept as it was; the same words again are no version."""
    first = office.texts()[Purpose.DATA]
    second = office.publish()
    assert (second.version, second.retired_at) == (2, None)
    assert office.publish(now=office.now + timedelta(days=1)).id == second.id
    assert office.texts()[Purpose.DATA].id == second.id
    with office.database.read_tx() as session:
        kept = service.find_text(session, office.shop.organisation.id, first.public_id)
        assert kept is not None
        assert (kept.body, kept.digest) == (first.body, first.digest)
        assert kept.retired_at == office.now
        assert [each.version for each in service.all_texts(session, first.organisation_id)] == [
            2, 1, 1,
        ]  # fmt: skip
    assert first.digest != second.digest


def test_versions_published_at_once(office: Office) -> None:
    """Each has a number of its own, the last one counts."""
    together(6, lambda n: office.publish(body={"ru": f"Редакция {n}"}))
    with office.database.read_tx() as session:
        found = service.all_texts(session, office.shop.organisation.id)
    assert sorted(each.version for each in found) == [1, 2, 3, 4, 5, 6]
    assert [each.version for each in found if each.retired_at is None] == [6]


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"title": {}, "body": {}}, "body", "required"),
        ({"title": {"ru": "x"}, "body": {"en": "x"}}, "title", "required"),
        ({"title": {"ru": "x"}, "body": {"ru": " \n "}}, "body.ru", "required"),
        ({"title": {"ru": " "}, "body": {"ru": "x"}}, "title.ru", "required"),
        ({"title": {"ru": "x" * 161}, "body": {"ru": "x"}}, "title.ru", "too_long"),
        ({"title": {"ru": "x"}, "body": {"ru": "x" * 20_001}}, "body.ru", "too_long"),
        ({"title": {"ru": "x"}, "body": {"ru": "\x00"}}, "body.ru", "invalid_characters"),
        ({"title": {"kk": "x"}, "body": {"kk": "x"}}, "title.kk", "not_allowed"),
    ],
)
def test_wrong_words_are_named(
    office: Office, changes: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(InputError) as caught:
        office.publish(**changes)
    assert (caught.value.fields[0].field, caught.value.fields[0].code) == (field, code)
