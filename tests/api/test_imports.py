"""Imports and plastic numbers over HTTP."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import xlsxwriter

from tests.api.conftest import Api
from walletsvc.enrolment.importing.tasks import handlers
from walletsvc.jobs.bulk.runner import Runner

LIST = "card;phone;name;balance\n1001;8 900 000-00-01;Анна;150\n1002;1;Пётр;50\n"


def begin(api: Api, **body: Any) -> dict[str, Any]:
    """Send a list, and let the worker look it through."""
    answer = api.call("POST", "/imports", json={"programme": "shop", "reason": "Old", **body})
    assert answer.status_code == 202, answer.text
    assert answer.get_json()["state"] == "checking"
    work(api)
    found = api.call("GET", f"/imports/{answer.get_json()['id']}").get_json()
    assert found["state"] == "checked"
    return dict(found)


def work(api: Api) -> None:
    runner = Runner(api.database, handlers(), clock=lambda: api.now)
    while runner.run_once() == 0:
        pass


def run(api: Api, found: dict[str, Any], **changes: Any) -> Any:
    body = {
        "expected_total": found["figures"]["ready_balance"],
        "digest": found["digest"],
        **changes,
    }
    headers = {"Idempotency-Key": f"run {found['id']}".replace(" ", "-")}
    return api.call("POST", f"/imports/{found['id']}/run", json=body, headers=headers)


def test_an_import_from_beginning_to_end(api: Api) -> None:
    """Looked through, run, scanned, undone; its report tells of the bad row."""
    found = begin(api, csv=LIST, file_name="base.csv")
    assert {name: found["figures"][name] for name in ("ready", "bad", "left_out_balance")} == {
        "ready": 1,
        "bad": 1,
        "left_out_balance": 50,
    }
    report = api.call("GET", f"/imports/{found['id']}/report").get_json()
    assert [(row["line"], row["outcome"]) for row in report["items"]] == [(3, "bad")]
    assert report["items"][0]["problems"][0]["column"] == "phone"
    assert run(api, found, expected_total=151).status_code == 400
    begun = run(api, found)
    assert (begun.status_code, begun.get_json()["state"]) == (202, "running")
    work(api)
    assert run(api, found).data == begun.data  # the same answer again
    scanned = api.call("POST", "/scans", json={"text": "10-01"}).get_json()
    assert (scanned["card"]["holder"]["first_name"], scanned["available"]) == ("Анна", 150)
    numbers = api.call("GET", f"/cards/{scanned['card']['id']}/plastic-numbers").get_json()
    assert [each["number"] for each in numbers["items"]] == ["1001"]
    undone = api.call(
        "POST",
        f"/imports/{found['id']}/undo",
        headers={"Idempotency-Key": "u"},
        environ_overrides={"CONTENT_LENGTH": "0"},
    )
    assert undone.status_code == 202
    work(api)
    shown = api.call("GET", "/imports").get_json()["items"]
    assert [(each["state"], each["job"]["result"]) for each in shown] == [("undone", {"undone": 1})]
    assert api.call("POST", "/scans", json={"text": "10-01"}).status_code == 404


def test_a_workbook_larger_than_other_bodies(api: Api) -> None:
    """A base may be more than a megabyte; other calls take no more than before."""
    packed = io.BytesIO()
    with xlsxwriter.Workbook(packed, {"strings_to_numbers": False}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["card", "balance", "имя", "x"])
        for place in range(1, 301):
            sheet.write_row(place, 0, [f"A{place:07}", place, f"Имя {place:x}", f"{place**5:x}"])
    body = b64encode(packed.getvalue()).decode()
    sent = {"programme": "shop", "reason": "Old", "xlsx": body, "columns": {"x": ""}}
    answer = api.call("POST", "/imports", json={**sent, "file_name": "base.xlsx"})
    assert answer.status_code == 202, answer.text
    assert answer.get_json()["job"]["total"] == 300
    wide = "card,balance\n" + "".join(f"B{n:07},{n}{' ' * 4000}\n" for n in range(300))
    assert len(wide) > 1024 * 1024
    found = begin(api, csv=wide)
    assert found["figures"]["ready"] == 300
    large = api.call("POST", "/scans", json={"text": "x" * 1024 * 1024})
    assert large.status_code == 413


def test_what_cannot_be_read_is_said_at_once(api: Api) -> None:
    """Neither or both kinds of file, unknown headings, another's programme."""
    for body, field in (
        ({}, "csv"),
        ({"csv": LIST, "xlsx": "UEs="}, "csv"),
        ({"xlsx": "?"}, "xlsx"),
        ({"csv": "card;colour\n1;2\n"}, "heading, column 2"),
        ({"csv": "name\nAnna\n"}, "heading"),
        ({"csv": "card\n"}, "rows"),
        ({"csv": LIST, "columns": {"card": "colour"}}, "columns.card"),
        ({"csv": LIST, "programme": "other"}, "programme"),
    ):
        answer = api.call("POST", "/imports", json={"programme": "shop", "reason": "Old", **body})
        assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, field)
    assert api.call("GET", "/imports").get_json()["items"] == []
    assert api.call("GET", "/imports/nothing").status_code == 404


def test_a_number_is_given_to_a_card(api: Api, card: str) -> None:
    """Twice is once; another card cannot have it."""
    for _ in range(2):
        made = api.call("POST", f"/cards/{card}/plastic-numbers", json={"number": "ab-12 34"})
        assert (made.status_code, made.get_json()["number"]) == (201, "AB1234")
    other = api.member(first_name="Пётр")["card"]["id"]
    taken = api.call("POST", f"/cards/{other}/plastic-numbers", json={"number": "AB1234"})
    assert taken.status_code == 409
    bad = api.call("POST", f"/cards/{other}/plastic-numbers", json={"number": "?"})
    assert bad.get_json()["errors"][0]["field"] == "number"
