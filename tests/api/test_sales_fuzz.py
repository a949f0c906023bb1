"""Whatever a till sends: an answer or a clear 4xx, never a 5xx, nothing half-written."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.api.conftest import Api
from tests.api.fuzzing import A_MOMENT, ANY_JSON, FUZZ, fuzzed, never_5xx
from tests.api.sending import post
from tests.certificates.shop import gift_programme

MONEY = (
    st.fixed_dictionaries(
        {
            "amount": st.integers(-2, 10**16) | ANY_JSON,
            "currency": st.sampled_from(["RUB", "RUB", "EUR", "rub"]),
        }
    )
    | ANY_JSON
)
QUANTITY = st.sampled_from(["1", "0.001", "1000000", "0", "1e3", "-1"]) | ANY_JSON
LINE = st.fixed_dictionaries(
    {},
    optional={
        "item": st.text(max_size=70) | ANY_JSON,
        "group": st.text(max_size=70),
        "name": st.text(max_size=90),
        "quantity": QUANTITY,
        "price": MONEY,
        "sum": MONEY,
    },
)


def _sales(card: str, certificate: str, hold: str) -> st.SearchStrategy[dict[str, Any]]:
    tender = st.fixed_dictionaries(
        {"certificate_id": st.sampled_from([certificate, "x"]), "amount": MONEY},
        optional={"hold_id": st.sampled_from([hold, "\u0000", None])},
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "external_id": st.sampled_from(["1", "2", "é", ""]) | ANY_JSON,
            "source": st.sampled_from(["pos", " "]),
            "card_id": st.sampled_from([card, "0" * 20, "\u0000"]) | ANY_JSON,
            "lines": st.lists(LINE, max_size=4) | ANY_JSON,
            "total": MONEY,
            "branch_id": st.text(max_size=45),
            "channel": st.sampled_from(["till", "Till"]),
            "at": A_MOMENT,
            "points": st.integers(-1, 10**16) | ANY_JSON,
            "hold_id": st.sampled_from([hold, "0" * 20]),
            "certificates": st.lists(tender, max_size=3) | ANY_JSON,
            "reason": st.text(max_size=210),
            "amount": MONEY,
            "purchase_external_id": st.sampled_from(["1", "3"]),
            "text": st.text(max_size=30) | ANY_JSON,
        },
    )


FIELDS = {
    "sale": {
        "external_id", "source", "card_id", "lines", "total", "branch_id", "channel", "at",
        "points", "hold_id", "certificates",
    },
    "refund": {"external_id", "source", "lines", "amount", "at", "reason"},
}  # fmt: skip


def test_no_json_body_makes_a_sale_fail_badly(api: Api, card: str) -> None:
    """Whatever JSON comes to scanning, quoting, buying, returning and correcting."""
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, api.now)
    issued = post(
        api, "/certificates", json.dumps({"programme": "gift", "amount": 10**6}).encode()
    ).get_json()
    wanted = {"card_id": card, "amount": 50, "seconds": 60, "reason": "x"}
    held = post(api, "/holds", json.dumps(wanted).encode()).get_json()["hold"]["id"]
    bought = post(
        api,
        "/purchases",
        json.dumps(
            {
                "external_id": "0",
                "card_id": card,
                "total": {"amount": 10_000, "currency": "RUB"},
            }
        ).encode(),
    ).get_json()["id"]
    paths = {
        "/purchases": FIELDS["sale"],
        f"/purchases/{bought}/corrections": FIELDS["sale"] | {"reason"},
        f"/purchases/{bought}/refunds": FIELDS["refund"],
        "/refunds": FIELDS["refund"] | {"purchase_external_id"},
    }
    bodies = _sales(card, issued["certificate"]["id"], held)

    @FUZZ
    @given(body=bodies | ANY_JSON, path=st.sampled_from(sorted(paths)), key=st.uuids())
    def fuzz(body: Any, path: str, key: UUID) -> None:
        if isinstance(body, dict):
            body = {name: body[name] for name in body if name in paths[path]}
        header = {"Idempotency-Key": str(key)}
        fuzzed(api, lambda raw: post(api, path, raw, **header), json.dumps(body).encode())

    @FUZZ
    @given(body=bodies)
    def ask(body: dict[str, Any]) -> None:
        quoted = {name: body[name] for name in body if name in FIELDS["sale"]}
        quoted.pop("external_id", None)
        quoted.pop("source", None)
        never_5xx(post(api, "/quotes", json.dumps(quoted).encode()))
        never_5xx(post(api, "/scans", json.dumps({"text": body.get("text")}).encode()))

    fuzz()
    ask()


def test_no_query_makes_a_list_of_sales_fail_badly(api: Api) -> None:
    """Whatever stands in the query."""

    @FUZZ
    @given(
        query=st.dictionaries(
            st.sampled_from(["cursor", "limit", "external_id", "source", "card_id", "width"]),
            st.text(max_size=30) | st.just("\x00"),
            max_size=3,
        )
    )
    def fuzz(query: dict[str, str]) -> None:
        never_5xx(api.call("GET", "/purchases", query_string=query))
        never_5xx(api.call("GET", f"/purchases/{'0' * 20}", query_string=query))

    fuzz()
