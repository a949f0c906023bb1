"""Finding people at the till, and changing what is known of them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from tests.api.conftest import ANNA, Api
from tests.api.registration.till import (
    employee,
    search,
)
from walletsvc.cards.models import Card
from walletsvc.cards.plastic.service import add as add_number


def test_a_phone_finds_the_whole_family_and_nobody_of_others(api: Api) -> None:
    anna, igor = api.member(), api.member(first_name="Игорь")
    found = search(api, phone="+7 900 123 45 67")
    assert [each["person"]["id"] for each in found] == [
        anna["person"]["id"],
        igor["person"]["id"],
    ]
    assert found[0]["cards"][0]["id"] == anna["card"]["id"]
    assert found[0]["phones"] == ["+7 ••• ••• 45 67"]
    assert search(api, phone="+7 900 123 45 68") == []
    stranger = api.key(shop=api.other)
    other = api.call("POST", "/members/search", json={"phone": ANNA["phone"]}, secret=stranger)
    assert other.get_json() == {"items": [], "more": False}


@pytest.mark.parametrize(
    "name", ["Кузнецова", "кузнецова ан", "анна кузн", "  АННА   Кузнецова ", "Алёна", "Алена"]
)
def test_a_name_is_found_however_it_is_typed(api: Api, name: str) -> None:
    anna = api.member()
    alena = api.member(first_name="Алёна", last_name=None, phone="+79007654321")
    wanted = alena if name.startswith("Ал") else anna
    assert [each["person"]["id"] for each in search(api, name=name)] == [wanted["person"]["id"]]


def test_a_first_name_alone_finds_who_gave_no_last_name(api: Api) -> None:
    api.member()
    alone = api.member(last_name=None, phone="+79007654321")
    assert [each["person"]["id"] for each in search(api, name="анна")] == [alone["person"]["id"]]
    assert len(search(api, name="анна к")) == 1


def test_namesakes_are_told_apart_by_the_birthday(api: Api) -> None:
    api.member(birthday="1991-04-23")
    second = api.member(phone="+79007654321", birthday="1985-01-02")
    assert len(search(api, name="Кузнецова Анна")) == 2
    (found,) = search(api, name="Кузнецова Анна", birthday="1985-01-02")
    assert (found["person"]["id"], found["birthday"]) == (second["person"]["id"], "1985-01-02")
    assert search(api, name="100%") == search(api, name="__") == []


def test_a_plastic_number_finds_its_owner(api: Api) -> None:
    member = api.member()
    with api.database.write_tx() as session:
        card = session.exec(select(Card)).one()
        add_number(session, card, "00-15 77", api.now)
    (found,) = search(api, plastic_number="001577")
    assert found["person"]["id"] == member["person"]["id"]
    assert search(api, plastic_number="001578") == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Give one of phone, plastic_number, name."),
        ({"birthday": "1990-01-01"}, "Give one of phone, plastic_number, name."),
        ({"phone": "+79001234567", "name": "Анна"},
         "name: must be the only one of phone, plastic_number and name."),
        ({"phone": "+79001234567", "birthday": "1990-01-01"}, "birthday: goes with `name`."),
        ({"name": "а"}, "name: needs 2 letters at least."),
        ({"plastic_number": ""}, "plastic_number: must not be empty."),
    ],
)  # fmt: skip
def test_one_thing_is_looked_for(api: Api, body: dict[str, Any], said: str) -> None:
    answer = api.call("POST", "/members/search", json=body)
    assert (answer.status_code, answer.get_json()["detail"]) == (400, said)


def test_a_person_is_changed_and_the_passes_hear_of_it(api: Api) -> None:
    member = api.member()
    person, olga = member["person"]["id"], employee(api)
    before = api.rows()["changes"]
    done = api.call(
        "PATCH",
        f"/persons/{person}",
        json={
            "first_name": "Анна-Мария",
            "birthday": "1991-04-23",
            "email": "anna@example.com",
            "language": "en",
            "responsible": olga,
        },
    ).get_json()
    assert (done["first_name"], done["last_name"]) == ("Анна-Мария", "Кузнецова")
    assert (done["email"], done["responsible"]) == ("anna@example.com", olga)
    assert api.rows()["changes"] == before + 1
    emptied = api.call("PATCH", f"/persons/{person}", json={"email": None, "responsible": None})
    assert (emptied.get_json()["email"], emptied.get_json()["responsible"]) == (None, None)
    assert api.call("GET", f"/persons/{person}").get_json() == emptied.get_json()
    for wrong in ({"first_name": None}, {"birthday": "2999-01-01"}, {"responsible": "x"}):
        assert api.call("PATCH", f"/persons/{person}", json=wrong).status_code == 400
    stranger = api.key(shop=api.other)
    assert api.call("GET", f"/persons/{person}", secret=stranger).status_code == 404
