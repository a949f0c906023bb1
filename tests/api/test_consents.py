"""Consents over HTTP: texts, agreements, withdrawals, and the record of it all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from tests.api.proving import ask, code_of, told, try_code
from tests.messaging.making import add_gateway
from walletsvc.access.rules import Scope

WORDS = {"title": {"ru": "Согласие на рекламу"}, "body": {"ru": "Согласен.\n\nSMS, почта."}}
BODILESS = {"CONTENT_LENGTH": "0"}


def texts(api: Api, **options: Any) -> dict[str, dict[str, Any]]:
    items = api.call("GET", "/consent-texts", **options).get_json()["items"]
    return {each["purpose"]: each for each in items}


def publish(api: Api, **changes: Any) -> TestResponse:
    return api.call("POST", "/consent-texts", json={"purpose": "advertising"} | WORDS | changes)


@pytest.fixture
def person(api: Api) -> str:
    with api.database.write_tx() as session:
        add_gateway(session, api.now)
    return str(api.member()["person"]["id"])


def give(api: Api, person: str, words: str, **more: Any) -> TestResponse:
    return api.call(
        "POST", f"/persons/{person}/consents", json={"text": words, "way": "till"} | more
    )


def withdraw(api: Api, person: str, query: str, **options: Any) -> TestResponse:
    return api.call(
        "DELETE", f"/persons/{person}/consents?{query}", environ_overrides=BODILESS, **options
    )


def test_texts_come_with_the_service_until_there_are_own(api: Api) -> None:
    """The first who asks has them published; each organisation has its own."""
    reader = api.key(Scope.CONSENTS_READ)
    first = texts(api, secret=reader)
    assert list(first) == ["data", "advertising"]
    assert first["data"]["version"] == 1
    assert "Лавка shop" in first["data"]["body"]["ru"]
    assert first["data"]["title"]["en"] == "Consent to the processing of personal data"
    published = publish(api)
    assert published.status_code == 201, published.text
    own = published.get_json()
    assert (own["version"], own["title"]) == (2, {"ru": "Согласие на рекламу", "en": None})
    assert texts(api)["advertising"] == own
    assert publish(api).get_json() == own
    former = api.call("GET", f"/consent-texts/{first['advertising']['id']}").get_json()
    assert former == first["advertising"] | {"retired_at": "2026-11-20T09:30:00Z"}
    theirs = api.key(shop=api.other)
    assert "Лавка other" in texts(api, secret=theirs)["data"]["body"]["ru"]
    assert api.call("GET", f"/consent-texts/{own['id']}", secret=theirs).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"purpose": "x"}, "purpose"),
        ({"title": {}}, "title"),
        ({"title": {}, "body": {}}, "body"),
        ({"body": {"ru": " "}}, "body.ru"),
        ({"body": {"ru": "x" * 20_001}}, "body.ru"),
        ({"title": {"ru": "x", "en": "x"}}, "title"),
        ({"title": {"kk": "x"}}, "title.kk"),
        ({"body": "x"}, "body"),
    ],
)
def test_wrong_words_are_named(api: Api, changes: dict[str, Any], field: str) -> None:
    before = api.rows()
    answer = publish(api, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.get_json()["errors"][0]["field"] == field
    assert api.rows() == before


def test_the_record_of_a_consent(api: Api, person: str) -> None:
    """Given at the till with a proof, then taken back: everything is there to be shown."""
    words = texts(api)
    proof = ask(api).get_json()["id"]
    try_code(api, proof, code_of(told(api)))
    unsaid = give(api, person, words["advertising"]["id"], channels=["sms"], proof=proof)
    assert (unsaid.status_code, unsaid.get_json()["errors"][0]["field"]) == (400, "proof")
    proof = ask(api, advertising=True).get_json()["id"]
    try_code(api, proof, code_of(told(api)))
    given = give(api, person, words["advertising"]["id"], channels=["sms", "email"], proof=proof)
    assert given.status_code == 201, given.text
    assert give(api, person, words["data"]["id"], way="crm").status_code == 201
    record = api.call("GET", f"/persons/{person}/consents").get_json()["items"]
    assert [(each["purpose"], each["channel"], each["way"]) for each in record] == [
        ("advertising", "email", "till"),
        ("advertising", "sms", "till"),
        ("data", None, "crm"),
    ]
    sms = record[1]
    assert sms == {
        "id": sms["id"],
        "purpose": "advertising",
        "channel": "sms",
        "text": words["advertising"]["id"],
        "text_version": 1,
        "text_digest": words["advertising"]["digest"],
        "way": "till",
        "language": "ru",
        "phone": "+79001234567",
        "proof": proof,
        "actor": sms["actor"],
        "given_at": "2026-11-20T09:30:00Z",
        "withdrawn_at": None,
        "withdrawn_way": None,
        "withdrawn_actor": None,
    }
    api.clock = api.now + timedelta(days=1)
    ended = withdraw(api, person, "purpose=advertising&channel=sms&way=crm").get_json()["items"]
    assert [(each["id"], each["withdrawn_at"], each["withdrawn_way"]) for each in ended] == [
        (sms["id"], "2026-11-21T09:30:00Z", "crm")
    ]
    again = withdraw(api, person, "purpose=advertising&channel=sms&way=crm").get_json()
    assert again == {"items": []}
    assert len(withdraw(api, person, "purpose=data&way=staff").get_json()["items"]) == 2
    assert len(api.call("GET", f"/persons/{person}/consents").get_json()["items"]) == 3


def test_a_proof_counts_once_and_for_its_own_person(api: Api, person: str) -> None:
    """Of a stranger's phone it proves nothing; a refusal does not use it up."""
    words = texts(api)["advertising"]["id"]
    stranger = str(api.member(phone="+79005550001", first_name="Борис")["person"]["id"])
    proof = ask(api, advertising=True).get_json()["id"]
    unproven = give(api, person, words, channels=["sms"], proof=proof)
    assert (unproven.status_code, unproven.get_json()["code"]) == (422, "phone_not_proven")
    try_code(api, proof, code_of(told(api)))
    refused = give(api, stranger, words, channels=["sms"], proof=proof)
    assert refused.get_json()["errors"][0]["field"] == "proof"
    other = give(api, person, words, channels=["sms"], proof=proof, phone="+79005550001")
    assert other.get_json()["code"] == "phone_not_proven"
    assert give(api, person, words, channels=["sms"], proof=proof).status_code == 201
    used = give(api, person, words, channels=["sms"], proof=proof)
    assert (used.status_code, used.get_json()["code"]) == (422, "phone_not_proven")


