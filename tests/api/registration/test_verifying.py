"""Cards that count once their holder's phone is proven."""

from __future__ import annotations

import re

from sqlmodel import col, select

from tests.api.conftest import ANNA, Api
from tests.api.registration.till import (
    agreed,
    bill,
    messages,
    proof,
    publish,
    put,
    sell,
    texts,
)
from tests.concurrency.at_once import together
from walletsvc.enrolment import applying
from walletsvc.people.consents.models import Consent, ConsentChannel
from walletsvc.people.consents.service import may_advertise
from walletsvc.sales.models import Purchase


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
