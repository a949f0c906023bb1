"""Rehearsals over HTTP: begun, followed, read, listed, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from walletsvc.access.rules import Scope
from walletsvc.api import rehearsals
from walletsvc.api.operations import Call
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.programmes.service import find_programme
from walletsvc.sales.rehearsing import service, tasks

DRAFT = "/programmes/shop/rules/draft"
REHEARSALS = "/programmes/shop/rules/rehearsals"
PERIOD = {"from": "2026-11-01", "until": "2026-11-20"}
FIVE: dict[str, Any] = {"earn": {"percent": "5"}}
TEN: dict[str, Any] = {"earn": {"percent": "10"}}


def save(api: Api, rules: dict[str, Any]) -> None:
    assert api.call("PUT", DRAFT, json={"rules": rules}).status_code == 200


def begin(api: Api, **changes: Any) -> TestResponse:
    return api.call("POST", REHEARSALS, json=PERIOD | changes)


def work(api: Api) -> None:
    runner = Runner(api.database, tasks.handlers(), clock=lambda: api.now)
    while runner.run_once() == 0:
        pass


@pytest.fixture
def card(api: Api) -> str:
    """A card that bought for a thousand under rules of five percent."""
    save(api, FIVE)
    api.call("POST", "/programmes/shop/rules/publish", environ_overrides={"CONTENT_LENGTH": "0"})
    card = str(api.member()["card"]["id"])
    answer = api.call(
        "POST",
        "/purchases",
        json={
            "external_id": "1",
            "card_id": card,
            "branch_id": api.branch.public_id,
            "total": {"amount": 100_000, "currency": "RUB"},
        },
        headers={"Idempotency-Key": "1"},
    )
    assert answer.get_json()["earned"] == 50, answer.text
    return card


def test_from_the_draft_to_the_figures(api: Api, card: str) -> None:
    """Begun, paused, resumed, done; of an older draft once that changes."""
    save(api, TEN)
    answer = begin(api)
    assert answer.status_code == 202, answer.text
    begun = answer.get_json()
    assert (begun["rules_version"], begun["of_older_draft"], begun["result"]) == (2, False, None)
    assert (begun["from"], begun["until"], begun["branches"]) == (*PERIOD.values(), [])
    assert (begun["job"]["kind"], begun["job"]["state"]) == ("rehearsal", "running")
    path, job = f"{REHEARSALS}/{begun['id']}", f"/bulk-jobs/{begun['job']['id']}"
    bodiless = {"CONTENT_LENGTH": "0"}
    assert api.call("POST", f"{job}/pause", environ_overrides=bodiless).status_code == 200
    work(api)
    paused = api.call("GET", path).get_json()
    assert (paused["job"]["state"], paused["result"]) == ("paused", None)
    api.call("POST", f"{job}/resume", environ_overrides=bodiless)
    work(api)
    done = api.call("GET", path).get_json()
    result = done["result"]
    totals = result["totals"]
    assert (totals["purchases"], totals["earned_before"], totals["earned_after"]) == (1, 50, 100)
    assert (totals["cost_before"], totals["cost_after"]) == (5_000, 10_000)
    assert (result["winners"], result["losers"], result["won"]) == (1, 0, 5_000)
    assert (result["liability"], result["liability_money"]) == (50, 5_000)
    assert result["top_winners"] == [{"card_id": card, "gain": 5_000, "purchases": 1}]
    branch = result["branches"][0]
    assert (branch["branch"], branch["name"]) == (api.branch.public_id, "Невский")
    assert [(r["rule"], r["before"], r["after"]) for r in result["rules"]] == [("base", 50, 100)]
    save(api, FIVE)
    assert api.call("GET", path).get_json() == done | {"of_older_draft": True}


def test_figures_are_never_older_than_the_job_that_is_done(api: Api, card: str) -> None:
    """Named bug: the rehearsal was read, its last piece came, and then its job was read as done."""
    save(api, TEN)
    begun = begin(api).get_json()
    with api.database.read_tx() as session:
        programme = find_programme(session, api.shop.organisation.id, "shop")
        rehearsal = service.find(session, programme, begun["id"])
        assert rehearsal.figures == {}
        work(api)
        call = SimpleNamespace(session=session, now=api.now)
        told = rehearsals._whole(cast("Call", call), programme, rehearsal)
    assert told.result is not None
    assert (told.result.totals.purchases, told.result.cards) == (1, 1)


def test_listed_newest_first(api: Api, card: str) -> None:
    """By cursor, without what they found; only the programme's own."""
    assert card
    save(api, TEN)
    ids = [begin(api).get_json()["id"] for _ in range(3)]
    first = api.call("GET", f"{REHEARSALS}?limit=2").get_json()
    assert [each["id"] for each in first["items"]] == [ids[2], ids[1]]
    assert "result" not in first["items"][0]
    rest = api.call("GET", f"{REHEARSALS}?cursor={first['next_cursor']}").get_json()
    assert ([each["id"] for each in rest["items"]], rest["next_cursor"]) == ([ids[0]], None)
    theirs = api.key(Scope.RULES_READ, shop=api.other)
    elsewhere = f"/programmes/other/rules/rehearsals/{ids[0]}"
    assert api.call("GET", elsewhere, secret=theirs).status_code == 404
    assert api.call("GET", f"{REHEARSALS}/{ids[0]}", secret=theirs).status_code == 404
    for path in (f"{REHEARSALS}/nonsense", f"{REHEARSALS}/{'0' * 20}"):
        assert api.call("GET", path).status_code == 404
    assert api.call("GET", f"{REHEARSALS}?cursor=x").get_json()["errors"][0]["field"] == "cursor"


def test_what_is_refused(api: Api, card: str) -> None:
    """Without a draft, days that are none, strangers' branches, reading keys; nothing begins."""
    assert card
    before = api.rows()
    assert begin(api).status_code == 409
    save(api, TEN)
    wrongs: list[tuple[str, dict[str, Any]]] = [
        ("from", {"from": "2026-13-01"}),
        ("from", {"from": "2026-11-21", "until": "2026-11-21"}),
        ("until", {"until": "2026-10-31"}),
        ("until", {"until": "2026-11-21"}),
        ("branches.0", {"branches": ["0" * 20]}),
        ("branches", {"branches": "all"}),
        ("since", {"since": "2026-11-01"}),
    ]
    for field, changes in wrongs:
        answer = begin(api, **changes)
        assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, field)
    reader = api.key(Scope.RULES_READ)
    assert api.call("POST", REHEARSALS, json=PERIOD, secret=reader).status_code == 403
    after = api.rows()
    assert after == before | {name: after[name] for name in ("rule_versions", "api_keys")}


def test_a_retry_begins_nothing_anew(api: Api, card: str) -> None:
    """The same key and body answer the same rehearsal."""
    assert card
    save(api, TEN)
    key = {"Idempotency-Key": "k"}
    first, second = (api.call("POST", REHEARSALS, json=PERIOD, headers=key) for _ in range(2))
    assert first.data == second.data
    assert len(api.call("GET", REHEARSALS).get_json()["items"]) == 1