@pytest.mark.parametrize(
    ("more", "field", "code"),
    [
        ({"text": "nonsense"}, "text", "unknown"),
        ({"text": "0" * 20}, "text", "unknown"),
        ({"channels": []}, "channels", "required"),
        ({"channels": ["pigeon"]}, "channels.0", "not_allowed"),
        ({"way": "page"}, "way", "not_allowed"),
        ({"language": "kk"}, "language", "not_allowed"),
        ({"phone": "1"}, "phone", "invalid_phone"),
    ],
)
def test_a_wrong_consent_is_named(
    api: Api, person: str, more: dict[str, Any], field: str, code: str
) -> None:
    words = texts(api)["advertising"]["id"]
    before = api.rows()
    answer = give(api, person, **{"words": words, "channels": ["sms"]} | more)
    assert answer.status_code == 400, answer.text
    first = answer.get_json()["errors"][0]
    assert (first["field"], first["code"]) == (field, code)
    assert api.rows() == before


def test_persons_of_others_are_not_there(api: Api, person: str) -> None:
    theirs = api.key(shop=api.other)
    words = texts(api, secret=theirs)["data"]["id"]
    path = f"/persons/{person}/consents"
    calls = (
        api.call("GET", path, secret=theirs),
        api.call("POST", path, json={"text": words, "way": "crm"}, secret=theirs),
        withdraw(api, person, "purpose=data&way=crm", secret=theirs),
        api.call("GET", "/persons/nonsense/consents"),
    )
    assert [answer.status_code for answer in calls] == [404] * 4


@pytest.mark.parametrize(
    "query", ["", "purpose=x&way=crm", "purpose=data", "purpose=data&channel=sms&way=crm"]
)
def test_a_wrong_withdrawal(api: Api, person: str, query: str) -> None:
    assert withdraw(api, person, query).status_code == 400
