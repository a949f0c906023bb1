"""Bad input to every call: a clear 4xx that names the field, never a 500, nothing written."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.api.conftest import ANNA, Api
from tests.api.sending import post

GOOD = {"amount": 10, "reason": "x"}

# What is sent, and what must come back: status, code, and the field it names.
MALFORMED: list[tuple[bytes, str]] = [
    (b"", "required"),
    (b"   ", "required"),
    (b"{", "malformed_json"),
    (b'{"amount": 1,}', "malformed_json"),
    (b"[]", "wrong_type"),
    (b"null", "wrong_type"),
    (b'"text"', "wrong_type"),
    (b"1", "wrong_type"),
    (b"\xff\xfe{}", "malformed_json"),
    (b"\xef\xbb\xbf{}", "malformed_json"),
    (b'{"a": NaN}', "malformed_json"),
    (b'{"a": Infinity}', "malformed_json"),
    (b'{"a": ' + b"9" * 5000 + b"}", "malformed_json"),
    (b"[" * 200_000, "malformed_json"),
    (b'{"a":' * 100_000, "malformed_json"),
    (b"{} {}", "malformed_json"),
    (b"'{}'", "malformed_json"),
]

MEMBERS: list[tuple[dict[str, Any], str, str]] = [
    ({"phone": None}, "phone", "wrong_type"),
    ({"phone": 79001234567}, "phone", "wrong_type"),
    ({"phone": ["+79001234567"]}, "phone", "wrong_type"),
    ({"phone": {"e164": "+79001234567"}}, "phone", "wrong_type"),
    ({"phone": ""}, "phone", "invalid_phone"),
    ({"phone": "12345"}, "phone", "invalid_phone"),
    ({"phone": "+7 900 123-45-6"}, "phone", "invalid_phone"),
    ({"phone": "8-800-COFFEE-1"}, "phone", "invalid_phone"),
    ({"phone": "+79001234567 ext 4"}, "phone", "invalid_phone"),
    ({"phone": "+79001234567\x00"}, "phone", "invalid_characters"),
    ({"phone": "9" * 1000}, "phone", "too_long"),
    ({"first_name": ""}, "first_name", "too_short"),
    ({"first_name": " \t "}, "first_name", "required"),
    ({"first_name": "А" * 81}, "first_name", "too_long"),
    ({"first_name": "А\x00нна"}, "first_name", "invalid_characters"),
    ({"first_name": "А\x07нна"}, "first_name", "invalid_characters"),
    ({"first_name": "\ud83d"}, "first_name", "invalid_characters"),
    ({"first_name": True}, "first_name", "wrong_type"),
    ({"first_name": None}, "first_name", "wrong_type"),
    ({"last_name": 5}, "last_name", "wrong_type"),
    ({"birthday": "1991-13-01"}, "birthday", "invalid_date"),
    ({"birthday": "23.04.1991"}, "birthday", "invalid_date"),
    ({"birthday": 19910423}, "birthday", "wrong_type"),
    ({"birthday": "2026-11-21"}, "birthday", "out_of_range"),
    ({"birthday": "1066-10-14"}, "birthday", "out_of_range"),
    ({"language": "de"}, "language", "not_allowed"),
    ({"language": None}, "language", "not_allowed"),
    ({"programme": "nope"}, "programme", "unknown"),
    ({"programme": "other"}, "programme", "unknown"),
    ({"programme": "a\x00"}, "programme", "invalid_characters"),
    ({"programme": "x" * 41}, "programme", "too_long"),
    ({"programme": 1}, "programme", "wrong_type"),
    ({"points": 5}, "points", "unknown_field"),
    ({"na\x00me": 5}, "na?me", "invalid_characters"),
]

ADJUSTMENTS: list[tuple[dict[str, Any], str, str]] = [
    ({"amount": True}, "amount", "wrong_type"),
    ({"amount": "10"}, "amount", "wrong_type"),
    ({"amount": 10.0}, "amount", "wrong_type"),
    ({"amount": 1e3}, "amount", "wrong_type"),
    ({"amount": None}, "amount", "wrong_type"),
    ({"amount": [1]}, "amount", "wrong_type"),
    ({"amount": {"amount": 1, "currency": "RUB"}}, "amount", "wrong_type"),
    ({"amount": 0}, "amount", "out_of_range"),
    ({"amount": 10**15 + 1}, "amount", "out_of_range"),
    ({"amount": -(10**15) - 1}, "amount", "out_of_range"),
    ({"amount": 2**63}, "amount", "out_of_range"),
    ({"amount": 10**400}, "amount", "out_of_range"),
    ({"reason": ""}, "reason", "too_short"),
    ({"reason": "  "}, "reason", "required"),
    ({"reason": "x" * 201}, "reason", "too_long"),
    ({"reason": "a\x00b"}, "reason", "invalid_characters"),
    ({"reason": "\udfff"}, "reason", "invalid_characters"),
    ({"reason": 5}, "reason", "wrong_type"),
    ({"reason": None}, "reason", "wrong_type"),
    ({"dry_run": True}, "dry_run", "unknown_field"),
    ({"available_from": "2026-12-01"}, "available_from", "invalid_format"),
    ({"available_from": "2026-12-01T00:00:00"}, "available_from", "invalid_format"),
    ({"available_from": "2201-01-01T00:00:00Z"}, "available_from", "not_allowed"),
    ({"available_from": 1}, "available_from", "invalid_format"),
    ({"expires_on": "2026-11-19"}, "expires_on", "invalid"),
    ({"expires_on": "soon"}, "expires_on", "invalid_date"),
    ({"expires_on": "2201-01-01"}, "expires_on", "invalid"),
    ({"expires_at": "2026-11-20T09:30:00Z"}, "expires_at", "invalid"),
    ({"expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at", "invalid_format"),
    ({"expires_at": "2201-01-01T00:00:00Z"}, "expires_at", "not_allowed"),
    (
        {"expires_on": "2026-12-01", "expires_at": "2026-12-01T00:00:00Z"},
        "expires_at",
        "not_allowed",
    ),
    (
        {"available_from": "2026-12-02T09:00:00Z", "expires_on": "2026-12-01"},
        "expires_on",
        "not_allowed",
    ),
    (
        {"available_from": "2026-12-02T09:00:00Z", "expires_at": "2026-12-02T09:00:00Z"},
        "expires_at",
        "invalid",
    ),
    ({"amount": -1, "available_from": "2026-12-01T00:00:00Z"}, "available_from", "not_allowed"),
    ({"amount": -1, "expires_on": "2026-12-01"}, "expires_on", "not_allowed"),
    ({"amount": -1, "expires_at": "2026-12-01T00:00:00Z"}, "expires_at", "not_allowed"),
    ({"amount": -1, "promotional": True}, "promotional", "not_allowed"),
    ({"promotional": "yes"}, "promotional", "wrong_type"),
    ({"promotional": None}, "promotional", "wrong_type"),
]


def _field(answer: Any) -> tuple[str, str]:
    first = answer.get_json()["errors"][0]
    return first["field"], first["code"]


def test_a_body_that_is_no_json_object_is_refused(api: Api, card: str) -> None:
    """Whatever arrives instead of a JSON object, the answer says what is wrong with it."""
    before = api.rows()
    for raw, code in MALFORMED:
        for path in ("/members", f"/cards/{card}/adjustments"):
            answer = post(api, path, raw)
            assert answer.status_code == 400, (raw[:40], answer.text)
            assert _field(answer) == ("body", code), raw[:40]
    assert api.rows() == before


def test_every_wrong_field_of_a_member_is_named(api: Api) -> None:
    """One field wrong at a time: its path and what is wrong with it."""
    before = api.rows()
    for change, field, code in MEMBERS:
        answer = post(api, "/members", json.dumps(ANNA | change).encode())
        assert answer.status_code == 400, (change, answer.text)
        assert _field(answer) == (field, code), change
    assert api.rows() == before


def test_every_wrong_field_of_an_adjustment_is_named(api: Api, card: str) -> None:
    """Amounts are whole numbers and nothing that merely looks like one."""
    before = api.rows()
    for change, field, code in ADJUSTMENTS:
        raw = json.dumps(GOOD | change).encode()
        answer = post(api, f"/cards/{card}/adjustments", raw)
        assert answer.status_code == 400, (change, answer.text)
        assert _field(answer) == (field, code), change
    assert api.rows() == before


def test_missing_fields_are_named(api: Api, card: str) -> None:
    """Each field that is needed and not there."""
    for path, whole, needed in (
        ("/members", ANNA, ("programme", "phone", "first_name")),
        (f"/cards/{card}/adjustments", GOOD, ("amount", "reason")),
    ):
        for name in needed:
            raw = json.dumps({key: whole[key] for key in whole if key != name}).encode()
            answer = post(api, path, raw)
            assert (answer.status_code, _field(answer)) == (400, (name, "required"))


def test_all_errors_come_at_once(api: Api) -> None:
    """Nobody has to fix one field to hear of the next."""
    raw = json.dumps(
        {"phone": "1", "first_name": "\x00", "last_name": 3, "birthday": "x", "extra": 1}
    ).encode()
    answer = post(api, "/members", raw)
    fields = {item["field"] for item in answer.get_json()["errors"]}
    assert fields == {"programme", "phone", "first_name", "last_name", "birthday", "extra"}


def test_a_key_given_twice_is_refused(api: Api, card: str) -> None:
    """Which of the two was meant is anybody's guess."""
    answer = post(
        api, f"/cards/{card}/adjustments", b'{"amount": 1, "amount": 1000, "reason": "x"}'
    )
    assert (answer.status_code, _field(answer)) == (400, ("amount", "duplicate_key"))


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"],
)
def test_a_body_of_another_type_is_415(api: Api, card: str, content_type: str) -> None:
    """A form or a text is not taken for JSON."""
    before = api.rows()
    for path in ("/members", f"/cards/{card}/adjustments"):
        answer = post(api, path, b"{}", **{"Content-Type": content_type})
        assert (answer.status_code, answer.get_json()["code"]) == (415, "wrong_content_type")
    assert api.rows() == before


