"""What organisations owe each other, over HTTP: each sees its own side, and only that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.conftest import Api
from tests.api.fuzzing import FUZZ, fuzzed, never_5xx
from tests.api.sending import post
from walletsvc.cards import queries
from walletsvc.core.actor import SYSTEM
from walletsvc.ledger import service as ledger
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.service import create_organisation, switch_branch

NOVEMBER = "from=2026-11-01T00:00:00%2B03:00&to=2026-12-01T00:00:00%2B03:00"


@pytest.fixture
def dealt(api: Api, card: str) -> Api:
    """Of the shop's card the other organisation took 30 and 10 points, in a branch of its own."""
    redeem(api, card, 30)
    redeem(api, card, 10)
    return api


def redeem(api: Api, card: str, amount: int) -> None:
    """The other organisation takes points of a card of the shop."""
    with api.database.write_tx() as session:
        view = queries.find(session, api.shop.organisation.id, card)
        assert view is not None
        ledger.debit(
            session,
            view.card.account_id,
            amount,
            actor=SYSTEM,
            reason="secret of the guest",
            now=api.now,
            acceptor_id=api.other.organisation.id,
            branch_id=api.branch.id,
        )


def other_key(api: Api) -> str:
    """A key of the organisation that took the points."""
    return api.key(shop=api.other)


def settle(api: Api, secret: str, query: str = "", key: str = "k", **changes: Any) -> Any:
    """The other organisation says that the shop paid."""
    body = {"debtor": "shop", "unit": "points:shop", "amount": 40, "reason": "п/п 117"} | changes
    return api.call(
        "POST",
        f"/settlements{query}",
        secret=secret,
        json=body,
        headers={"Idempotency-Key": key},
    )


def test_both_sides_read_the_same_statement(dealt: Api) -> None:
    """What the one owes is what the other is owed."""
    body = dealt.call("GET", f"/statements?{NOVEMBER}").get_json()
    assert body == {
        "from": "2026-10-31T21:00:00Z",
        "to": "2026-11-30T21:00:00Z",
        "items": [
            {
                "counterparty": {"slug": "other", "name": "Лавка other"},
                "unit": {"code": "points:shop", "kind": "points", "scale": 0},
                "opening": 0,
                "movements": [
                    {"kind": "redeemed", "organisation": "shop", "count": 2, "amount": 40}
                ],
                "closing": 40,
            }
        ],
    }
    theirs = dealt.call(
        "GET", f"/statements?{NOVEMBER}&with=shop", secret=other_key(dealt)
    ).get_json()["items"]
    assert [(item["counterparty"]["slug"], item["closing"]) for item in theirs] == [("shop", -40)]
    december = "from=2026-12-01T00:00:00Z&to=2027-01-01T00:00:00Z"
    later = dealt.call("GET", f"/statements?{december}").get_json()["items"]
    assert [(item["opening"], item["movements"]) for item in later] == [(40, [])]


