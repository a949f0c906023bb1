"""Gift certificates over HTTP: who may do what, who sees what, and codes that stay secret."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from tests.certificates.books import listed
from tests.certificates.shop import gift_programme
from walletsvc.access.rules import SCOPES
from walletsvc.certificates import lookup
from walletsvc.core.errors import TooManyTries
from walletsvc.enrolment import certificates as with_passes
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.models import Branch
from walletsvc.web import logs

NOBODYS = "6NAP-GRVQ-629N-XNG5"


@dataclass
class Gifts:
    """The first shop issues; `partner` is a key of the other shop, which accepts."""

    api: Api
    partner: str
    till: str
    keys: int = field(default=0)

    def post(self, path: str, body: dict[str, Any], **options: Any) -> TestResponse:
        """With a fresh Idempotency-Key."""
        self.keys += 1
        headers = {"Idempotency-Key": options.pop("key", f"key-{self.keys}")}
        return self.api.call("POST", path, json=body, headers=headers, **options)

    def issue(self, amount: int = 300_000, **changes: Any) -> dict[str, Any]:
        """A new certificate as it was answered."""
        body = {"programme": "gift", "amount": amount, "reason": "Чек 1", **changes}
        answer = self.post("/certificates", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json())

    def id(self, amount: int = 300_000, **changes: Any) -> str:
        """The id of a new certificate."""
        return str(self.issue(amount, **changes)["certificate"]["id"])

    def read(self, certificate: str) -> dict[str, Any]:
        """As its issuer sees it."""
        return dict(self.api.call("GET", f"/certificates/{certificate}").get_json())

    def look_up(self, code: str, **options: Any) -> TestResponse:
        """As a till does."""
        return self.api.call("POST", "/certificates/lookup", json={"code": code}, **options)


@pytest.fixture
def gifts(api: Api, now: datetime) -> Gifts:
    """A gift programme of the first shop, accepted by the other."""
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, now)
        accept(
            session,
            api.shop.organisation,
            api.other.organisation,
            points=False,
            certificates=True,
            now=now,
        )
    return Gifts(api, api.key(shop=api.other), api.key(branch_id=api.branch.id))


def test_the_life_of_a_certificate(gifts: Gifts) -> None:
    """Issued, looked up, redeemed in a branch, refunded, topped up, paid out."""
    issued = gifts.issue(recipient_name="Марина", expires_on="2027-11-20")
    certificate = issued["certificate"]
    assert certificate["expires_at"] == "2027-11-20T21:00:00Z"  # midnight in Moscow
    assert (certificate["balance"], certificate["state"]) == (300_000, "active")
    assert certificate["links"]["page_url"].startswith("https://cards.example.test/c/")
    path = f"/certificates/{certificate['id']}"
    found = gifts.look_up(issued["code"].lower().replace("-", " "), secret=gifts.till)
    assert found.get_json() == gifts.read(certificate["id"])
    paid = gifts.post(f"{path}/redemptions", {"amount": 84_050, "reason": "Чек 2"},
                      secret=gifts.till).get_json()  # fmt: skip
    assert (paid["balance"], paid["transaction"]["amount"]) == (215_950, -84_050)
    assert paid["transaction"]["branch"] == gifts.api.branch.public_id
    refund = {"transaction_id": paid["transaction"]["id"], "amount": 20_000, "reason": "Возврат"}
    back = gifts.post(f"{path}/refunds", refund).get_json()
    assert (back["balance"], back["transaction"]["undoes"]) == (235_950, paid["transaction"]["id"])
    assert gifts.post(f"{path}/top-ups", {"amount": 50}).get_json()["balance"] == 236_000
    explained = gifts.api.call("GET", f"{path}/explanation").get_json()
    assert [(part["kind"], part["amount"]) for part in explained["parts"]] == [
        ("issued", 300_000),
        ("redeemed", -84_050),
        ("refunded", 20_000),
        ("topped_up", 50),
    ]
    assert explained["balance"] == sum(part["amount"] for part in explained["parts"])
    out = gifts.post(f"{path}/payout", {"reason": "Заявление"})
    assert (out.get_json()["balance"], out.get_json()["transaction"]["amount"]) == (0, -236_000)
    assert gifts.read(certificate["id"])["state"] == "closed"
    first = gifts.api.call("GET", f"{path}/transactions?limit=2").get_json()
    rest = gifts.api.call("GET", f"{path}/transactions?cursor={first['next_cursor']}").get_json()
    assert len(first["items"]) + len(rest["items"]) == 5
    summary = gifts.api.call("GET", "/certificates/summary").get_json()
    assert summary["totals"] == [
        {
            "branch": None, "name": "", "currency": "RUB", "sold_count": 1, "sold": 300_050,
            "given_count": 0, "given": 0, "used": 1, "redemptions": 1, "debited": 84_050,
            "refunded": 20_000, "paid_out": 236_000, "outstanding": 0,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("redemptions", {"amount": 100}),
        ("top-ups", {"amount": 100}),
        ("payout", {"reason": "x"}),
        ("transfer", {"reason": "x"}),
    ],
)
def test_a_dry_run_changes_nothing(gifts: Gifts, verb: str, body: dict[str, Any]) -> None:
    """And needs no key; a rehearsed code would be one that nobody can use."""
    path = f"/certificates/{gifts.id()}/{verb}?dry_run=true"
    before = gifts.api.rows()
    answer = gifts.api.call("POST", path, json=body)
    assert answer.get_json()["dry_run"] is True, answer.text
    assert answer.get_json().get("code") is None
    assert gifts.api.rows() == before


def test_an_issue_is_rehearsed_without_a_code(gifts: Gifts) -> None:
    """Nor a certificate."""
    before = gifts.api.rows()
    answer = gifts.api.call(
        "POST", "/certificates?dry_run=true", json={"programme": "gift", "amount": 5}
    )
    assert answer.get_json() == {"certificate": None, "code": None, "amount": 5, "dry_run": True}
    assert gifts.api.rows() == before


def test_who_only_accepts_sees_balance_and_state(gifts: Gifts) -> None:
    """No recipient, no links, no history, no code; and redeems all the same."""
    issued = gifts.issue(recipient_name="Марина")
    path = f"/certificates/{issued['certificate']['id']}"
    for answer in (
        gifts.look_up(issued["code"], secret=gifts.partner),
        gifts.api.call("GET", path, secret=gifts.partner),
    ):
        shown = answer.get_json()
        assert (shown["balance"], shown["state"], shown["currency"]) == (300_000, "active", "RUB")
        for hidden in ("recipient_name", "links", "origin", "branch", "events", "block_reason"):
            assert shown[hidden] is None, hidden
        for secret in ("Марина", issued["code"], issued["certificate"]["links"]["page_url"]):
            assert secret not in answer.text
    paid = gifts.post(f"{path}/redemptions", {"amount": 100}, secret=gifts.partner)
    assert paid.get_json()["balance"] == 299_900
    for verb, body in (
        ("top-ups", {"amount": 1}), ("payout", {"reason": "x"}), ("block", {"reason": "x"}),
        ("unblock", {"reason": "x"}), ("transfer", {"reason": "x"}),
    ):  # fmt: skip
        assert gifts.post(f"{path}/{verb}", body, secret=gifts.partner).status_code == 404
    for read in ("transactions", "explanation"):
        assert gifts.api.call("GET", f"{path}/{read}", secret=gifts.partner).status_code == 404
    refund = {"transaction_id": paid.get_json()["transaction"]["id"], "reason": "x"}
    back = gifts.post(f"{path}/refunds", refund, secret=gifts.partner)
    assert back.get_json()["balance"] == 300_000


def _same(answers: list[TestResponse]) -> None:
    told = [{**answer.get_json(), "request_id": ""} for answer in answers]
    assert {answer.status_code for answer in answers} == {404}
    assert told == [told[0]] * len(told)


def test_every_miss_looks_the_same(gifts: Gifts, now: datetime) -> None:
    """Unknown, mistyped, no code at all, and of somebody whose certificates are not accepted."""
    with gifts.api.database.write_tx() as session:
        gift_programme(session, gifts.api.other.organisation.id, now, "theirs")
    foreign = gifts.post(
        "/certificates", {"programme": "theirs", "amount": 5, "reason": "x"}, secret=gifts.partner
    ).get_json()
    own = gifts.issue()["code"]
    mistyped = own[:-1] + ("2" if own[-1] != "2" else "3")
    _same([gifts.look_up(code) for code in (NOBODYS, mistyped, "x", foreign["code"])])
    known = f"/certificates/{foreign['certificate']['id']}"
    _same([gifts.api.call("GET", path) for path in (known, "/certificates/" + "0" * 20)])
    refund = {"transaction_id": "0" * 20, "reason": "x"}
    _same(
        [
            gifts.post(f"{path}/refunds", refund)
            for path in (known, "/certificates/" + "0" * 20, "/certificates/x")
        ]
    )


def test_guessing_ends_soon_and_says_when_to_go_on(gifts: Gifts) -> None:
    """A key has its share of misses; hits do not count; other keys go on; time heals."""
    code = gifts.issue()["code"]
    for _ in range(3):
        assert gifts.look_up(code).status_code == 200
    misses = [gifts.look_up(NOBODYS).status_code for _ in range(lookup.PER_KEY.most)]
    assert set(misses) == {404}
    refused = gifts.look_up(code)
    assert (refused.status_code, refused.get_json()["code"]) == (429, "too_many_tries")
    wait = int(refused.headers["Retry-After"])
    assert wait == refused.get_json()["retry_after"]
    assert 0 < wait <= lookup.PER_KEY.window.total_seconds()
    assert gifts.look_up(code, secret=gifts.api.key()).status_code == 200
    gifts.api.clock = gifts.api.now + timedelta(seconds=wait)
    assert gifts.look_up(code).status_code == 200


def test_what_is_no_guess_counts_as_none(gifts: Gifts) -> None:
    """A till that sends nonsense locks nobody out; a mistyped code is a guess."""
    path = "/certificates/lookup"
    key = {"Authorization": f"Bearer {gifts.api.secret}"}
    for _ in range(lookup.PER_KEY.most + 1):
        for json_body in ({}, {"code": 5}, {"code": ""}, {"code": NOBODYS, "x": 1}):
            assert gifts.api.call("POST", path, json=json_body).status_code == 400
        assert gifts.api.call("POST", f"{path}?x=1", json={"code": NOBODYS}).status_code == 400
        broken = gifts.api.client.post(
            f"/api/v1{path}", data=b"{", headers=key, content_type="application/json"
        )
        assert broken.status_code == 400
    misses = [gifts.look_up("x").status_code for _ in range(lookup.PER_KEY.most + 1)]
    assert misses == [404] * lookup.PER_KEY.most + [429]


def test_an_organisation_has_a_share_too(gifts: Gifts) -> None:
    """More keys do not mean more guesses."""
    secrets = [gifts.api.key() for _ in range(6)]
    answers = [
        gifts.look_up(NOBODYS, secret=secrets[n // lookup.PER_KEY.most]).status_code
        for n in range(lookup.PER_ORGANISATION.most)
    ]
    assert set(answers) == {404}
    assert gifts.look_up(NOBODYS, secret=secrets[-1]).status_code == 429
    assert gifts.look_up(NOBODYS, secret=gifts.partner).status_code == 404


def test_many_guesses_at_once_do_not_pass_the_limit(gifts: Gifts) -> None:
    """Sixteen threads, one key: exactly the share is answered."""

    def guess(_: int) -> int:
        with gifts.api.app.test_client() as client:
            answers = [
                client.post(
                    "/api/v1/certificates/lookup",
                    json={"code": NOBODYS},
                    headers={"Authorization": f"Bearer {gifts.api.secret}"},
                ).status_code
                for _ in range(4)
            ]
        return answers.count(404)

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(guess, range(16))) == lookup.PER_KEY.most


@pytest.fixture
def stream() -> io.StringIO:
    """Everything that is logged, down to debug."""
    target = io.StringIO()
    logs.configure("json", "debug", stream=target)
    return target


def test_codes_are_in_no_log_no_address_and_not_readable_in_the_database(
    gifts: Gifts, stream: io.StringIO
) -> None:
    """Issue, replay, look up, mistype, redeem, transfer, import."""
    body = {"programme": "gift", "amount": 500, "recipient_name": "Марина"}
    issued = gifts.post("/certificates", body, key="once").get_json()
    replayed = gifts.post("/certificates", body, key="once")
    assert replayed.get_json() == issued
    path = f"/certificates/{issued['certificate']['id']}"
    gifts.look_up(issued["code"])
    gifts.look_up(NOBODYS)
    gifts.look_up(issued["code"][:-1])
    gifts.post(f"{path}/redemptions", {"amount": 999_999})
    moved = gifts.post(f"{path}/transfer", {"reason": "x"}).get_json()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len([line for line in lines if line["event"] == "request"]) == 7
    token = issued["certificate"]["links"]["page_url"].rpartition("/")[2]
    secrets = (issued["code"], moved["code"], NOBODYS, issued["code"][:-1], token, "Марина")
    for secret in (*secrets, *(code.replace("-", "") for code in secrets[:3])):
        assert secret not in stream.getvalue(), secret
    with gifts.api.database.engine.connect() as connection:
        stored = connection.exec_driver_sql(
            "SELECT string_agg(encode(body, 'escape'), ' ') FROM idempotency_keys"
        ).scalar_one()
        codes = connection.exec_driver_sql("SELECT string_agg(code, ' ') FROM certificates")
        stored += codes.scalar_one()
    for secret in (issued["code"], moved["code"], token):
        assert secret not in stored


def test_what_is_given_needs_a_scope_and_a_reason(gifts: Gifts) -> None:
    """No unsanctioned issue."""
    seller = gifts.api.key(*(scope for scope in SCOPES if scope != "certificates:manage"))
    body = {"programme": "gift", "amount": 500, "origin": "free", "reason": "VIP"}
    refused = gifts.post("/certificates", body, secret=seller)
    assert (refused.status_code, refused.get_json()["scope"]) == (403, "certificates:manage")
    unsaid = gifts.post("/certificates", {**body, "reason": " "})
    assert [error["field"] for error in unsaid.get_json()["errors"]] == ["reason"]
    given = gifts.post("/certificates", body).get_json()["certificate"]
    assert given["origin"] == "free"
    top_up = f"/certificates/{given['id']}/top-ups"
    assert gifts.post(top_up, {"amount": 5, "reason": "x"}, secret=seller).status_code == 403
    assert gifts.post(top_up, {"amount": 5}).status_code == 400
    out = gifts.post(f"/certificates/{given['id']}/payout", {"reason": "x"})
    assert (out.status_code, out.get_json()["code"]) == (422, "refused")


@pytest.mark.parametrize(
    ("changes", "where", "code"),
    [
        ({"programme": "nope"}, "programme", "unknown"),
        ({"programme": "shop"}, "programme", "not_allowed"),
        ({"programme": "other"}, "programme", "unknown"),
        ({"amount": 0}, "amount", "out_of_range"),
        ({"amount": 10**15 + 1}, "amount", "out_of_range"),
        ({"amount": "5"}, "amount", "wrong_type"),
        ({"origin": "stolen"}, "origin", "not_allowed"),
        ({"language": "fr"}, "language", "not_allowed"),
        ({"recipient_name": "x" * 121}, "recipient_name", "too_long"),
        ({"recipient_name": "a\x07"}, "recipient_name", "invalid_characters"),
        ({"expires_on": "2026-11-19"}, "expires_on", "invalid"),
        ({"expires_on": "9999-12-31"}, "expires_on", "invalid"),
        ({"expires_on": "soon"}, "expires_on", "invalid_date"),
        ({"code": "x"}, "code", "unknown_field"),
    ],
)
def test_bad_input_is_named(gifts: Gifts, changes: dict[str, Any], where: str, code: str) -> None:
    """And issues nothing."""
    before = gifts.api.rows()
    body = {"programme": "gift", "amount": 5, "reason": "x", **changes}
    answer = gifts.post("/certificates", body)
    assert answer.status_code == 400, answer.text
    assert [(e["field"], e["code"]) for e in answer.get_json()["errors"]] == [(where, code)]
    assert gifts.api.rows() == before


def test_refusals_have_codes_of_their_own(gifts: Gifts) -> None:
    """Blocked, expired is told by the state, too little, a branch switched off."""
    certificate = gifts.id(500)
    path = f"/certificates/{certificate}"
    short = gifts.post(f"{path}/redemptions", {"amount": 501}).get_json()
    assert (short["code"], short["available"]) == ("insufficient_funds", 500)
    blocked = gifts.post(f"{path}/block", {"reason": "Утерян"}).get_json()
    assert (blocked["state"], blocked["available"], blocked["block_reason"]) == (
        "blocked", 0, "Утерян",
    )  # fmt: skip
    assert [event["kind"] for event in blocked["events"]] == ["blocked"]
    refused = gifts.post(f"{path}/redemptions", {"amount": 1})
    assert (refused.status_code, refused.get_json()["code"]) == (422, "certificate_blocked")
    assert "Утерян" not in refused.text
    assert gifts.post(f"{path}/unblock", {"reason": "x"}).get_json()["state"] == "active"
    with gifts.api.database.write_tx() as session:
        session.get_one(Branch, gifts.api.branch.id).active = False
    closed = gifts.post(f"{path}/redemptions", {"amount": 1}, secret=gifts.till).get_json()
    assert (closed["code"], closed["status"]) == ("not_accepted", 422)


def test_an_expired_one_is_told(gifts: Gifts) -> None:
    """State and code, at the very moment."""
    issued = gifts.issue(expires_on="2026-11-20")["certificate"]
    gifts.api.clock = datetime.fromisoformat(issued["expires_at"])
    headers = {"Authorization": f"Bearer {gifts.api.secret}", "Idempotency-Key": "k"}
    path = f"/api/v1/certificates/{issued['id']}"
    with gifts.api.app.test_client() as client:
        read = client.get(path, headers=headers).get_json()
        assert (read["state"], read["balance"], read["available"]) == ("expired", 300_000, 0)
        answer = client.post(f"{path}/redemptions", json={"amount": 1}, headers=headers)
        assert answer.get_json()["code"] == "certificate_expired"
        paid = client.post(f"{path}/payout", json={"reason": "x"}, headers=headers)
        assert paid.get_json()["balance"] == 0


def test_the_same_key_redeems_once(gifts: Gifts) -> None:
    """Named bug: double redeem, by a till that tries again."""
    path = f"/certificates/{gifts.id(500)}/redemptions"
    first = gifts.post(path, {"amount": 300}, key="receipt-1")
    again = gifts.post(path, {"amount": 300}, key="receipt-1")
    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.get_json()["balance"] == 200


def test_a_transfer_over_http(gifts: Gifts) -> None:
    """The old code finds a closed one that tells its successor; the new one is worth it all."""
    issued = gifts.issue(500)
    path = f"/certificates/{issued['certificate']['id']}"
    made = gifts.post(f"{path}/transfer", {"recipient_name": "Света", "reason": "x"})
    assert made.status_code == 201, made.text
    new = made.get_json()["certificate"]
    assert (new["balance"], new["transferred_from"]) == (500, issued["certificate"]["id"])
    old = gifts.look_up(issued["code"]).get_json()
    assert (old["state"], old["balance"], old["transferred_to"]) == ("closed", 0, new["id"])
    assert gifts.post(f"{path}/redemptions", {"amount": 1}).status_code == 422
    assert gifts.look_up(made.get_json()["code"]).get_json()["id"] == new["id"]


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


def test_periods(gifts: Gifts) -> None:
    """From a moment until before another; what is none is named."""
    gifts.id(500)
    for query, sold in (
        ("from=2026-11-20T09:30:00Z&to=2026-11-20T09:30:01Z", 500),
        ("to=2026-11-20T12:30:01%2B03:00", 500),
        ("to=2026-11-20T12:30:01+03:00", 500),
        ("from=2026-11-20T09:30:01Z&to=2026-12-01T00:00:00Z", 0),
    ):
        summary = gifts.api.call("GET", f"/certificates/summary?{query}").get_json()
        assert sum(row["sold"] for row in summary["totals"]) == sold, query
    for query, where in (
        ("from=yesterday", "from"),
        ("to=2026-11-20T09:30:00", "to"),
        ("from=2027-01-01T00:00:00Z", "from"),
    ):
        answer = gifts.api.call("GET", f"/certificates/summary?{query}")
        assert [error["field"] for error in answer.get_json()["errors"]] == [where]


def test_the_document_tells_of_the_limit(api: Api) -> None:
    """429 with its header."""
    document = api.client.get("/api/openapi.json").get_json()
    told = document["paths"]["/certificates/lookup"]["post"]["responses"]["429"]
    assert "Retry-After" in told["headers"]
    assert TooManyTries.code in told["content"]["application/problem+json"]["examples"]
