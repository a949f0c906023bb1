"""The till registers: a code is sent, dictated and proven."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from tests.api.conftest import ANNA, BASE, Api
from tests.api.registration.till import (
    agreed,
    employee,
    messages,
    proof,
    put,
    texts,
)
from tests.concurrency.at_once import together
from walletsvc.cards.models import Card
from walletsvc.enrolment import applying
from walletsvc.enrolment.models import Registration
from walletsvc.people.consents.models import Consent, ConsentChannel, Purpose, Way
from walletsvc.people.consents.service import history, may_advertise
from walletsvc.people.models import Person, PersonPhone


def test_the_whole_way_at_the_till(api: Api) -> None:
    """Offer, code, dictated, consents with the employee's word, card, link."""
    words, olga = texts(api), employee(api)
    member = api.member(
        proof=proof(api, advertising=True),
        consents={
            "data": {"text": words["data"]},
            "advertising": {"text": words["advertising"], "channels": ["sms", "wallet"]},
        },
        employee=olga,
        email="anna@example.com",
    )
    assert member["verified_at"] is not None
    with api.database.read_tx() as session:
        agreed = session.exec(select(Consent).order_by(col(Consent.id))).all()
        assert [(each.purpose, each.channel) for each in agreed] == [
            (Purpose.DATA, None),
            (Purpose.ADVERTISING, ConsentChannel.SMS),
            (Purpose.ADVERTISING, ConsentChannel.WALLET),
        ]
        assert {(each.way, each.actor, each.phone) for each in agreed} == {
            (Way.TILL, f"staff:{olga}", "+79001234567")
        }
        assert all(each.proof_id for each in agreed)
        registration = session.exec(select(Registration)).one()
        assert (registration.way, registration.actor) == (Way.TILL, f"staff:{olga}")
        assert session.exec(select(PersonPhone)).one().verified_at == api.now
    kinds = [kind for kind, _ in messages(api)]
    assert kinds == ["till_code", "card_link"]
    assert member["page_url"] in messages(api)[1][1]


def test_a_code_agrees_to_what_its_message_named(api: Api) -> None:
    """An SMS about data only proves no consent to advertising, and nothing is sent on the
    cashier's word for it."""
    words = texts(api)
    asked = {
        "data": {"text": words["data"]},
        "advertising": {"text": words["advertising"], "channels": ["sms"]},
    }
    silent, told = (
        api.member(proof=proof(api, phone, **more), consents=asked, phone=phone, first_name=name)[
            "person"
        ]["id"]
        for phone, name, more in (
            ("+79001230001", "Анна", {}),
            ("+79001230002", "Ольга", {"advertising": True}),
        )
    )
    codes = [text for kind, text in messages(api) if kind == "till_code"]
    link = f"{BASE}/consents/{words['advertising']}"
    assert [link in each for each in codes] == [False, True]
    assert all(f"{BASE}/consents/{words['data']}" in each for each in codes)
    with api.database.read_tx() as session:
        for person, proven in ((silent, False), (told, True)):
            found = session.exec(select(Person).where(Person.public_id == person)).one()
            data, advertising = history(session, found.id)
            assert (data.proof_id is not None, advertising.proof_id is not None) == (True, proven)
            assert may_advertise(session, found.id, ConsentChannel.SMS) is proven


def test_advertising_is_asked_for_by_a_message_at_a_till(api: Api) -> None:
    asked = {"programme": "shop", "phone": ANNA["phone"], "advertising": True}
    for more in ({"purpose": "spend"}, {"purpose": "till", "route": "call"}):
        answer = api.call("POST", "/proofs", json=asked | more)
        assert answer.status_code == 400
        assert answer.get_json()["errors"][0]["field"] == "advertising"
    # Wanted after all, at once: the message without it does not do.
    assert proof(api) != proof(api, advertising=True)


def test_a_known_person_verifies_and_agrees_with_one_code(api: Api) -> None:
    words = texts(api)
    member = api.member()
    consents = {
        "data": {"text": words["data"]},
        "advertising": {"text": words["advertising"], "channels": ["sms"]},
    }
    path = f"/cards/{member['card']['id']}/verification"
    code = {"proof": proof(api, advertising=True)}
    wrong = api.call("POST", path, json=code | {"consents": {"data": {"text": "0" * 20}}})
    assert wrong.get_json()["errors"][0]["field"] == "consents.data.text"
    done = api.call("POST", path, json=code | {"consents": consents})
    assert done.status_code == 200, done.text
    with api.database.read_tx() as session:
        agreed = session.exec(select(Consent).order_by(col(Consent.id))).all()
        assert [each.purpose for each in agreed] == [Purpose.DATA, Purpose.ADVERTISING]
        assert all(each.proof_id and each.way is Way.TILL for each in agreed)


