"""The till registers: a code is sent, dictated, proven, and the card verified; staff, sources and
settings; finding people."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlmodel import col, select

from tests.api.conftest import ANNA, BASE, Api
from tests.concurrency.test_ledger import together
from tests.messaging.test_outbox import add_gateway
from walletsvc.cards.models import Card
from walletsvc.cards.plastic.service import add as add_number
from walletsvc.enrolment import applying
from walletsvc.enrolment.models import Registration
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Message
from walletsvc.people.consents.models import Consent, ConsentChannel, Purpose, Way
from walletsvc.people.consents.service import history, may_advertise
from walletsvc.people.models import Person, PersonPhone
from walletsvc.sales.models import Purchase

BODILESS = {"CONTENT_LENGTH": "0"}
SETTINGS = "/programmes/shop/enrolment"
RULES: dict[str, Any] = {
    "rules": {
        "earn": {"percent": "10"},
        "spend": {"max_share_percent": "50"},
        "events": {
            "registration": {"points": 300},
            "manual": {"review": {"name": {"ru": "Отзыв", "en": "Review"}, "points": 50}},
        },
        "promotions": [
            {
                "id": "week",
                "name": {"ru": "Неделя", "en": "Week"},
                "effect": {"kind": "discount", "percent": "20"},
            }
        ],
    }
}


@pytest.fixture(autouse=True)
def _gateways(api: Api) -> None:
    """Somebody carries messages."""
    with api.database.write_tx() as session:
        for channel in (Channel.SMS, Channel.EMAIL):
            add_gateway(session, api.now, channel)


def messages(api: Api) -> list[tuple[str, str]]:
    """Kind and words of what was written to somebody."""
    with api.database.read_tx() as session:
        rows = session.exec(select(Message).order_by(col(Message.id)))
        return [
            (each.kind.value, next(iter(json.loads(each.body or "{}").values()))["text"])
            for each in rows
        ]


def proof(api: Api, phone: str = ANNA["phone"], **more: Any) -> str:
    """A phone is proven as at a till."""
    body = {"programme": "shop", "phone": phone, "purpose": "till", **more}
    begun = api.call("POST", "/proofs", json=body)
    assert begun.status_code == 201, begun.text
    code = re.findall(r"\b\d{6}\b", messages(api)[-1][1])[0]
    found = str(begun.get_json()["id"])
    state = api.call("POST", f"/proofs/{found}/code", json={"code": code}).get_json()
    assert state["state"] == "proven"
    return found


def put(api: Api, **changes: Any) -> dict[str, Any]:
    """Change how the shop takes people in."""
    answer = api.call("PUT", SETTINGS, json=changes)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def publish(api: Api, rules: dict[str, Any] = RULES) -> None:
    """Publish the rules of the shop."""
    saved = api.call("PUT", "/programmes/shop/rules/draft", json=rules)
    assert saved.status_code == 200, saved.text
    api.call("POST", "/programmes/shop/rules/publish", environ_overrides=BODILESS)


def texts(api: Api) -> dict[str, str]:
    """The texts of today by purpose."""
    items = api.call("GET", "/consent-texts").get_json()["items"]
    return {each["purpose"]: each["id"] for each in items}


def agreed(api: Api) -> dict[str, Any]:
    """What goes with a proof of the till."""
    return {"consents": {"data": {"text": texts(api)["data"]}}}


def employee(api: Api, **more: Any) -> str:
    """Somebody who works for the shop."""
    made = api.call("POST", "/staff", json={"name": "Ольга", **more})
    assert made.status_code == 201, made.text
    return str(made.get_json()["id"])


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


def test_a_card_is_not_verified_by_a_strangers_phone(api: Api) -> None:
    card = api.member()["card"]["id"]
    found = proof(api, "+7 900 765-43-21")
    sent = {"proof": found, **agreed(api)}
    answer = api.call("POST", f"/cards/{card}/verification", json=sent)
    body = answer.get_json()
    assert (answer.status_code, body["errors"][0]["field"]) == (400, "proof")
    assert api.call("GET", f"/cards/{card}").get_json()["verified_at"] is None
    assert api.rows()["consents"] == 0


def test_a_verification_proves_no_advertising_that_its_message_did_not_name(api: Api) -> None:
    """It is written down as the cashier's word, and nothing may be sent on it."""
    member, words = api.member(), texts(api)
    consents = {
        "data": {"text": words["data"]},
        "advertising": {"text": words["advertising"], "channels": ["sms"]},
    }
    path = f"/cards/{member['card']['id']}/verification"
    done = api.call("POST", path, json={"proof": proof(api), "consents": consents})
    assert done.status_code == 200, done.text
    with api.database.read_tx() as session:
        data, advertising = session.exec(select(Consent).order_by(col(Consent.id))).all()
        assert (data.proof_id is not None, advertising.proof_id) == (True, None)
        assert not may_advertise(session, data.person_id, ConsentChannel.SMS)


