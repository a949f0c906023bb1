"""The ledger over REST: explanations, liability, verification."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import procrastinate
import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.api.conftest import Api
from walletsvc.app import LEDGER_CHECKS
from walletsvc.core.actor import SYSTEM
from walletsvc.core.ids import public_id
from walletsvc.ledger import service, tasks, verification

BODILESS = {"CONTENT_LENGTH": "0"}


def account_of(api: Api, card: str) -> int:
    """The account of a card."""
    with api.database.read_tx() as session:
        found = session.execute(
            text("SELECT account_id FROM cards WHERE public_id = :id"), {"id": card}
        )
        return int(found.scalar_one())


def give(api: Api, card: str, amount: int, **options: Any) -> None:
    """Credit a card with options that no adjustment has."""
    with api.database.write_tx() as session:
        service.credit(
            session,
            account_of(api, card),
            amount,
            source="purchase",
            actor=SYSTEM,
            reason="Order 1207",
            now=api.now,
            **options,
        )


def test_a_balance_is_explained(api: Api, card: str) -> None:
    """Lots in the order in which they pay, what comes later, and the last movements."""
    soon, later = api.now + timedelta(days=2), api.now + timedelta(days=9)
    give(api, card, 30, expires_at=soon, promotional=True)
    give(api, card, 40, available_from=later)
    api.adjust(card, -5, "Coffee")
    found = api.call("GET", f"/cards/{card}/explanation").get_json()
    assert {name: found[name] for name in ("unit", "balance", "held", "available", "debt")} == {
        "unit": "points:shop", "balance": 125, "held": 0, "available": 125, "debt": 0,
    }  # fmt: skip
    assert [(lot["remaining"], lot["original"]) for lot in found["lots"]] == [(25, 30), (100, 100)]
    assert found["lots"][0]["expires_at"] == "2026-11-22T09:30:00Z"
    assert found["lots"][0]["reason"] == "Order 1207"
    assert [(lot["remaining"], lot["available_from"]) for lot in found["future"]] == [
        (40, "2026-11-29T09:30:00Z")
    ]
    assert [each["amount"] for each in found["transactions"]] == [-5, 30, 100]


def reserve(api: Api, card: str, amount: int, *, minutes_ago: int) -> str:
    """A hold of a quarter of an hour, made some time ago."""
    made = api.now - timedelta(minutes=minutes_ago)
    with api.database.write_tx() as session:
        return service.hold(
            session,
            account_of(api, card),
            amount,
            acceptor_id=api.shop.organisation.id,
            actor=SYSTEM,
            reason="Bill 7",
            now=made,
            expires_at=made + timedelta(minutes=15),
        ).public_id


def test_what_is_reserved_is_explained_until_it_is_over(api: Api, card: str) -> None:
    """As it is at the moment of asking, although no job noted that a hold is over."""
    reserve(api, card, 30, minutes_ago=60)
    active = reserve(api, card, 60, minutes_ago=5)
    found = api.call("GET", f"/cards/{card}/explanation").get_json()
    assert (found["balance"], found["held"], found["available"]) == (100, 60, 40)
    assert [(each["id"], each["amount"]) for each in found["holds"]] == [(active, 60)]
    assert [lot["held"] for lot in found["lots"]] == [60]


def test_what_became_due_is_explained_as_part_of_the_balance(api: Api, card: str) -> None:
    """The job comes by once an hour; whoever asks before it gets the same answer."""
    then = api.now - timedelta(hours=1)
    with api.database.write_tx() as session:
        service.credit(
            session,
            account_of(api, card),
            50,
            source="purchase",
            actor=SYSTEM,
            reason="Order 1207",
            now=then,
            available_from=api.now - timedelta(minutes=1),
        )
    found = api.call("GET", f"/cards/{card}/explanation").get_json()
    assert (found["balance"], found["available"], found["future"]) == (150, 150, [])
    assert sum(lot["remaining"] for lot in found["lots"]) == 150


def test_only_own_cards_are_explained(api: Api, card: str) -> None:
    """Foreign and unknown look alike."""
    secret = api.key(shop=api.other)
    for path in (card, "0" * 20, "x"):
        answer = api.call("GET", f"/cards/{path}/explanation", secret=secret)
        assert (answer.status_code, answer.get_json()["detail"]) == (404, "There is no such card.")


def test_what_is_owed_now_and_before(api: Api, card: str) -> None:
    """By month in the programme's zone; another organisation owes nothing."""
    give(api, card, 30, expires_at=api.now + timedelta(days=10))
    found = api.call("GET", "/liability").get_json()
    assert found == {
        "at": "2026-11-20T09:30:00Z",
        "points": [
            {
                "unit": "points:shop",
                "scale": 0,
                "months": [
                    {"month": "2026-11", "available": 30, "future": 0},
                    {"month": None, "available": 100, "future": 0},
                ],
                "available": 130,
                "future": 0,
                "debts": 0,
                "balance": 130,
            }
        ],
        "certificates": [],
    }
    before = api.call("GET", "/liability?at=2026-11-20T09:00:00%2B00:00").get_json()
    assert (before["points"], before["certificates"]) == ([], [])
    foreign = api.call("GET", "/liability", secret=api.key(shop=api.other)).get_json()
    assert foreign["points"] == []


