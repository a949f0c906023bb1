"""Codes of certificates stay secret: guesses end, and nothing writes them down."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from werkzeug.test import TestResponse

from tests.api.certificates.holder import NOBODYS, Gifts
from tests.api.conftest import Api
from tests.certificates.shop import gift_programme
from walletsvc.certificates import lookup
from walletsvc.core.errors import TooManyTries
from walletsvc.web import logs


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


def test_the_document_tells_of_the_limit(api: Api) -> None:
    """429 with its header."""
    document = api.client.get("/api/openapi.json").get_json()
    told = document["paths"]["/certificates/lookup"]["post"]["responses"]["429"]
    assert "Retry-After" in told["headers"]
    assert TooManyTries.code in told["content"]["application/problem+json"]["examples"]