def test_a_programme_may_want_proven_phones_only(api: Api) -> None:
    put(api, unproven=False)
    answer = api.call("POST", "/members", json=ANNA)
    assert answer.get_json()["errors"][0] == {
        "field": "proof",
        "message": "is needed: this programme registers proven phones only",
        "code": "required",
    }
    assert api.member(proof=proof(api), **agreed(api))["verified_at"] is not None


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


def bill(card: str, **more: Any) -> dict[str, Any]:
    """A bill of a hundred roubles."""
    return {"card_id": card, "total": {"amount": 10_000, "currency": "RUB"}, **more}


def sell(api: Api, card: str, number: str, **more: Any) -> Any:
    """A purchase."""
    return api.call(
        "POST",
        "/purchases",
        json={**bill(card, **more), "external_id": number},
        headers={"Idempotency-Key": number},
    )


def test_an_unverified_card_brings_nothing_until_it_is_verified(api: Api) -> None:
    """No welcome, no points, no discount, no spending, and each answer says why; then all of it,
    and the welcome once."""
    publish(api)
    put(api, verified_only=True)
    member = api.member()
    card = member["card"]["id"]
    api.adjust(card, 200)
    seen = api.call("POST", "/scans", json={"text": member["card"]["number"]}).get_json()
    assert (seen["problems"], seen["available"]) == (["not_verified"], 0)
    assert [note["code"] for note in seen["notes"]] == ["not_verified"]
    quote = api.call("POST", "/quotes?language=en", json=bill(card)).get_json()
    assert (quote["earned"], quote["most_points"], quote["discount"]["amount"]) == (0, 0, 0)
    assert [each["code"] for each in quote["explanation"]] == ["not_verified"]
    for refused in (
        api.call("POST", "/quotes", json=bill(card, points=10)),
        sell(api, card, "spent", points=10),
        api.call(
            "POST",
            "/holds",
            json={"card_id": card, "amount": 10, "seconds": 60, "reason": "x"},
            headers={"Idempotency-Key": "hold"},
        ),
        api.call(
            "POST",
            f"/cards/{card}/events",
            json={"event": "review"},
            headers={"Idempotency-Key": "event"},
        ),
    ):
        assert (refused.status_code, refused.get_json()["code"]) == (422, "not_verified")
    assert sell(api, card, "one").get_json()["earned"] == 0
    with api.database.read_tx() as session:
        assert session.exec(select(Purchase.tier_amount)).all() == [10_000]
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 200
    done = api.call("POST", f"/cards/{card}/verification", json={"proof": proof(api)})
    assert done.get_json()["balance"] == 500
    sold = sell(api, card, "two", points=10).get_json()
    assert sold["earned"] > 0
    assert sold["discount"]["amount"] == 2000
    assert (
        api.call("POST", "/scans", json={"text": member["card"]["number"]}).get_json()["problems"]
        == []
    )


def test_cards_stay_as_they_are_without_the_rule(api: Api) -> None:
    """Nobody asked for proofs, so nothing is kept back."""
    publish(api)
    card = api.member()["card"]["id"]
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 300
    assert sell(api, card, "one").get_json()["earned"] > 0


def test_the_settings_come_back_as_they_were_put(api: Api) -> None:
    """As a whole: what is left out is as at the beginning."""
    wanted = {
        "open": True,
        "verified_only": True,
        "fields": {"last_name": "required", "birthday": "hidden", "email": "optional"},
        "routes": ["call", "sms"],
        "till_text": {"ru": "Согласен на обработку: {link}"},
    }
    done = put(api, **wanted)
    assert done | wanted | {"till_text": done["till_text"]} == done
    assert done["join_url"] == f"{BASE}/join/shop"
    assert api.call("GET", SETTINGS).get_json() == done
    assert put(api)["open"] is False
    assert api.call("GET", SETTINGS).get_json()["verified_only"] is False