def test_lines_page_through_everything_once(dealt: Api, card: str) -> None:
    """Oldest first, with the branch and the running total; no customer's reason."""
    redeem(dealt, card, 5)
    seen: list[tuple[int, int]] = []
    cursor = ""
    for _ in range(3):
        page = dealt.call("GET", f"/statements/lines?{NOVEMBER}&limit=1{cursor}").get_json()
        seen += [(item["amount"], item["total"]) for item in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == [(30, 30), (10, 40), (5, 45)]
    line = page["items"][0]
    assert line["branch"] == {"id": dealt.branch.public_id, "name": "Невский"}
    assert (line["kind"], line["organisation"], line["counterparty"]) == (
        "redeemed",
        "shop",
        "other",
    )
    assert "secret" not in json.dumps(page)
    other_unit = dealt.call("GET", f"/statements/lines?{NOVEMBER}&unit=RUB").get_json()
    assert other_unit["items"] == []


def test_who_is_owed_says_that_it_was_paid(dealt: Api) -> None:
    """The debt becomes smaller on both sides, once for every key; then the pair is quits."""
    secret = other_key(dealt)
    first = settle(dealt, secret, amount=30)
    assert first.status_code == 201
    body = first.get_json()
    assert (body["debtor"], body["creditor"], body["amount"], body["owed"], body["dry_run"]) == (
        "shop",
        "other",
        30,
        10,
        False,
    )
    assert settle(dealt, secret, amount=30).data == first.data
    refused = settle(dealt, secret, key="k2", amount=11)
    assert (refused.status_code, refused.get_json()["code"], refused.get_json()["owed"]) == (
        422,
        "refused",
        10,
    )
    settle(dealt, secret, key="k3", amount=10)
    lines = dealt.call("GET", f"/statements/lines?{NOVEMBER}&with=other").get_json()["items"]
    assert [(line["id"] == body["id"], line["reason"], line["total"]) for line in lines[2:]] == [
        (True, "п/п 117", 10),
        (False, "п/п 117", 0),
    ]


def test_a_dry_run_writes_nothing(dealt: Api) -> None:
    """And says what would be left."""
    secret = other_key(dealt)
    before = dealt.rows()
    body = settle(dealt, secret, "?dry_run=true").get_json()
    assert (body["id"], body["owed"], body["dry_run"]) == (None, 0, True)
    assert dealt.rows() == before
    assert settle(dealt, secret, "?dry_run=true", amount=41).status_code == 422


def test_a_debtor_cannot_say_that_it_paid(dealt: Api) -> None:
    """Its own word would wipe out its own debt: it is owed nothing, so nothing can be paid."""
    answer = settle(dealt, dealt.secret, debtor="other", amount=1)
    assert (answer.status_code, answer.get_json()["owed"]) == (422, 0)


@pytest.mark.parametrize("slug", ["nobody", "shop", "stranger"])
def test_strangers_look_like_nobody(dealt: Api, slug: str) -> None:
    """An organisation one does not deal with is as unknown as one that is none."""
    with dealt.database.write_tx() as session:
        create_organisation(session, slug="stranger", name="Stranger", now=dealt.now)
    answers = [
        dealt.call("GET", f"/statements?{NOVEMBER}&with={slug}"),
        dealt.call("GET", f"/statements/lines?{NOVEMBER}&with={slug}"),
        settle(dealt, dealt.secret, debtor=slug),
    ]
    for answer, field in zip(answers, ["with", "with", "debtor"], strict=True):
        assert answer.status_code == 400
        assert answer.get_json()["errors"] == [
            {
                "field": field,
                "message": "is not an organisation that you deal with",
                "code": "unknown",
            }
        ]


def test_a_third_organisation_sees_nothing(dealt: Api) -> None:
    """Neither amounts nor lines nor cursors of two others."""
    line = dealt.call("GET", f"/statements/lines?{NOVEMBER}").get_json()["items"][0]["id"]
    with dealt.database.write_tx() as session:
        third = create_organisation(session, slug="third", name="Third", now=dealt.now)
        accept(session, dealt.shop.organisation, third, True, True, dealt.now)
    secret = dealt.key(shop=type(dealt.shop)(third, *list(vars(dealt.shop).values())[1:]))
    for path in ("/statements", "/statements/lines"):
        assert dealt.call("GET", f"{path}?{NOVEMBER}", secret=secret).get_json()["items"] == []
        both = dealt.call("GET", f"{path}?{NOVEMBER}&with=shop", secret=secret)
        assert both.get_json()["items"] == []
    stolen = dealt.call("GET", f"/statements/lines?{NOVEMBER}&cursor={line}", secret=secret)
    assert (stolen.status_code, stolen.get_json()["errors"][0]["field"]) == (400, "cursor")
    unit = settle(dealt, secret, debtor="shop")
    assert (unit.status_code, unit.get_json()["errors"][0]["field"]) == (400, "unit")


def test_acceptances_are_told_to_both_sides_and_nobody_else(api: Api) -> None:
    """Who takes whose points and certificates."""
    with api.database.write_tx() as session:
        third = create_organisation(session, slug="third", name="Third", now=api.now)
        shop, other = api.shop.organisation, api.other.organisation
        accept(session, shop, other, True, False, api.now)
        accept(session, other, third, True, True, api.now)
    assert api.call("GET", "/acceptances").get_json() == {
        "items": [
            {
                "issuer": {"slug": "shop", "name": "Лавка shop"},
                "acceptor": {"slug": "other", "name": "Лавка other"},
                "points": True,
                "certificates": False,
                "created_at": "2026-11-20T09:30:00Z",
            }
        ]
    }
    theirs = api.call("GET", "/acceptances", secret=other_key(api)).get_json()["items"]
    assert [item["issuer"]["slug"] for item in theirs] == ["other", "shop"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "from"), ("from=2026-11-01T00:00:00Z", "to"),
        ("from=2026-11-01&to=2026-12-01T00:00:00Z", "from"),
        ("from=2026-12-01T00:00:00Z&to=2026-12-01T00:00:00Z", "to"),
        ("from=0001-01-01T00:00:00%2B14:00&to=2026-12-01T00:00:00Z", "from"),
        ("since=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z", "from"),
        (f"{NOVEMBER}&with=%00", "with"), (f"{NOVEMBER}&with=Shop", "with"),
        (f"{NOVEMBER}&with=", "with"), (f"{NOVEMBER}&unit=%00", "unit"),
        (f"{NOVEMBER}&cursor=%00", "cursor"), (f"{NOVEMBER}&limit=0", "limit"),
    ],
)  # fmt: skip
def test_a_bad_question_names_the_field(api: Api, query: str, field: str) -> None:
    """As it stands in the address."""
    answer = api.call("GET", f"/statements/lines?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.get_json()["errors"][0]["field"] == field


def test_nothing_sent_makes_these_calls_fail_badly(dealt: Api) -> None:
    """Whatever the query or the body: an answer or a clear 4xx, nothing half-written."""
    any_value = st.text(max_size=40) | st.integers() | st.none() | st.booleans()
    values = {
        "debtor": st.sampled_from(["shop", "other", "nope"]) | any_value,
        "unit": st.sampled_from(["points:shop", "RUB"]) | any_value,
        "amount": st.integers(-5, 10**16) | any_value,
        "reason": st.text(max_size=220) | any_value,
    }
    times = st.datetimes().map(lambda each: each.isoformat() + "Z")

    @FUZZ
    @given(
        body=st.fixed_dictionaries({}, optional=values),
        query=st.fixed_dictionaries(
            {},
            optional={
                name: times | st.text(max_size=30)
                for name in ("from", "to", "with", "unit", "cursor", "limit")
            },
        ),
        key=st.text("abc", min_size=1, max_size=5),
    )
    def fuzz(body: dict[str, Any], query: dict[str, str], key: str) -> None:
        header = {"Idempotency-Key": key}
        fuzzed(
            dealt,
            lambda raw: post(dealt, "/settlements", raw, **header),
            json.dumps(body).encode(),
        )
        never_5xx(dealt.call("GET", "/statements", query_string=query))
        never_5xx(dealt.call("GET", "/statements/lines", query_string=query))

    fuzz()


def test_a_branch_that_is_off_adjusts_nothing(api: Api, card: str) -> None:
    """Its key is refused, dry run or not; others go on; on again it works."""
    secret = api.key(branch_id=api.branch.id)

    def adjust(query: str = "") -> Any:
        return api.call(
            "POST",
            f"/cards/{card}/adjustments{query}",
            secret=secret,
            json={"amount": 5, "reason": "x"},
            headers={"Idempotency-Key": "k"},
        )

    with api.database.write_tx() as session:
        switch_branch(session, api.branch.public_id, on=False, now=api.now)
    before = api.rows()
    for query in ("", "?dry_run=true"):
        answer = adjust(query)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "not_accepted")
    assert api.rows() == before
    assert api.adjust(card, 5).status_code == 200
    with api.database.write_tx() as session:
        switch_branch(session, api.branch.public_id, on=True, now=api.now)
    assert adjust().status_code == 200
