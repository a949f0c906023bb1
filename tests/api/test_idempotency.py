"""One answer per key over HTTP, whatever the retries do."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from tests.api.conftest import Api


def _transactions(api: Api) -> int:
    return api.rows()["ledger_transactions"]


def test_sixteen_retries_at_once_move_value_once(api: Api) -> None:
    """One transaction, and byte for byte the same answer for all."""
    card = api.member()["card"]["id"]
    barrier = threading.Barrier(16)
    answers: list[tuple[int, bytes, str | None]] = []

    def pay() -> None:
        with api.app.test_client() as client:
            barrier.wait(10)
            answer = client.post(
                f"/api/v1/cards/{card}/adjustments",
                json={"amount": 100, "reason": "once"},
                headers={"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "same"},
            )
            replayed = answer.headers.get("Idempotency-Replayed")
            answers.append((answer.status_code, answer.data, replayed))

    threads = [threading.Thread(target=pay) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, body, _ in answers}) == 1
    assert [replayed for _, _, replayed in answers].count(None) == 1
    assert _transactions(api) == 1
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 100


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/cards/{a}/adjustments", b'{"amount": 100, "reason": "two"}'),
        ("/cards/{a}/adjustments", b'{"amount": 100,  "reason": "one"}'),
        ("/cards/{a}/adjustments?dry_run=false", b'{"amount": 100, "reason": "one"}'),
        ("/cards/{b}/adjustments", b'{"amount": 100, "reason": "one"}'),
    ],
    ids=["another body", "other bytes", "another query", "another card"],
)
def test_a_key_used_for_another_request_is_a_conflict(api: Api, path: str, body: bytes) -> None:
    """A key means one request; anything else under it is refused and does nothing."""
    cards = {"a": api.member()["card"]["id"], "b": api.member(first_name="Б")["card"]["id"]}
    first = b'{"amount": 100, "reason": "one"}'
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    api.call("POST", f"/cards/{cards['a']}/adjustments", data=first, headers=headers)
    before = api.rows()
    answer = api.call("POST", path.format(**cards), data=body, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "idempotency_mismatch")
    assert api.rows() == before


def test_keys_of_two_callers_do_not_meet(api: Api) -> None:
    """Two tills may both count from one."""
    card = api.member()["card"]["id"]
    api.adjust(card, 10, key="1")
    answer = api.call(
        "POST",
        f"/cards/{card}/adjustments",
        secret=api.key(),
        json={"amount": 10, "reason": "test"},
        headers={"Idempotency-Key": "1"},
    )
    assert answer.status_code == 200
    assert "Idempotency-Replayed" not in answer.headers
    assert _transactions(api) == 2


def test_a_refusal_is_not_remembered(api: Api) -> None:
    """After a credit the same debit with the same key succeeds."""
    card = api.member()["card"]["id"]
    assert api.adjust(card, -50, key="k").status_code == 422
    api.adjust(card, 50)
    assert api.adjust(card, -50, key="k").status_code == 200


def test_a_dry_run_does_not_use_the_key_up(api: Api) -> None:
    """Trying first and then doing it with the same key works."""
    card = api.member()["card"]["id"]
    assert api.adjust(card, 50, key="k", query="?dry_run=true").status_code == 200
    assert api.adjust(card, 50, key="k").get_json()["dry_run"] is False


def test_the_stored_answer_outlives_the_state_it_told_of(api: Api) -> None:
    """A replay is the first answer, not the present truth."""
    card = api.member()["card"]["id"]
    first = api.adjust(card, 50, key="k").data
    api.adjust(card, 7)
    assert api.adjust(card, 50, key="k").data == first
    with api.database.read_tx() as session:
        stored = session.execute(text("SELECT body FROM idempotency_keys WHERE key = 'k'"))
        # Answers may hold links and codes: who steals the database must not read them there.
        assert b"balance" not in stored.scalar_one()