@pytest.mark.parametrize(
    "body",
    [{"fields": {"phone": "hidden"}}, {"routes": []}, {"routes": ["sms", "sms"]},
     {"till_text": {"de": "x"}}, {"till_text": {"ru": "Согласен со всем"}}, {"open": None}],
)  # fmt: skip
def test_settings_that_make_no_sense(api: Api, body: dict[str, Any]) -> None:
    assert api.call("PUT", SETTINGS, json=body).status_code == 400
    assert api.call("PUT", "/programmes/other/enrolment", json={}).status_code == 404


def test_the_till_says_its_own_words(api: Api) -> None:
    put(api, till_text={"ru": "Согласие: {link}"})
    proof(api)
    assert re.search(rf"Согласие: {BASE}/consents/\w+", messages(api)[0][1])


def test_sources_count_who_comes(api: Api) -> None:
    made = api.call(
        "POST",
        "/programmes/shop/join-sources",
        json={"branch": api.branch.public_id, "campaign": "Осень", "label": "Плакат"},
    ).get_json()
    assert made["url"] == f"{BASE}/j/{made['code']}"
    api.member(source=made["code"])
    (listed,) = api.call("GET", "/programmes/shop/join-sources").get_json()["items"]
    assert listed == made | {"applications": 0, "given_up": 0, "cards": 1}
    closed = api.call(
        "DELETE", f"/join-sources/{made['id']}", environ_overrides=BODILESS
    ).get_json()
    assert closed["closed_at"] is not None
    stranger = api.key(shop=api.other)
    gone = api.call(
        "DELETE", f"/join-sources/{made['id']}", secret=stranger, environ_overrides=BODILESS
    )
    assert gone.status_code == 404
    wrong = api.call("POST", "/programmes/shop/join-sources", json={"branch": "x"})
    assert wrong.get_json()["errors"][0]["field"] == "branch"


def test_staff_come_and_go(api: Api) -> None:
    olga = employee(api, phone="8 900 111-22-33", email="olga@example.com", language="en")
    ivan = employee(api, name="Иван")
    listed = api.call("GET", "/staff?limit=1").get_json()
    assert (listed["items"][0]["phone"], listed["next_cursor"]) == ("+79001112233", olga)
    rest = api.call("GET", f"/staff?cursor={olga}").get_json()["items"]
    assert [each["id"] for each in rest] == [ivan]
    gone = api.call("DELETE", f"/staff/{olga}", environ_overrides=BODILESS).get_json()
    assert gone["closed_at"] is not None
    refused = api.call("POST", "/members", json=ANNA | {"employee": olga})
    assert refused.get_json()["errors"][0]["code"] == "not_allowed"
    assert api.call("GET", "/staff?cursor=x").status_code == 400


def test_the_persons_own_employee_is_told(api: Api) -> None:
    """Before the branch's; by e-mail where there is one."""
    olga = employee(api, email="olga@example.com")
    api.member(responsible=olga)
    ((kind, words),) = messages(api)
    assert kind == "new_member"
    assert "Анна К." in words
    assert "900" not in words


def search(api: Api, **body: Any) -> list[dict[str, Any]]:
    """Whom this finds."""
    answer = api.call("POST", "/members/search", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["items"])


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
    "body", [{}, {"phone": "+79001234567", "name": "Анна"}, {"birthday": "1990-01-01"},
             {"phone": "+79001234567", "birthday": "1990-01-01"}, {"name": "x"}],
)  # fmt: skip
def test_one_thing_is_looked_for(api: Api, body: dict[str, Any]) -> None:
    assert api.call("POST", "/members/search", json=body).status_code == 400


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


def test_the_welcome_comes_once_however_many_verify(api: Api) -> None:
    publish(api)
    put(api, verified_only=True, open=True)
    words = texts(api)
    card = api.member()["card"]["id"]
    till = proof(api)
    form = applying.ApplicationForm(
        phone=ANNA["phone"], first_name="Анна", last_name="Кузнецова", data_text=words["data"]
    )
    application = applying.apply(
        api.database, programme_slug="shop", form=form, nonce="nonce-of-a-door-1", source=None,
        address="", language="ru", now=api.now,
    ).application  # fmt: skip
    code = re.findall(r"\b\d{6}\b", messages(api)[-1][1])[0]

    def verify(number: int) -> None:
        if number:
            applying.confirm(api.database, application, code=code, now=api.now)
        else:
            api.app.test_client().post(
                f"/api/v1/cards/{card}/verification",
                json={"proof": till},
                headers={"Authorization": f"Bearer {api.secret}"},
            )

    together(2, verify)
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 300