def test_a_code_of_the_till_is_an_agreement(api: Api) -> None:
    """Its message said so; the record of it must be there. Refused, the proof may be used still."""
    found, words = proof(api), texts(api)
    advertising = {"advertising": {"text": words["advertising"], "channels": ["sms"]}}
    refused: list[dict[str, Any]] = [{}, {"consents": {}}, {"consents": advertising}]
    for more in refused:
        answer = api.call("POST", "/members", json=ANNA | {"proof": found} | more)
        assert answer.status_code == 400, answer.text
        error = answer.get_json()["errors"][0]
        assert (error["field"], error["code"]) == ("consents.data", "required")
    api.member(proof=found, **agreed(api))


def test_a_proof_registers_once(api: Api) -> None:
    """Two tills with one proof at once: one member."""
    found, asked = proof(api), agreed(api)
    seen = together(
        4,
        lambda number: (
            api.app.test_client()
            .post(
                "/api/v1/members",
                json=ANNA | asked | {"proof": found, "first_name": f"Анна-{number}"},
                headers={"Authorization": f"Bearer {api.secret}"},
            )
            .status_code
        ),
    )
    assert sorted(seen) == [201, 422, 422, 422]


def test_a_proof_of_another_phone_is_none(api: Api) -> None:
    found, asked = proof(api, "+7 900 765-43-21"), agreed(api)
    before = api.rows()
    answer = api.call("POST", "/members", json=ANNA | asked | {"proof": found})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "phone_not_proven")
    assert api.rows() == before


def test_a_code_that_was_not_entered_is_asked_for(api: Api) -> None:
    """With the call that takes it; of a stranger's or no proof nothing is said."""
    begun = api.call(
        "POST", "/proofs", json={"programme": "shop", "phone": ANNA["phone"], "purpose": "till"}
    ).get_json()["id"]
    body = ANNA | agreed(api)
    answer = api.call("POST", "/members", json=body | {"proof": begun})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "phone_not_proven")
    assert answer.get_json()["detail"] == "Check the code first: POST /proofs/{id}/code."
    anew = "The phone is not proven: begin anew."
    unknown = api.call("POST", "/members", json=body | {"proof": "0" * 20})
    assert unknown.get_json()["detail"] == anew
    api.clock = api.now + timedelta(minutes=11)
    late = api.call("POST", "/members", json=body | {"proof": begun})
    assert late.get_json()["detail"] == anew


def test_a_duplicate_keeps_the_proof_for_the_verification(api: Api) -> None:
    """409 names the card; the very same proof then verifies it."""
    card = api.member()["card"]["id"]
    found, asked = proof(api), agreed(api)
    answer = api.call("POST", "/members", json=ANNA | asked | {"proof": found})
    assert (answer.status_code, answer.get_json()["card_id"]) == (409, card)
    done = api.call("POST", f"/cards/{card}/verification", json={"proof": found})
    assert done.get_json()["verified_at"] == "2026-11-20T09:30:00Z"
    again = api.call("POST", f"/cards/{card}/verification", json={"proof": found})
    assert again.get_json()["code"] == "phone_not_proven"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"employee": "0" * 20}, "employee"),
        ({"responsible": "x"}, "responsible"),
        ({"source": "NOSUCH"}, "source"),
        ({"consents": {"data": {"text": "0" * 20}}}, "consents.data.text"),
        ({"consents": {"advertising": {"text": "x", "channels": ["sms"]}}},
         "consents.advertising.text"),
        ({"email": "anna"}, "email"),
        ({"proof": "x"}, None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_nothing_is_written(
    api: Api, change: dict[str, Any], field: str | None
) -> None:
    before = api.rows()
    answer = api.call("POST", "/members", json=ANNA | change)
    if field is None:
        assert answer.get_json()["code"] == "phone_not_proven"
    else:
        assert answer.get_json()["errors"][0]["field"] == field
    assert api.rows() == before


def test_a_form_and_a_till_at_once_make_one_card(api: Api) -> None:
    """The same person, the same moment, two doors, and the verification of the card besides:
    nobody waits for ever, and there is one card."""
    put(api, open=True)
    words = texts(api)
    card = api.member()["card"]["id"]
    till = proof(api)
    form = applying.ApplicationForm(
        phone=ANNA["phone"], first_name="Анна", last_name="Кузнецова", data_text=words["data"]
    )
    applied = [
        applying.apply(
            api.database,
            programme_slug="shop",
            form=form,
            nonce=f"nonce-of-a-door-{number}",
            source=None,
            address="",
            language="ru",
            now=api.now,
        ).application
        for number in range(2)
    ]
    codes = [re.findall(r"\b\d{6}\b", text)[0] for _, text in messages(api)[-2:]]

    def door(number: int) -> str:
        if number < 2:
            done = applying.confirm(api.database, applied[number], code=codes[number], now=api.now)
            return done.card.public_id if done.card else "none"
        client = api.app.test_client()
        headers = {"Authorization": f"Bearer {api.secret}"}
        if number == 2:
            found = client.post(
                f"/api/v1/cards/{card}/verification", json={"proof": till}, headers=headers
            )
            return str(found.get_json()["id"])
        found = client.post("/api/v1/members", json=ANNA, headers=headers)
        return str(found.get_json()["card_id"])

    assert together(4, door) == [card] * 4
    with api.database.read_tx() as session:
        assert session.exec(select(Card)).one().verified_at == api.now
