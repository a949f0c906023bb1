"""Cards over HTTP: reading, adjusting, explaining."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.conftest import ANNA, Api


def test_a_card_shows_its_holder_programme_and_balance(api: Api) -> None:
    """What a till shows after a scan."""
    member = api.member()
    api.adjust(member["card"]["id"], 250)
    body = api.call("GET", f"/cards/{member['card']['id']}").get_json()
    assert body == {
        "id": member["card"]["id"],
        "number": member["card"]["number"],
        "holder": member["person"],
        "programme": {"slug": "shop", "name": "Клуб", "scale": 0},
        "balance": 250,
        "tier": None,
        "group": None,
        "links": {name: member[name] for name in ("page_url", "apple_url", "google_url")},
        "verified_at": None,
        "created_at": "2026-11-20T09:30:00Z",
        "closed_at": None,
    }


def test_a_credit_and_a_debit_move_the_balance(api: Api) -> None:
    """The sign of the amount decides which it is; the answer holds the transaction."""
    card = api.member()["card"]["id"]
    credit = api.adjust(card, 500, "welcome").get_json()
    debit = api.adjust(card, -120, "spent").get_json()
    assert (credit["transaction"]["type"], credit["balance"]) == ("credit", 500)
    assert (debit["transaction"]["type"], debit["transaction"]["amount"]) == ("debit", -120)
    assert (debit["balance"], debit["transaction"]["balance_after"]) == (380, 380)
    assert debit["transaction"]["actor"].startswith("api-key:")
    assert not debit["dry_run"]


def test_a_debit_beyond_the_balance_says_what_there_is(api: Api) -> None:
    """The refusal is 422 with the available amount, and nothing is written."""
    card = api.member()["card"]["id"]
    api.adjust(card, 100)
    before = api.rows()
    answer = api.adjust(card, -101)
    body = answer.get_json()
    assert (answer.status_code, body["code"], body["available"]) == (422, "insufficient_funds", 100)
    assert api.rows() == before


@pytest.mark.parametrize("amount", [70, -70])
def test_a_dry_run_says_what_would_happen_and_writes_nothing(api: Api, amount: int) -> None:
    """The balance is the one that would be, the transaction has no id."""
    card = api.member()["card"]["id"]
    api.adjust(card, 100)
    before = api.rows()
    answer = api.adjust(card, amount, query="?dry_run=true")
    body = answer.get_json()
    assert answer.status_code == 200
    assert (body["dry_run"], body["balance"]) == (True, 100 + amount)
    assert body["transaction"]["id"] is None
    assert api.rows() == before
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 100


def test_a_dry_run_makes_every_check(api: Api) -> None:
    """What would be refused is refused, without needing a key."""
    card = api.member()["card"]["id"]
    answer = api.call(
        "POST",
        f"/cards/{card}/adjustments?dry_run=true",
        json={"amount": -1, "reason": "x"},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (422, "insufficient_funds")


def credit(api: Api, card: str, query: str = "", **terms: Any) -> dict[str, Any]:
    """A credit of thirty on these terms."""
    api.keys += 1
    answer = api.call(
        "POST",
        f"/cards/{card}/adjustments{query}",
        json={"amount": 30, "reason": "birthday", **terms},
        headers={"Idempotency-Key": f"terms-{api.keys}"},
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def lots(api: Api) -> list[tuple[Any, ...]]:
    """Original, begin, end and kind of every lot, oldest first."""
    with api.database.read_tx() as session:
        rows = session.execute(
            text("SELECT original, available_from, expires_at, promotional FROM lots ORDER BY id")
        )
        return [tuple(row) for row in rows]


def test_a_credit_may_begin_later_and_end(api: Api) -> None:
    """It is an accrual that leaves the balance as it is; ends are days of the programme's zone."""
    card = api.member()["card"]["id"]
    later = credit(api, card, available_from="2026-12-01T00:00:00+03:00", expires_on="2026-12-31")
    assert (later["transaction"]["type"], later["transaction"]["amount"]) == ("accrual", 30)
    assert (later["balance"], later["transaction"]["balance_after"]) == (0, None)
    soon = credit(api, card, expires_at="2026-11-20T12:00:00Z", promotional=True)
    assert (soon["transaction"]["type"], soon["balance"]) == ("credit", 30)
    past = credit(api, card, available_from="2020-01-01T00:00:00Z", expires_on="2026-11-20")
    assert (past["transaction"]["type"], past["balance"]) == ("credit", 60)
    assert lots(api) == [
        (
            30,
            datetime(2026, 11, 30, 21, tzinfo=UTC),
            datetime(2026, 12, 31, 21, tzinfo=UTC),
            False,
        ),
        (30, api.now, datetime(2026, 11, 20, 12, tzinfo=UTC), True),
        (30, api.now, datetime(2026, 11, 20, 21, tzinfo=UTC), False),
    ]


