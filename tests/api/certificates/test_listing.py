"""Listing certificates over HTTP: which, in which order, and what is not told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from tests.api.conftest import Api
from tests.api.fuzzing import FUZZ, never_5xx
from tests.certificates.shop import gift_programme
from walletsvc.access.rules import Scope
from walletsvc.certificates.models import Certificate
from walletsvc.certificates.states import State, state
from walletsvc.core.clock import rfc3339
from walletsvc.merchants.acceptance import accept

Issue = Callable[..., str]


@pytest.fixture
def issue(api: Api) -> Issue:
    """Issue a certificate of the first shop; answers its id."""
    with api.database.write_tx() as session:
        for slug in ("gift", "spa"):
            gift_programme(session, api.shop.organisation.id, api.now, slug)
        gift_programme(session, api.other.organisation.id, api.now, "theirs")
    count = iter(range(1000))

    def once(secret: str | None = None, **changes: Any) -> str:
        body = {"programme": "gift", "amount": 10_000, "recipient_name": "Марина", **changes}
        answer = api.call(
            "POST",
            "/certificates",
            json=body,
            secret=secret,
            headers={"Idempotency-Key": f"issue-{next(count)}"},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["certificate"]["id"])

    return once


def ids(api: Api, secret: str | None = None, **query: Any) -> list[str]:
    """The ids of one piece."""
    answer = api.call("GET", "/certificates", query_string=query, secret=secret)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.get_json()["items"]]


def test_pieces_make_the_whole_newest_first(api: Api, issue: Issue) -> None:
    """Whatever is issued meanwhile shifts nothing."""
    made = [issue() for _ in range(5)]
    first = api.call("GET", "/certificates?limit=2").get_json()
    issue()
    second = api.call(
        "GET", "/certificates", query_string={"limit": 2, "cursor": first["next_cursor"]}
    ).get_json()
    rest = api.call(
        "GET", "/certificates", query_string={"limit": 2, "cursor": second["next_cursor"]}
    ).get_json()
    found = [item["id"] for piece in (first, second, rest) for item in piece["items"]]
    assert found == made[::-1]
    assert rest["next_cursor"] is None


def test_a_row_tells_what_is_left_and_no_code(api: Api, issue: Issue) -> None:
    """As reading the certificate does, less what opens it."""
    made = issue(expires_on="2027-11-20")
    held = {"certificate_id": made, "amount": 4_000, "seconds": 900, "reason": "x"}
    assert (
        api.call("POST", "/holds", json=held, headers={"Idempotency-Key": "h"}).status_code == 201
    )
    (row,) = api.call("GET", "/certificates").get_json()["items"]
    whole = api.call("GET", f"/certificates/{made}").get_json()
    assert row == {name: whole[name] for name in row}
    assert (row["balance"], row["available"]) == (10_000, 6_000)
    assert not {"code", "links"} & set(row)


def test_every_filter_keeps_what_it_names(api: Api, issue: Issue) -> None:
    """Alone and together; bounds of time take the first moment and not the last."""
    plain, till = issue(), api.key(branch_id=api.branch.id)
    branch = issue(till, programme="spa")
    ends = issue(expires_on=str(api.now.date() + timedelta(days=2)))
    blocked = issue()
    reason = {"reason": "lost"}
    assert api.call("POST", f"/certificates/{blocked}/block", json=reason).status_code == 200
    assert ids(api, programme="spa") == [branch]
    assert ids(api, programme="spa", branch=api.branch.public_id) == [branch]
    assert ids(api, programme="gift", branch=api.branch.public_id) == []
    assert ids(api, state="blocked") == [blocked]
    api.clock = api.now + timedelta(days=9)
    late = issue()
    assert ids(api, state="expired") == [ends]
    assert ids(api, state="active") == [late, branch, plain]
    moment = rfc3339(api.now + timedelta(days=9))
    assert ids(api, issued_from=moment) == [late]
    assert ids(api, issued_to=moment) == [blocked, ends, branch, plain]
    assert ids(api, issued_from=rfc3339(api.now), issued_to=moment, programme="spa") == [branch]


def test_only_the_issuer_lists(api: Api, issue: Issue) -> None:
    """Who accepts a certificate learns of it from its code, not from a list."""
    made = issue()
    with api.database.write_tx() as session:
        accept(
            session,
            api.shop.organisation,
            api.other.organisation,
            points=False,
            certificates=True,
            now=api.now,
        )
    partner = api.key(shop=api.other)
    theirs = issue(partner, programme="theirs")
    assert ids(api, partner) == [theirs]
    assert ids(api) == [made]
    foreign = api.call("GET", "/certificates", query_string={"cursor": theirs})
    assert (foreign.status_code, foreign.get_json()["errors"][0]["field"]) == (400, "cursor")
    weak = api.key(*(scope for scope in Scope if scope is not Scope.CERTIFICATES_READ))
    assert api.call("GET", "/certificates", secret=weak).status_code == 403


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "gone"}, "state"),
        ({"programme": "theirs"}, "programme"),
        ({"programme": "shop"}, "programme"),
        ({"branch": "0" * 20}, "branch"),
        ({"branch": "x"}, "branch"),
        ({"cursor": "x"}, "cursor"),
        ({"issued_from": "yesterday"}, "issued_from"),
        ({"issued_from": "2026-02-01T00:00:00Z", "issued_to": "2026-02-01T00:00:00Z"},
         "issued_from"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(api: Api, issue: Issue, query: dict[str, str], field: str) -> None:
    """Each field by its name."""
    answer = api.call("GET", "/certificates", query_string=query)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.get_json()["errors"]] == [field]


def test_the_list_and_the_rules_agree_on_every_state(api: Api, issue: Issue) -> None:
    """The list's SQL against `states.state`, at the very moment of the end too."""
    made = [issue(expires_on=str(api.now.date())) for _ in range(8)]
    with api.database.write_tx() as session:
        rows = session.exec(select(Certificate).order_by(col(Certificate.id))).all()
        for bits, row in enumerate(rows):
            row.closed_at = api.now if bits & 1 else None
            row.blocked_at = api.now if bits & 2 else None
            row.expires_at = row.expires_at if bits & 4 else None
        ends = rows[4].expires_at
    assert ends is not None
    for now in (ends - timedelta(microseconds=1), ends):
        api.clock = now
        with api.database.read_tx() as session:
            told = {row.public_id: state(row, now) for row in session.exec(select(Certificate))}
        for each in State:
            wanted = [id_ for id_ in made[::-1] if told[id_] is each]
            assert ids(api, state=each.value) == wanted


def test_no_query_makes_lists_fail_badly(api: Api, issue: Issue, card: str) -> None:
    """Whatever stands in the query of the lists of certificates and of holds."""
    made = issue()
    names = ("cursor", "limit", "state", "programme", "branch", "issued_from", "issued_to")

    @FUZZ
    @given(
        query=st.dictionaries(
            st.sampled_from(names),
            st.text(max_size=30) | st.sampled_from(["\x00", made, "gift", "active"]),
            max_size=3,
        ),
        whose=st.dictionaries(
            st.sampled_from(["cursor", "card_id", "certificate_id"]),
            st.text(max_size=30) | st.sampled_from(["\x00", made, card]),
            max_size=2,
        ),
    )
    def fuzz(query: dict[str, str], whose: dict[str, str]) -> None:
        never_5xx(api.call("GET", "/certificates", query_string=query))
        never_5xx(api.call("GET", "/holds", query_string=whose))

    fuzz()
