"""Registering members over HTTP."""

from __future__ import annotations

import re
import threading

from sqlmodel import select

from tests.api.conftest import ANNA, BASE, Api
from walletsvc.core.ids import luhn_valid
from walletsvc.people.models import Person, Phone


def test_a_member_gets_a_card_and_two_addresses(api: Api) -> None:
    """The answer is all that a till needs to hand the card over."""
    answer = api.call("POST", "/members", json=ANNA | {"birthday": "1991-04-23"})
    body = answer.get_json()
    assert answer.status_code == 201
    assert luhn_valid(body["card"]["number"])
    assert body["person"] | {"id": ""} == {
        "id": "",
        "first_name": "Анна",
        "last_name": "Кузнецова",
        "language": "ru",
    }
    token = body["page_url"].removeprefix(f"{BASE}/c/")
    assert re.fullmatch(r"[\w-]{32}", token)
    assert body["apple_url"] == f"{BASE}/p/{token}.pkpass"
    assert body["google_url"] is None
    assert answer.headers["Cache-Control"] == "no-store"
    with api.database.read_tx() as session:
        assert session.exec(select(Phone.e164)).all() == ["+79001234567"]


def test_the_same_person_again_is_a_conflict_that_names_the_card(api: Api) -> None:
    """However the phone and the name are written, and nothing is written the second time."""
    card = api.member(first_name="Пётр", last_name="Орлов")["card"]["id"]
    before = api.rows()
    answer = api.call(
        "POST",
        "/members",
        json=ANNA | {"phone": "+79001234567", "first_name": "петр ", "last_name": "ОРЛОВ"},
    )
    body = answer.get_json()
    assert (answer.status_code, body["code"], body["card_id"]) == (409, "duplicate_member", card)
    assert api.rows() == before


def test_a_phone_may_be_several_peoples(api: Api) -> None:
    """A family shares a phone: another name is another person with another card."""
    first, second = api.member(), api.member(first_name="Игорь")
    assert first["card"]["id"] != second["card"]["id"]
    assert first["person"]["id"] != second["person"]["id"]


def test_two_registrations_at_once_make_one_card(api: Api) -> None:
    """A double tap on the till registers once; the other gets the card's id."""
    barrier = threading.Barrier(8)
    answers: list[tuple[int, str]] = []

    def register() -> None:
        with api.app.test_client() as client:
            barrier.wait(10)
            answer = client.post(
                "/api/v1/members", json=ANNA, headers={"Authorization": f"Bearer {api.secret}"}
            )
            body = answer.get_json()
            answers.append((answer.status_code, body.get("card_id") or body["card"]["id"]))

    threads = [threading.Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(status for status, _ in answers) == [201] + [409] * 7
    assert len({card for _, card in answers}) == 1
    with api.database.read_tx() as session:
        assert len(session.exec(select(Person.id)).all()) == 1


def test_a_retry_with_its_key_gets_the_first_answer(api: Api) -> None:
    """The key is optional here, and honoured."""
    headers = {"Idempotency-Key": "register-1"}
    first = api.call("POST", "/members", json=ANNA, headers=headers)
    again = api.call("POST", "/members", json=ANNA, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


def test_a_failed_registration_does_not_use_the_key_up(api: Api) -> None:
    """Only committed answers are remembered."""
    headers = {"Idempotency-Key": "register-1"}
    wrong = api.call("POST", "/members", json=ANNA | {"programme": "nope"}, headers=headers)
    right = api.call("POST", "/members", json=ANNA, headers=headers)
    assert (wrong.status_code, right.status_code) == (400, 201)
