"""Whatever is sent to a call: an answer or a clear 4xx, never a 5xx, nothing half-written."""

from __future__ import annotations

import json
from base64 import b64encode
from functools import partial
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.api.conftest import Api
from tests.api.fuzzing import A_MOMENT, ANY_JSON, FUZZ, fuzzed, never_5xx
from tests.api.sending import post
from tests.certificates.shop import gift_programme
from walletsvc.api.certificate_schemas import NewBatch, NewCertificate, Redemption, Refund


def _packed(raw: bytes) -> str:
    """Something that begins as a workbook does, in base64."""
    return b64encode(b"PK\x03\x04" + raw).decode()


LIKE_A_MEMBER = st.fixed_dictionaries(
    {},
    optional={
        "programme": st.sampled_from(["shop", "other", "nope"]) | ANY_JSON,
        "phone": st.sampled_from(["+79001234567", "89001112233", "+375291234567"]) | ANY_JSON,
        "first_name": st.text(max_size=90) | ANY_JSON,
        "last_name": st.text(max_size=90) | ANY_JSON,
        "birthday": st.dates().map(str) | ANY_JSON,
        "language": st.sampled_from(["ru", "en"]) | ANY_JSON,
    },
)
LIKE_AN_ADJUSTMENT = st.fixed_dictionaries(
    {},
    optional={
        "amount": st.integers(-(10**16), 10**16) | ANY_JSON,
        "reason": st.text(max_size=220) | ANY_JSON,
        "available_from": A_MOMENT,
        "expires_on": st.dates().map(str) | ANY_JSON,
        "expires_at": A_MOMENT,
        "promotional": st.booleans() | ANY_JSON,
    },
)
LIKE_A_HOLD = st.fixed_dictionaries(
    {},
    optional={
        "card_id": st.text(max_size=45) | ANY_JSON,
        "certificate_id": st.text(max_size=45) | ANY_JSON,
        "amount": st.integers(-5, 10**16) | ANY_JSON,
        "seconds": st.integers(0, 10**6) | ANY_JSON,
        "reason": st.text(max_size=220) | ANY_JSON,
    },
)
LIKE_A_BULK_CREDIT = st.fixed_dictionaries(
    {},
    optional={
        "programme": st.sampled_from(["shop", "other", "nope"]) | ANY_JSON,
        "amount": st.integers(-5, 10**16) | ANY_JSON,
        "reason": st.text(max_size=220) | ANY_JSON,
        "all_cards": st.booleans() | ANY_JSON,
        "cards": st.lists(st.text(max_size=20)) | ANY_JSON,
        "expires_on": st.dates().map(str) | ANY_JSON,
    },
)
LIKE_A_CERTIFICATE = st.fixed_dictionaries(
    {},
    optional={
        "programme": st.sampled_from(["gift", "shop", "nope"]) | ANY_JSON,
        "amount": st.integers(-5, 10**16) | ANY_JSON,
        "origin": st.sampled_from(["paid", "free"]) | ANY_JSON,
        "recipient_name": st.text(max_size=130) | ANY_JSON,
        "language": st.sampled_from(["ru", "en"]) | ANY_JSON,
        "expires_on": st.dates().map(str) | ANY_JSON,
        "reason": st.text(max_size=210) | ANY_JSON,
        "csv": st.text(max_size=60) | st.text('amount,name;\n"1', max_size=60) | ANY_JSON,
        "xlsx": st.text(max_size=40) | st.binary(max_size=40).map(_packed) | ANY_JSON,
        "rows": st.lists(st.fixed_dictionaries({"amount": st.integers(-5, 10**16)})) | ANY_JSON,
        "code": st.text(max_size=70) | ANY_JSON,
        "transaction_id": st.text(max_size=45) | ANY_JSON,
    },
)


def test_no_json_body_makes_registration_fail_badly(api: Api) -> None:
    """Whatever JSON comes: a member or a clear 4xx."""

    @FUZZ
    @given(body=LIKE_A_MEMBER | ANY_JSON)
    def fuzz(body: Any) -> None:
        fuzzed(api, lambda raw: post(api, "/members", raw), json.dumps(body).encode())

    fuzz()


def test_no_json_body_makes_an_adjustment_fail_badly(api: Api, card: str) -> None:
    """Whatever JSON comes: a transaction or a clear 4xx."""

    @FUZZ
    @given(body=LIKE_AN_ADJUSTMENT | ANY_JSON, key=st.text("abc\u00e9 \t~", max_size=5))
    def fuzz(body: Any, key: str) -> None:
        path = f"/cards/{card}/adjustments"
        header = {"Idempotency-Key": key}
        fuzzed(api, lambda raw: post(api, path, raw, **header), json.dumps(body).encode())

    fuzz()