def test_a_dry_run_of_a_later_credit_writes_nothing(api: Api) -> None:
    """And answers what it would be."""
    card = api.member()["card"]["id"]
    before = api.rows()
    body = credit(api, card, "?dry_run=true", available_from="2026-12-01T00:00:00Z")
    assert (body["transaction"]["type"], body["transaction"]["id"]) == ("accrual", None)
    assert body["balance"] == 0
    assert api.rows() == before


def test_a_card_shows_what_is_due_before_any_job_runs(api: Api) -> None:
    """Points join and end to the moment, and the explanation agrees; reading writes nothing."""
    card = api.member()["card"]["id"]
    credit(api, card, available_from="2026-12-01T00:00:00Z", expires_at="2026-12-03T00:00:00Z")
    before = api.rows()
    for day, balance in (("11-30", 0), ("12-01", 30), ("12-02", 30), ("12-03", 0)):
        api.clock = datetime.fromisoformat(f"2026-{day}T00:00:00+00:00")
        assert api.call("GET", f"/cards/{card}").get_json()["balance"] == balance
        explained = api.call("GET", f"/cards/{card}/explanation").get_json()
        assert (explained["balance"], explained["available"]) == (balance, balance)
    assert api.rows() == before


def test_the_card_that_acted_is_named(api: Api) -> None:
    """Cards that share an account have one history: each entry says which card it was."""
    first = api.member()["card"]["id"]
    second = api.member(first_name="Игорь", phone="+79001234568")["card"]["id"]
    with api.database.write_tx() as session:
        session.execute(
            text(
                "UPDATE cards SET account_id = (SELECT account_id FROM cards WHERE public_id = :a)"
                " WHERE public_id = :b"
            ),
            {"a": first, "b": second},
        )
    assert api.adjust(first, 10).get_json()["transaction"]["card"] == first
    assert api.adjust(second, 20).get_json()["transaction"]["card"] == second
    for card in (first, second):
        items = api.call("GET", f"/cards/{card}/transactions").get_json()["items"]
        assert [item["card"] for item in items] == [second, first]


def test_a_branchs_key_notes_the_branch(api: Api) -> None:
    """Where it happened is known from the key that did it."""
    card = api.member()["card"]["id"]
    answer = api.call(
        "POST",
        f"/cards/{card}/adjustments",
        secret=api.key(branch_id=api.branch.id),
        json={"amount": 5, "reason": "x"},
        headers={"Idempotency-Key": "k"},
    )
    assert answer.get_json()["transaction"]["branch"] == api.branch.public_id


def test_the_history_pages_through_everything_once(api: Api) -> None:
    """Newest first; what happens between two pages neither repeats nor hides anything."""
    card = api.member()["card"]["id"]
    for amount in range(1, 8):
        api.adjust(card, amount, f"credit {amount}")
    seen: list[int] = []
    cursor, pages = "", 0
    while True:
        page = api.call("GET", f"/cards/{card}/transactions?limit=3{cursor}").get_json()
        seen += [item["amount"] for item in page["items"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        api.adjust(card, 1000)
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert pages == 3


def test_a_cursor_of_another_card_is_refused(api: Api) -> None:
    """A cursor is a place in one card's history and no other's."""
    first, second = api.member()["card"]["id"], api.member(first_name="Игорь")["card"]["id"]
    foreign = api.adjust(first, 5).get_json()["transaction"]["id"]
    api.adjust(second, 5)
    answer = api.call("GET", f"/cards/{second}/transactions?cursor={foreign}")
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, "cursor")


def test_another_organisations_card_does_not_exist(api: Api) -> None:
    """Neither its balance nor its existence can be learnt."""
    card = api.member()["card"]["id"]
    foreign = api.key(shop=api.other)
    before = api.rows()
    for method, path, options in [
        ("GET", f"/cards/{card}", {}),
        ("GET", f"/cards/{card}/transactions", {}),
        (
            "POST",
            f"/cards/{card}/adjustments",
            {"json": {"amount": 1, "reason": "x"}, "headers": {"Idempotency-Key": "k"}},
        ),
    ]:
        answer = api.call(method, path, secret=foreign, **options)
        assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
    own = api.call("POST", "/members", secret=foreign, json=ANNA)
    assert own.get_json()["errors"][0] == {
        "field": "programme",
        "message": "is not a programme of yours",
        "code": "unknown",
    }
    assert api.rows() == before
