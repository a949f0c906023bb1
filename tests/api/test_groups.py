"""Groups over HTTP: inviting, joining, leaving, who did what, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from tests.api.fuzzing import ANY_JSON, FUZZ, fuzzed
from tests.api.sending import post
from walletsvc.access.rules import Scope

GROUP = "/cards/{}/group"
LEAVE = "/cards/{}/group/leave"
BODILESS = {"CONTENT_LENGTH": "0"}


@pytest.fixture
def cards(api: Api) -> list[str]:
    """Three cards under one phone; the first has a hundred points, the second forty."""
    ids = [str(api.member(first_name=name)["card"]["id"]) for name in ("Анна", "Борис", "Вера")]
    api.adjust(ids[0], 100)
    api.adjust(ids[1], 40)
    return ids


def send(api: Api, path: str, body: dict[str, Any], **options: Any) -> TestResponse:
    """A POST with a key of its own."""
    api.keys += 1
    headers = {"Idempotency-Key": options.pop("key", f"key-{api.keys}")}
    return api.call("POST", path, json=body, headers=headers, **options)


def invite(api: Api, card: str) -> str:
    answer = api.call("POST", f"/cards/{card}/group-invitations", environ_overrides=BODILESS)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["code"])


def balances(api: Api, cards: list[str]) -> list[int]:
    return [api.call("GET", f"/cards/{card}").get_json()["balance"] for card in cards]


def test_the_whole_story(api: Api, cards: list[str]) -> None:
    """Invite, join, earn and spend together, look, leave."""
    api.clock = api.now + timedelta(minutes=1)
    invited = api.call(
        "POST", f"/cards/{cards[0]}/group-invitations", environ_overrides=BODILESS
    ).get_json()
    assert invited["expires_at"] == "2026-11-21T09:31:00Z"
    joined = send(api, GROUP.format(cards[1]), {"code": invited["code"]})
    assert joined.status_code == 200, joined.text
    body = joined.get_json()
    assert (body["brought"], body["balance"], body["dry_run"]) == (40, 140, False)
    assert (body["transaction"]["type"], body["transaction"]["amount"]) == ("merge", 40)
    assert body["transaction"]["card"] == cards[1]
    shown = api.call("GET", f"/cards/{cards[1]}").get_json()
    assert (shown["balance"], shown["group"]) == (140, body["group"])
    api.adjust(cards[1], -90)
    api.adjust(cards[0], 15)
    assert balances(api, cards) == [65, 65, 0]
    for card in cards[:2]:
        history = api.call("GET", f"/cards/{card}/transactions").get_json()["items"]
        assert [(item["amount"], item["card"]) for item in history[:3]] == [
            (15, cards[0]), (-90, cards[1]), (40, cards[1]),
        ]  # fmt: skip
    group = api.call("GET", GROUP.format(cards[0])).get_json()
    assert group == api.call("GET", f"/groups/{body['group']}").get_json()
    assert (group["balance"], group["programme"]["slug"]) == (65, "shop")
    assert [
        (m["card"]["id"], m["proof"], m["brought"], m["earned"], m["spent"])
        for m in group["members"]
    ] == [(cards[0], "founder", 100, 15, 0), (cards[1], "invitation", 40, 0, 90)]
    left = send(api, LEAVE.format(cards[1]), {"take": 25}).get_json()
    assert left == {
        "taken": 25,
        "balance": 25,
        "stays": [],
        "group_closed": True,
        "transaction": left["transaction"],
        "dry_run": False,
    }
    assert (left["transaction"]["type"], left["transaction"]["amount"]) == ("transfer", 25)
    assert balances(api, cards) == [40, 25, 0]
    assert api.call("GET", GROUP.format(cards[0])).status_code == 404
    ended = api.call("GET", f"/groups/{body['group']}").get_json()
    assert ended["closed_at"] == "2026-11-20T09:31:00Z"
    assert [m["left_with"] for m in ended["members"]] == [40, 25]


def test_staff_let_a_card_in_with_a_reason(api: Api, cards: list[str]) -> None:
    """Which needs a scope of its own: the key of a till is not enough."""
    body = {"card_id": cards[0], "reason": "Мама и дочь"}
    till = api.key(Scope.GROUPS_WRITE)
    before = api.rows() | {"limit_counters": 0}
    refused = send(api, GROUP.format(cards[1]), body, secret=till)
    assert (refused.status_code, refused.get_json()["scope"]) == (403, "groups:approve")
    assert api.rows() | {"limit_counters": 0} == before
    joined = send(api, GROUP.format(cards[1]), body)
    assert joined.get_json()["transaction"]["reason"] == "Мама и дочь"
    members = api.call("GET", GROUP.format(cards[1])).get_json()["members"]
    assert (members[1]["proof"], members[1]["reason"]) == ("staff", "Мама и дочь")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "body", "required"),
        ({"code": "7KM-4QX-9RT", "card_id": "x", "reason": "x"}, "body", "required"),
        ({"card_id": "x"}, "body", "required"),
        ({"code": "7KM-4QX-9RT", "reason": "x"}, "body", "required"),
        ({"code": ""}, "code", "invalid_code"),
        ({"code": "Щ" * 9}, "code", "invalid_code"),
        ({"code": "x" * 65}, "code", "too_long"),
        ({"code": 5}, "code", "wrong_type"),
        ({"code": "222-222-222"}, "code", "unknown"),
        ({"card_id": "nonsense", "reason": "x"}, "card_id", "unknown"),
        ({"card_id": "0" * 20, "reason": "x"}, "card_id", "unknown"),
        ({"card_id": "0" * 20, "reason": " "}, "reason", "required"),
        ({"card_id": "0" * 20, "reason": "a\x00"}, "reason", "invalid_characters"),
        ({"code": "7KM-4QX-9RT", "take": 1}, "take", "unknown_field"),
    ],
)
def test_every_wrong_proof_is_named(
    api: Api, cards: list[str], body: dict[str, Any], field: str, code: str
) -> None:
    """What is wrong with which field; nothing is written but the count of tries."""
    before = api.rows() | {"limit_counters": 0}
    answer = send(api, GROUP.format(cards[1]), body)
    assert answer.status_code == 400, answer.text
    first = answer.get_json()["errors"][0]
    assert (first["field"], first["code"]) == (field, code)
    assert api.rows() | {"limit_counters": 0} == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"take": -1}, "out_of_range"),
        ({"take": 10**15 + 1}, "out_of_range"),
        ({"take": 1.0}, "wrong_type"),
        ({"take": "1"}, "wrong_type"),
        ({"take": True}, "wrong_type"),
        ({"take": None}, "wrong_type"),
    ],
)
def test_every_wrong_part_is_named(
    api: Api, cards: list[str], body: dict[str, Any], code: str
) -> None:
    """Whole numbers from nothing up."""
    answer = send(api, LEAVE.format(cards[1]), body)
    first = answer.get_json()["errors"][0]
    assert (answer.status_code, first["field"], first["code"]) == (400, "take", code)


def test_leaving_with_too_much_says_what_there_is(api: Api, cards: list[str]) -> None:
    """Nothing is written."""
    send(api, GROUP.format(cards[1]), {"code": invite(api, cards[0])})
    before = api.rows()
    answer = send(api, LEAVE.format(cards[1]), {"take": 141})
    body = answer.get_json()
    assert (answer.status_code, body["code"], body["available"]) == (422, "insufficient_funds", 140)
    assert api.rows() == before


def test_dry_runs_write_nothing(api: Api, cards: list[str]) -> None:
    """They answer as usual, without ids of what is not there."""
    code = invite(api, cards[0])
    before = api.rows() | {"limit_counters": 0}
    tried = send(api, GROUP.format(cards[1]) + "?dry_run=true", {"code": code}).get_json()
    assert (tried["group"], tried["brought"], tried["balance"]) == (None, 40, 140)
    assert (tried["transaction"]["id"], tried["dry_run"]) == (None, True)
    assert api.rows() | {"limit_counters": 0} == before
    send(api, GROUP.format(cards[1]), {"code": code})
    before = api.rows()
    tried = send(api, LEAVE.format(cards[1]) + "?dry_run=true", {"take": 30}).get_json()
    assert (tried["taken"], tried["group_closed"], tried["dry_run"]) == (30, True, True)
    assert api.rows() == before
    assert balances(api, cards) == [140, 140, 0]


def test_trying_to_leave_tells_what_would_stay(api: Api, cards: list[str]) -> None:
    """The dry run as the answer: amounts, dates, and who earned them."""
    send(api, GROUP.format(cards[1]), {"code": invite(api, cards[0])})
    promised = {"amount": 25, "reason": "x", "available_from": "2026-12-01T00:00:00Z"}
    assert send(api, f"/cards/{cards[1]}/adjustments", promised).status_code == 200
    tried = send(api, LEAVE.format(cards[1]) + "?dry_run=true", {"take": 40}).get_json()
    assert tried["stays"] == [
        {
            "amount": 25,
            "available_from": "2026-12-01T00:00:00Z",
            "expires_at": None,
            "card": cards[1],
        }
    ]
    done = send(api, LEAVE.format(cards[1]), {"take": 40}).get_json()
    assert done["stays"] == tried["stays"]


def test_a_retry_joins_and_leaves_once(api: Api, cards: list[str]) -> None:
    """Byte for byte the first answer, though the code is used by now."""
    body = {"code": invite(api, cards[0])}
    first, again = (send(api, GROUP.format(cards[1]), body, key="join") for _ in range(2))
    assert (first.status_code, first.data) == (200, again.data)
    first, again = (send(api, LEAVE.format(cards[1]), {"take": 5}, key="go") for _ in range(2))
    assert (first.status_code, first.data) == (200, again.data)
    assert balances(api, cards) == [135, 5, 0]


def test_value_moves_with_a_key_only(api: Api, cards: list[str]) -> None:
    """As everywhere."""
    for path, body in ((GROUP, {"code": "x"}), (LEAVE, {"take": 1})):
        answer = api.call("POST", path.format(cards[1]), json=body)
        assert answer.get_json()["code"] == "idempotency_key_required"


def test_a_code_is_answered_once_and_kept_nowhere(api: Api, cards: list[str]) -> None:
    """Not even as the stored answer of a retry."""
    code = invite(api, cards[0])
    send(api, GROUP.format(cards[1]), {"code": code})
    with api.database.read_tx() as session:
        kept = session.execute(text("SELECT body FROM idempotency_keys")).scalars()
        assert not any(code.encode() in (body or b"") for body in kept)


def test_codes_cannot_be_guessed(api: Api, cards: list[str]) -> None:
    """Twenty wrong ones for a card in an hour; good ones do not count, failures stay counted."""
    good = invite(api, cards[0])
    for _ in range(20):
        answer = send(api, GROUP.format(cards[1]), {"code": "222-222-222"})
        assert answer.status_code == 400
    answer = send(api, GROUP.format(cards[1]), {"code": good})
    body = answer.get_json()
    assert (answer.status_code, body["code"], body["retry_after"]) == (429, "too_many_tries", 1800)
    # Another card is not punished, and an hour later neither is this one.
    for _ in range(22):
        tried = send(api, GROUP.format(cards[2]) + "?dry_run=true", {"code": good})
        assert tried.status_code == 200
    api.clock = api.now + timedelta(hours=1)
    assert send(api, GROUP.format(cards[1]), {"code": good}).status_code == 200


def test_a_key_that_guesses_for_many_cards_is_stopped(api: Api, cards: list[str]) -> None:
    """Each card has its own limit, and the key one for all of them."""
    send(api, GROUP.format(cards[1]), {"code": "222-222-222"})
    with api.database.write_tx() as session:
        session.execute(text("UPDATE limit_counters SET tries = 300 WHERE name = 'group-code-key'"))
    assert send(api, GROUP.format(cards[2]), {"code": "222-222-222"}).status_code == 429
    other = send(api, GROUP.format(cards[2]), {"code": "222-222-222"}, secret=api.key())
    assert other.status_code == 400


def test_another_organisations_groups_do_not_exist(api: Api, cards: list[str]) -> None:
    """Neither card, nor group, nor code; foreign and unknown look alike."""
    code = invite(api, cards[0])
    group = send(api, GROUP.format(cards[1]), {"code": invite(api, cards[0])}).get_json()["group"]
    foreign = api.key(shop=api.other)
    theirs = api.call(
        "POST", "/members", secret=foreign,
        json={"programme": "other", "phone": "+79001112233", "first_name": "Зоя"},
    ).get_json()["card"]["id"]  # fmt: skip
    before = api.rows() | {"limit_counters": 0}
    answers = [
        api.call("GET", f"/groups/{group}", secret=foreign),
        api.call("GET", GROUP.format(cards[0]), secret=foreign),
        send(api, GROUP.format(cards[2]), {"code": code}, secret=foreign),
        send(api, LEAVE.format(cards[1]), {"take": 1}, secret=foreign),
        api.call("POST", f"/cards/{cards[0]}/group-invitations", secret=foreign,
                 environ_overrides=BODILESS),
    ]  # fmt: skip
    assert {(answer.status_code, answer.get_json()["code"]) for answer in answers} == {
        (404, "not_found")
    }
    for body in ({"code": code}, {"card_id": cards[0], "reason": "x"}):
        answer = send(api, GROUP.format(theirs), body, secret=foreign)
        assert answer.get_json()["errors"][0]["code"] == "unknown"
    assert api.rows() | {"limit_counters": 0} == before
    for odd in ("x", "0" * 20, "%00", "a" * 300):
        assert api.call("GET", f"/groups/{odd}").status_code == 404


def test_a_card_in_a_group_does_not_join_another(api: Api, cards: list[str]) -> None:
    """409, with what to do."""
    send(api, GROUP.format(cards[1]), {"code": invite(api, cards[0])})
    answer = send(api, GROUP.format(cards[1]), {"code": invite(api, cards[2])})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")
    assert "leave" in answer.get_json()["detail"]


def test_the_sixth_open_invitation_is_refused(api: Api, cards: list[str]) -> None:
    """422 with how many are open."""
    for _ in range(5):
        invite(api, cards[0])
    answer = api.call("POST", f"/cards/{cards[0]}/group-invitations", environ_overrides=BODILESS)
    assert (answer.status_code, answer.get_json()["open"]) == (422, 5)


def test_no_json_body_makes_joining_or_leaving_fail_badly(api: Api, cards: list[str]) -> None:
    """Whatever JSON comes: an answer or a clear 4xx."""
    code = invite(api, cards[0])
    proofs = st.fixed_dictionaries(
        {},
        optional={
            "code": st.sampled_from([code, "222-222-222"]) | st.text(max_size=70) | ANY_JSON,
            "card_id": st.sampled_from(cards) | st.text(max_size=20) | ANY_JSON,
            "reason": st.text(max_size=220) | ANY_JSON,
        },
    )
    parts = st.fixed_dictionaries({}, optional={"take": st.integers() | ANY_JSON})

    @FUZZ
    @given(body=proofs | parts | ANY_JSON, key=st.text("abc", min_size=1, max_size=5))
    def fuzz(body: Any, key: str) -> None:
        with api.database.write_tx() as session:
            session.execute(text("UPDATE limit_counters SET tries = 0"))
            session.execute(
                text("INSERT INTO limit_counters SELECT 'group-code-' || n, s,"
                     " '2026-11-20 09:00+00', 0 FROM (VALUES ('key', (SELECT public_id FROM"
                     " api_keys LIMIT 1)), ('card', :card)) v (n, s) ON CONFLICT DO NOTHING"),
                {"card": f"{api.shop.organisation.id}:{cards[1]}"},
            )  # fmt: skip
        raw = json.dumps(body).encode()
        headers: dict[str, Any] = {"Idempotency-Key": key}
        for path in (GROUP, LEAVE):
            fuzzed(api, partial(post, api, path.format(cards[1]), **headers), raw)

    fuzz()