def test_no_json_body_makes_holds_and_reversals_fail_badly(api: Api, card: str) -> None:
    """Whatever JSON comes to reserve, to capture or to undo: done, or a clear 4xx."""
    undone = api.adjust(card, 50).get_json()["transaction"]["id"]
    held = post(
        api,
        "/holds",
        json.dumps({"card_id": card, "amount": 50, "seconds": 60, "reason": "x"}).encode(),
    ).get_json()["hold"]["id"]
    paths = ["/holds", f"/holds/{held}/capture", f"/transactions/{undone}/reversals"]

    @FUZZ
    @given(
        body=LIKE_A_HOLD | ANY_JSON,
        whose=st.sampled_from([{}, {"card_id": card}]),
        path=st.sampled_from(paths),
        key=st.text("abc", min_size=1, max_size=5),
    )
    def fuzz(body: Any, whose: dict[str, str], path: str, key: str) -> None:
        raw = json.dumps(body | whose if isinstance(body, dict) else body).encode()
        fuzzed(api, lambda raw: post(api, path, raw, **{"Idempotency-Key": key}), raw)

    fuzz()


def test_no_json_body_makes_a_bulk_credit_fail_badly(api: Api, card: str) -> None:
    """Whatever JSON comes: a job or a clear 4xx."""

    @FUZZ
    @given(body=LIKE_A_BULK_CREDIT | ANY_JSON, key=st.text("abc", min_size=1, max_size=5))
    def fuzz(body: Any, key: str) -> None:
        header = {"Idempotency-Key": key}
        fuzzed(
            api, lambda raw: post(api, "/bulk-credits", raw, **header), json.dumps(body).encode()
        )

    fuzz()


def test_no_json_body_makes_a_certificate_fail_badly(api: Api) -> None:
    """Whatever JSON comes to issuing, importing, looking up, redeeming and refunding."""
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, api.now)
    body = json.dumps({"programme": "gift", "amount": 10**6}).encode()
    issued = post(api, "/certificates", body, **{"Idempotency-Key": "first"}).get_json()
    own = f"/certificates/{issued['certificate']['id']}"
    fields: dict[str, type[BaseModel]] = {
        "/certificates": NewCertificate,
        "/certificates/batches": NewBatch,
        f"{own}/redemptions": Redemption,
        f"{own}/refunds": Refund,
    }

    @FUZZ
    @given(body=LIKE_A_CERTIFICATE | ANY_JSON, path=st.sampled_from(sorted(fields)), key=st.uuids())
    def fuzz(body: Any, path: str, key: UUID) -> None:
        if isinstance(body, dict):
            body = {name: body[name] for name in body if name in fields[path].model_fields}
        header = {"Idempotency-Key": str(key)}
        fuzzed(api, lambda raw: post(api, path, raw, **header), json.dumps(body).encode())

    @FUZZ
    @given(code=st.text(max_size=70) | ANY_JSON)
    def guess(code: Any) -> None:
        raw = json.dumps({"code": code}).encode()
        never_5xx(post(api, "/certificates/lookup", raw))

    fuzz()
    guess()


def test_no_bytes_make_any_call_fail_badly(api: Api, card: str) -> None:
    """Bodies that are no JSON at all."""

    @FUZZ
    @given(raw=st.binary(max_size=200))
    def fuzz(raw: bytes) -> None:
        for path in ("/members", f"/cards/{card}/adjustments"):
            fuzzed(api, partial(post, api, path), raw)

    fuzz()


def test_no_address_makes_any_call_fail_badly(api: Api, card: str) -> None:
    """Whatever stands in the path and in the query."""

    @FUZZ
    @given(
        path=st.binary(max_size=40),
        query=st.dictionaries(
            st.sampled_from(["cursor", "limit", "dry_run"]) | st.text(max_size=5),
            st.text(max_size=30),
            max_size=3,
        ),
    )
    def fuzz(path: bytes, query: dict[str, str]) -> None:
        odd = {"PATH_INFO": "/api/v1/cards/" + path.decode("latin1")}
        never_5xx(api.call("GET", "/cards/x", environ_overrides=odd))
        never_5xx(api.call("GET", f"/cards/{card}/transactions", query_string=query))

    fuzz()
