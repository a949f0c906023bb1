"""Certificates issued by the table."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.certificates.holder import Gifts
from tests.certificates.books import listed
from walletsvc.enrolment import certificates as with_passes
from walletsvc.jobs.bulk.runner import Runner


def batch(gifts: Gifts, query: str = "", **changes: Any) -> TestResponse:
    """A bulk issue to three."""
    rows = [{"name": f"Гость {n}", "amount": 100 + n} for n in range(3)]
    body = {"programme": "gift", "reason": "VIP", "rows": rows, **changes}
    return gifts.post(
        f"/certificates/batches{query}", {k: v for k, v in body.items() if v is not None}
    )


def test_a_batch_is_issued_and_listed(gifts: Gifts) -> None:
    """Rows before and after; codes only for those who manage; links for those who read."""
    assert batch(gifts, "?dry_run=true").get_json()["job"] is None
    begun = batch(gifts).get_json()
    assert (begun["certificates"], begun["total_amount"]) == (3, 303)
    path = f"/certificates/batches/{begun['job']['id']}"
    waiting = gifts.api.call("GET", path).get_json()
    assert [row["certificate"] for row in waiting["items"]] == [None] * 3
    runner = Runner(gifts.api.database, with_passes.handlers(), clock=lambda: gifts.api.now)
    while runner.run_once() == 0:
        pass
    first = gifts.api.call("GET", f"{path}?limit=2").get_json()
    rest = gifts.api.call("GET", f"{path}?cursor={first['next_cursor']}").get_json()
    rows = first["items"] + rest["items"]
    assert [(row["row"], row["amount"]) for row in rows] == [(1, 100), (2, 101), (3, 102)]
    assert first["job"]["result"] == {"issued": 3}
    assert gifts.look_up(rows[2]["code"]).get_json()["id"] == rows[2]["certificate"]
    reader = gifts.api.key("certificates:read")
    seen = gifts.api.call("GET", path, secret=reader).get_json()["items"]
    assert [row["code"] for row in seen] == [None] * 3
    assert seen[0]["links"]["page_url"].startswith("https://")
    assert gifts.api.call("GET", path, secret=gifts.partner).status_code == 404
    for odd in ("x", "-1", "9" * 30):
        assert gifts.api.call("GET", f"{path}?cursor={odd}").status_code == 400


def test_a_batch_from_a_table(gifts: Gifts) -> None:
    """The same file that the command takes."""
    begun = batch(gifts, rows=None, csv="имя;сумма\nМарина;3 000,50\n")
    assert begun.status_code == 202, begun.text
    assert begun.get_json()["total_amount"] == 300_050


def test_a_batch_from_a_workbook(gifts: Gifts) -> None:
    """In base64, which must be whole."""
    raw = b64encode(listed(["Марина", "3 000,50"], ["Олег", 100])).decode()
    begun = batch(gifts, rows=None, xlsx=raw)
    assert begun.status_code == 202, begun.text
    assert begun.get_json()["total_amount"] == 310_050


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"rows": [{"amount": 5}, {"amount": 0}]}, "rows.1.amount"),
        ({"rows": None, "xlsx": "UEs=!"}, "xlsx"),
        ({"rows": None, "xlsx": "тест"}, "xlsx"),
        ({"rows": None, "xlsx": "UEs="}, "file"),
        ({"rows": None, "xlsx": "UEs=", "csv": "x"}, "rows"),
        ({"rows": [{"amount": 5, "language": "fr"}]}, "rows.0.language"),
        ({"rows": []}, "rows"),
        ({"csv": "x"}, "rows"),
        ({"rows": None}, "rows"),
        ({"rows": None, "csv": "name,amount\nA,zero\n"}, "line 2: amount"),
        ({"reason": " "}, "reason"),
        ({"programme": "nope"}, "programme"),
    ],
)
def test_a_bad_batch_begins_nothing(gifts: Gifts, changes: dict[str, Any], where: str) -> None:
    """And says where."""
    before = gifts.api.rows()
    answer = batch(gifts, **changes)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.get_json()["errors"]] == [where]
    assert gifts.api.rows() == before