def test_a_body_in_chunks_is_411(api: Api, card: str) -> None:
    """A chunked body would be cut at the limit without a word."""
    before = api.rows()
    for path in ("/members", f"/cards/{card}/adjustments"):
        chunked: list[dict[str, Any]] = [
            {"headers": {"Transfer-Encoding": "chunked"}, "data": b"{}"},
            {"environ_overrides": {"CONTENT_LENGTH": "many"}},
        ]
        for options in chunked:
            answer = api.call("POST", path, **options)
            assert (answer.status_code, answer.get_json()["code"]) == (411, "length_required")
    assert api.rows() == before


def test_no_length_is_no_body(api: Api, card: str) -> None:
    """Calls without a body need no header for that; others name what is missing."""
    unsaid: dict[str, Any] = {"environ_overrides": {"wsgi.input": io.BytesIO(b"{}")}}
    published = api.call("POST", "/programmes/shop/rules/publish", **unsaid)
    assert published.get_json()["code"] == "conflict", published.text  # no draft
    answer = api.call("POST", "/members", headers={"Content-Type": "application/json"}, **unsaid)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_input")


def test_a_body_over_a_mebibyte_is_413(api: Api, card: str) -> None:
    """Refused by its length, before it is read."""
    before = api.rows()
    raw = b'{"reason": "' + b"x" * 1024 * 1024 + b'"}'
    for path in ("/members", f"/cards/{card}/adjustments"):
        answer = post(api, path, raw)
        assert (answer.status_code, answer.get_json()["code"]) == (413, "too_large")
    assert api.rows() == before