@pytest.mark.parametrize(
    "at",
    ["", "now", "2026-11-20", "2026-11-20T09:00:00", "2999-01-01T00:00:00Z",
     "0001-01-01T00:00:00%2B03:00", "1700000000", "9999-12-31T23:59:59-12:00"],
)  # fmt: skip
def test_a_moment_that_is_none_is_refused(api: Api, at: str) -> None:
    """And the parameter is named."""
    answer = api.call("GET", f"/liability?at={at}")
    assert answer.status_code == 400, answer.text
    assert answer.get_json()["errors"][0]["field"] == "at"


def run_jobs(api: Api) -> None:
    """Whatever is queued."""
    connector = procrastinate.PsycopgConnector(conninfo=api.database.conninfo)
    app = procrastinate.App(connector=connector)
    app.add_tasks_from(tasks.create(LEDGER_CHECKS), namespace="ledger")

    async def work() -> None:
        async with app.open_async():
            await app.run_worker_async(
                wait=False,
                install_signal_handlers=False,
                additional_context={"database": api.database, "clock": lambda: api.now},
            )

    asyncio.run(work())


def test_a_verification_is_asked_for_done_and_read(api: Api, card: str) -> None:
    """202 with an id at once; a job does it; differences are told to whom they concern."""
    api.adjust(card, 5)
    with Session(api.database.engine) as session, session.begin():
        session.execute(
            text("UPDATE accounts SET balance = balance + 1 WHERE id = :a"),
            {"a": account_of(api, card)},
        )
    asked = api.call("POST", "/ledger/verifications", environ_overrides=BODILESS)
    assert asked.status_code == 202, asked.text
    assert (asked.get_json()["state"], asked.get_json()["clean"]) == ("running", None)
    path = f"/ledger/verifications/{asked.get_json()['id']}"
    assert api.call("GET", path).get_json() == asked.get_json()
    with Session(api.database.engine) as session:  # many requests must not take all workers
        locks = session.execute(text("SELECT lock FROM procrastinate_jobs")).scalars().all()
    assert locks == ["ledger-verify"]
    run_jobs(api)
    found = api.call("GET", path).get_json()
    assert (found["state"], found["clean"], found["entries"]) == ("done", False, 4)
    assert any("the stored balance is 106, its entries sum to 105" in each
               for each in found["differences"])  # fmt: skip
    foreign = api.call("GET", path, secret=api.key(shop=api.other)).get_json()
    assert (foreign["differences"], foreign["clean"]) == ([], True)
    run_jobs(api)  # nothing is left to do
    assert api.call("GET", "/ledger/verifications").get_json()["items"] == [found]


def test_a_dead_request_queues_nothing(api: Api) -> None:
    """The job is queued in the same transaction as the verification."""
    before = api.rows()
    with pytest.raises(RuntimeError), api.database.write_tx() as session:
        verification.ask_worker(session, actor=SYSTEM, now=api.now)
        raise RuntimeError
    assert api.rows() == before


def test_verifications_are_listed_newest_first(api: Api) -> None:
    """By cursor, without gaps."""
    ids = [
        api.call("POST", "/ledger/verifications", environ_overrides=BODILESS).get_json()["id"]
        for _ in range(3)
    ]
    first = api.call("GET", "/ledger/verifications?limit=2").get_json()
    assert [each["id"] for each in first["items"]] == ids[:0:-1]
    cursor = first["next_cursor"]
    rest = api.call("GET", f"/ledger/verifications?limit=2&cursor={cursor}").get_json()
    assert ([each["id"] for each in rest["items"]], rest["next_cursor"]) == (ids[:1], None)
    for odd in ("x", public_id()):
        answer = api.call("GET", f"/ledger/verifications?cursor={odd}")
        assert answer.get_json()["errors"][0]["field"] == "cursor"
        assert api.call("GET", f"/ledger/verifications/{odd}").status_code == 404
