"""Settings of joining, sources and staff."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.conftest import ANNA, BASE, Api
from tests.api.registration.till import (
    BODILESS,
    SETTINGS,
    employee,
    messages,
    proof,
    put,
    settings,
)


def test_the_settings_come_back_as_they_were_put(api: Api) -> None:
    """All of them, and so does what a GET answered."""
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
    assert put(api, verified_only=False) == done | {"verified_only": False}


@pytest.mark.parametrize(
    "name", ["open", "verified_only", "unproven", "card_link", "fields", "routes", "till_text"]
)
def test_a_setting_left_out_is_named(api: Api, name: str) -> None:
    """Taken as it was at the beginning, it would shut a form that is open."""
    before = put(api, open=True, verified_only=True)
    answer = api.call(
        "PUT", SETTINGS, json={each: value for each, value in settings(api).items() if each != name}
    )
    assert answer.status_code == 400
    assert [each["field"] for each in answer.get_json()["errors"]] == [name]
    assert api.call("GET", SETTINGS).get_json() == before


@pytest.mark.parametrize(
    "body",
    [{"fields": {"phone": "hidden"}}, {"routes": []}, {"routes": ["sms", "sms"]},
     {"till_text": {"de": "x"}}, {"till_text": {"ru": "Согласен со всем"}}, {"open": None}],
)  # fmt: skip
def test_settings_that_make_no_sense(api: Api, body: dict[str, Any]) -> None:
    wanted = settings(api)
    if "fields" in body:
        body = {"fields": wanted["fields"] | body["fields"]}
    answer = api.call("PUT", SETTINGS, json=wanted | body)
    assert answer.status_code == 400
    assert answer.get_json()["errors"][0]["field"].startswith(next(iter(body)))
    assert api.call("PUT", "/programmes/other/enrolment", json=wanted).status_code == 404


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