def test_moving_value_needs_a_sane_idempotency_key(api: Api, card: str) -> None:
    """None at all has a code of its own; an odd one is refused."""
    before = api.rows()
    path = f"/cards/{card}/adjustments"
    none = api.call("POST", path, json=GOOD)
    assert (none.status_code, none.get_json()["code"]) == (400, "idempotency_key_required")
    for key in ("", " ", "a b", "x" * 201, "ключ".encode().decode("latin1")):
        answer = api.call("POST", path, json=GOOD, headers={"Idempotency-Key": key})
        assert (answer.status_code, _field(answer)[0]) == (400, "Idempotency-Key"), key
    assert api.rows() == before


def test_odd_parameters_are_named(api: Api, card: str) -> None:
    """An unknown parameter may be a mistyped dry_run: it is refused, not ignored."""
    before = api.rows()
    for query, field in [
        ("dryrun=true", "dryrun"),
        ("dry_run=yes", "dry_run"),
        ("dry_run=", "dry_run"),
        ("dry_run=1", "dry_run"),
        ("dry_run=TRUE", "dry_run"),
        ("dry_run=true&dry_run=false", "dry_run"),
        ("%00=1", "?"),
        ("%ff=1", "%FF"),
    ]:
        answer = post(api, f"/cards/{card}/adjustments?{query}", json.dumps(GOOD).encode())
        assert (answer.status_code, _field(answer)[0]) == (400, field), query
    for query, field in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1_0", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("cursor=", "cursor"),
        ("cursor=nonsense", "cursor"),
        ("cursor=" + "0" * 20, "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%ff%fe", "cursor"),
        ("cursor=" + "a" * 3000, "cursor"),
        ("offset=5", "offset"),
    ]:
        answer = api.call("GET", f"/cards/{card}/transactions?{query}")
        assert (answer.status_code, _field(answer)[0]) == (400, field), query
    assert _field(api.call("GET", f"/cards/{card}?x=1")) == ("x", "unknown_field")
    assert _field(api.call("GET", f"/cards/{card}", data=b"{}")) == ("body", "unknown_field")
    assert api.rows() == before


