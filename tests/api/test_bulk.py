"""Bulk jobs over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from walletsvc.cards import bulk_credit
from walletsvc.core.actor import SYSTEM
from walletsvc.jobs.bulk import begin
from walletsvc.jobs.bulk.runner import Runner

GOOD = {"programme": "shop", "amount": 100, "reason": "Five years", "all_cards": True}


def credit(api: Api, key: str = "k", query: str = "", **changes: Any) -> TestResponse:
    body = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return api.call("POST", f"/bulk-credits{query}", json=body, headers={"Idempotency-Key": key})


def switch(api: Api, job: str, verb: str) -> TestResponse:
    return api.call("POST", f"/bulk-jobs/{job}/{verb}", environ_overrides={"CONTENT_LENGTH": "0"})


def run(api: Api) -> None:
    runner = Runner(api.database, bulk_credit.handlers(), clock=lambda: api.now)
    while runner.run_once() == 0:
        pass


def test_a_credit_from_beginning_to_end(api: Api, card: str) -> None:
    """Begun, paused, resumed, done; begun again with the same key it is the same job."""
    api.member(first_name="Анна")
    answer = credit(api)
    assert answer.status_code == 202, answer.text
    begun = answer.get_json()
    assert (begun["cards"], begun["total_amount"], begun["dry_run"]) == (2, 200, False)
    job = begun["job"]["id"]
    assert switch(api, job, "pause").get_json()["state"] == "paused"
    run(api)
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 100
    assert switch(api, job, "resume").get_json()["state"] == "running"
    run(api)
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 200
    assert credit(api).data == answer.data
    run(api)
    assert api.call("GET", f"/cards/{card}").get_json()["balance"] == 200
    shown = api.call("GET", f"/bulk-jobs/{job}").get_json()
    assert (shown["state"], shown["percent"], shown["result"]) == ("done", 100, {"credited": 2})
    assert switch(api, job, "pause").status_code == 409


def test_a_dry_run_begins_nothing(api: Api, card: str) -> None:
    """It tells how many cards are meant."""
    before = api.rows()
    answer = credit(api, query="?dry_run=true")
    assert (answer.status_code, answer.get_json()["cards"]) == (202, 1)
    assert answer.get_json()["job"] is None
    assert api.rows() == before


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"programme": "nope"}, "programme", "unknown"),
        ({"programme": "other"}, "programme", "unknown"),
        ({"amount": 0}, "amount", "out_of_range"),
        ({"amount": 10**15 + 1}, "amount", "out_of_range"),
        ({"reason": "  "}, "reason", "required"),
        ({"all_cards": None}, "cards", "required"),
        ({"cards": ["9" * 16]}, "cards", "required"),
        ({"all_cards": None, "cards": []}, "cards", "too_short"),
        ({"all_cards": None, "cards": ["9" * 16]}, "cards.0", "invalid_format"),
        ({"all_cards": None, "cards": [5]}, "cards.0", "wrong_type"),
        ({"expires_on": "2026-11-19"}, "expires_on", "invalid"),
        ({"expires_on": "soon"}, "expires_on", "invalid_date"),
    ],
)
def test_bad_input_is_named(
    api: Api, card: str, changes: dict[str, Any], field: str, code: str
) -> None:
    """And begins nothing."""
    before = api.rows()
    answer = credit(api, **changes)
    assert answer.status_code == 400, answer.text
    assert [(e["field"], e["code"]) for e in answer.get_json()["errors"]] == [(field, code)]
    assert api.rows() == before


def test_jobs_are_listed_in_pages_and_others_are_not_seen(api: Api, card: str) -> None:
    """Newest first; the installation's own are seen, not paused."""
    with api.database.write_tx() as session:
        ids = [
            begin(
                session, kind="x", title=str(owner), parameters={}, total=1, actor=SYSTEM,
                now=api.now, organisation_id=owner,
            ).public_id
            for owner in (api.shop.organisation.id, api.other.organisation.id, None)
        ]  # fmt: skip
    own, others, common = ids
    first = api.call("GET", "/bulk-jobs?limit=1").get_json()
    assert [job["id"] for job in first["items"]] == [common]
    rest = api.call("GET", f"/bulk-jobs?cursor={first['next_cursor']}").get_json()
    assert [job["id"] for job in rest["items"]] == [own]
    assert rest["next_cursor"] is None
    assert api.call("GET", f"/bulk-jobs/{others}").status_code == 404
    assert switch(api, others, "pause").status_code == 404
    assert switch(api, common, "pause").status_code == 422
    for odd in ("x", "0" * 20, others):
        assert api.call("GET", f"/bulk-jobs?cursor={odd}").status_code == 400
        assert api.call("GET", "/bulk-jobs/x").status_code == 404