ODD_IDS = [
    "0" * 20, "x", "1", "-1", "0", "null", "%00", "%ff", "%2e%2e", "..", "a%2fb", "a%00b",
    "%D0%B0", "' OR 1=1 --", "a" * 5000, "%25%30%30", "%0a", "\u202e",
]  # fmt: skip


@pytest.mark.parametrize("tail", ["", "/transactions", "/adjustments"])
def test_unknown_and_odd_ids_are_404(api: Api, tail: str) -> None:
    """Whatever stands where a card's id belongs."""
    before = api.rows()
    for card_id in ODD_IDS:
        path = f"/cards/{card_id}{tail}"
        if tail == "/adjustments":
            answer = post(api, path, json.dumps(GOOD).encode())
        else:
            answer = api.call("GET", path)
        assert answer.status_code == 404, (card_id, answer.text)
        assert answer.get_json()["code"] == "not_found"
    assert api.rows() == before


def test_odd_paths_and_methods_are_4xx(api: Api) -> None:
    """No redirect, no guess, no crash."""
    before = api.rows()
    for path in ["", "/", "//", "/members/", "//members", "/%00", "/%ff", "/members%00",
                 "/../members", "/MEMBERS", "/" + "a" * 20_000, "/cards", "/cards/"]:  # fmt: skip
        answer = api.call("GET", path)
        assert answer.status_code in (404, 405), (path, answer.status_code)
        assert answer.mimetype == "application/problem+json"
    for method in ("GET", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        answer = api.call(method, "/members", data=b"{}")
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
        assert answer.get_json()["code"] == "method_not_allowed"
    assert api.rows() == before
