"""The till's calls through HTTP: scan, quote, hold, purchase, refund, correct."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlmodel import select

from bench.trips import round_trips
from tests.api.conftest import Api
from tests.api.selling import money, send
from tests.certificates.shop import gift_programme
from tests.sales.shop import BOOK, TILL
from walletsvc.access.rules import Scope
from walletsvc.cards.models import Card
from walletsvc.certificates import lookup
from walletsvc.ledger import service as ledger
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.web.context import Deps


@pytest.fixture
def gift(api: Api) -> dict[str, Any]:
    """A certificate of a thousand roubles, and its code."""
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, api.now)
    answer = send(api, "/certificates", {"programme": "gift", "amount": 100_000})
    assert answer.status_code == 201, answer.text
    return dict(answer.get_json())


@pytest.fixture(autouse=True)
def _rules(api: Api) -> None:
    """The shop's rules, published a week ago."""
    at = api.now - timedelta(days=7)
    with api.database.write_tx() as session:
        book = RuleBook.model_validate(BOOK)
        versions.save_draft(session, api.shop.programme, book, TILL, "", at)
        versions.publish(session, api.shop.programme, TILL, at)


def test_a_purchase_is_four_round_trips(api: Api, card: str, gift: dict[str, Any]) -> None:
    """With points, a certificate, earning and turnover; the second time on a connection, and in a
    thread, as they are served."""
    body = {
        "card_id": card,
        "total": money(50_000),
        "points": 10,
        "certificates": [{"certificate_id": gift["certificate"]["id"], "amount": money(1_000)}],
    }
    api.database.engine.dispose()  # of several connections the pool gives each in its turn
    with round_trips() as trips, ThreadPoolExecutor(1) as thread:
        for number in (1, 2):
            trips.clear()
            purchase = {**body, "external_id": str(number)}
            answer = thread.submit(send, api, "/purchases", purchase).result()
            assert answer.status_code == 201, answer.text
    assert len(trips) == 4


def test_scan_quote_hold_purchase_refund(api: Api, card: str, gift: dict[str, Any]) -> None:
    """The whole way of a bill."""
    number = api.call("GET", f"/cards/{card}").get_json()["number"]
    seen = api.call("POST", "/scans", json={"text": f"{number[:4]} {number[4:]}"}).get_json()
    assert (seen["kind"], seen["card"]["id"], seen["available"]) == ("card", card, 100)
    assert seen["tier"] == {"code": "bronze", "next": "gold", "missing": money(100_000)}
    paper = api.call("POST", "/scans", json={"text": gift["code"].lower()}).get_json()
    assert (paper["kind"], paper["available"]) == ("certificate", 100_000)
    bill = {
        "card_id": card,
        "lines": [
            {"item": "tea", "quantity": "2", "price": money(10_000)},
            {"item": "cake", "sum": money(20_000)},
        ],
        "certificates": [{"certificate_id": paper["certificate"]["id"], "amount": money(10_000)}],
    }
    quote = api.call("POST", "/quotes", json=bill).get_json()
    assert (quote["most_points"], quote["available"], quote["payable"]) == (
        100, 100, money(40_000),
    )  # fmt: skip
    held = send(api, "/holds", {"card_id": card, "amount": 80, "seconds": 300, "reason": "4711"})
    paid = {**bill, "hold_id": held.get_json()["hold"]["id"], "external_id": "4711"}
    tried = send(api, "/purchases?dry_run=true", paid).get_json()
    assert (tried["id"], tried["dry_run"]) == (None, True)
    made = send(api, "/purchases?language=en&width=40", paid)
    assert made.status_code == 201, made.text
    purchase = made.get_json()
    assert (purchase["points"], purchase["money"], purchase["earned"]) == (80, money(22_000), 16)
    assert purchase["certificates"][0]["left"] == money(90_000)
    assert purchase["receipt"]["valid"] == 36
    assert "Points available                      36" in purchase["receipt"]["text"].splitlines()
    assert all(len(line) <= 40 for line in purchase["receipt"]["text"].splitlines())
    assert purchase["explanation"][0]["text"]
    path = f"/purchases/{purchase['id']}"
    back = send(
        api, f"{path}/refunds", {"external_id": "4711-R", "reason": "cold", "lines": [
            {"item": "tea", "quantity": "1"}]},
    ).get_json()  # fmt: skip
    assert back["state"] == "done"
    assert (
        back["money"]["amount"]
        + back["points"] * 100
        + (back["certificates"][0]["amount"]["amount"])
        == 10_000
    )
    read = api.call("GET", path).get_json()
    assert read["state"] == "partly_refunded"
    assert [each["id"] for each in read["refunds"]] == [back["id"]]
    found = api.call("GET", "/purchases?external_id=4711").get_json()
    assert [each["id"] for each in found["items"]] == [purchase["id"]]


def test_a_repeated_report_gets_the_same_answer(api: Api, card: str) -> None:
    """By the same key word for word; by the external id marked as repeated."""
    body = {"card_id": card, "total": money(10_000), "external_id": "1", "source": "pos"}
    first = send(api, "/purchases", body, key="a")
    again = send(api, "/purchases", body, key="a")
    other = send(api, "/purchases", body, key="b")
    assert again.data == first.data
    assert other.get_json() == {**first.get_json(), "repeated": True}
    wrong = send(api, "/purchases", {**body, "total": money(10_001)}, key="c")
    assert (wrong.status_code, wrong.get_json()["code"]) == (409, "conflict")
    assert wrong.get_json()["differs"] == ["total"]
    assert wrong.get_json()["purchase"] == first.get_json()["id"]


def test_a_quote_is_what_the_purchase_will_be(api: Api, card: str) -> None:
    """Field by field."""
    bill = {
        "card_id": card,
        "lines": [{"item": "tea", "quantity": "0.333", "price": money(33_333)}],
        "points": 20,
        "channel": "till",
    }
    quote = api.call("POST", "/quotes", json=bill).get_json()
    made = send(api, "/purchases", {**bill, "external_id": "1"}).get_json()
    both = quote.keys() & made.keys()
    assert {"total", "earned", "explanation", "lines", "money"} <= both
    assert {name: quote[name] for name in both} == {name: made[name] for name in both}


def test_a_return_that_is_early(api: Api, card: str) -> None:
    """It waits, and is applied with its purchase."""
    early = send(
        api,
        "/refunds",
        {
            "external_id": "R", "purchase_external_id": "7", "amount": money(100), "reason": "x",
        },
    ).get_json()  # fmt: skip
    assert (early["state"], early["purchase_id"], early["money"]) == ("waiting", None, None)
    made = send(
        api, "/purchases", {"card_id": card, "total": money(1_000), "external_id": "7"}
    ).get_json()
    assert made["state"] == "partly_refunded"
    assert made["refunds"][0]["money"] == money(100)


def test_a_return_that_waits_says_so_until_its_purchase_comes(api: Api, card: str) -> None:
    """In the language that is asked for; asked again after the purchase, it says nothing more."""
    body = {"external_id": "R", "purchase_external_id": "7", "reason": "x"}
    russian = "Покупка ещё не пришла: возврат сохранён и будет учтён, как только она появится"
    english = "The purchase is not known yet: the return is kept and counted as soon as it comes"
    for query, words in (
        ("?dry_run=true", russian),
        ("", russian),
        ("?language=ru", russian),
        ("?language=en", english),
    ):
        answer = send(api, f"/refunds{query}", body)
        assert answer.status_code == 201, answer.text
        assert answer.get_json()["state"] == "waiting"
        assert answer.get_json()["explanation"] == [{"code": "purchase_awaited", "text": words}]
    send(api, "/purchases", {"card_id": card, "total": money(1_000), "external_id": "7"})
    late = send(api, "/refunds", body).get_json()
    assert (late["state"], late["explanation"]) == ("done", [])


def test_a_return_that_came_for_too_much_waits_no_more(api: Api, card: str) -> None:
    """Its purchase came, and there was less: that is the problem, not the waiting."""
    body = {"external_id": "R", "purchase_external_id": "7", "amount": money(2_000), "reason": "x"}
    send(api, "/refunds", body)
    send(api, "/purchases", {"card_id": card, "total": money(1_000), "external_id": "7"})
    late = send(api, "/refunds", body).get_json()
    assert (late["state"], late["explanation"]) == ("refused", [])


def test_a_correction_names_what_it_corrects(api: Api, card: str) -> None:
    """And the corrected one names it."""
    body = {"card_id": card, "total": money(1_000), "external_id": "7"}
    old = send(api, "/purchases", body).get_json()
    path = f"/purchases/{old['id']}"
    new = send(
        api, f"{path}/corrections",
        {**body, "external_id": "7-K", "total": money(900), "reason": "typo"},
    ).get_json()  # fmt: skip
    assert (new["corrects"], new["total"]) == (old["id"], money(900))
    read = api.call("GET", path).get_json()
    assert (read["state"], read["corrected_by"]) == ("corrected", new["id"])


def test_the_list_goes_on_by_cursor(api: Api, card: str) -> None:
    """Newest first, each once; of a card, and none of another organisation."""
    other = api.member(first_name="Вера")["card"]["id"]
    for number in range(5):
        whose = card if number % 2 else other
        send(
            api, "/purchases",
            {"card_id": whose, "total": money(100), "external_id": str(number)},
        )  # fmt: skip
    seen, more = [], ""
    for _ in range(3):
        page = api.call("GET", f"/purchases?limit=2{more}").get_json()
        seen += [each["external_id"] for each in page["items"]]
        more = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == ["4", "3", "2", "1", "0"]
    own = api.call("GET", f"/purchases?card_id={card}").get_json()["items"]
    assert [each["external_id"] for each in own] == ["3", "1"]
    stranger = api.key(shop=api.other)
    assert api.call("GET", "/purchases", secret=stranger).get_json()["items"] == []


def test_scans_share_the_limit_of_looking_certificates_up(api: Api, gift: dict[str, Any]) -> None:
    """Whoever guesses by scanning is stopped as by looking up, and from both."""
    secret = api.key(Scope.SALES_READ, Scope.CERTIFICATES_REDEEM)
    for _ in range(lookup.PER_KEY.most):
        miss = api.call("POST", "/scans", json={"text": "2222-2222-2222-2222"}, secret=secret)
        assert (miss.status_code, miss.get_json()["code"]) == (404, "not_found")
    for path, body in (
        ("/scans", {"text": gift["code"]}),
        ("/certificates/lookup", {"code": gift["code"]}),
    ):
        assert api.call("POST", path, json=body, secret=secret).status_code == 429


def test_a_card_that_is_not_accepted_looks_like_none(api: Api, card: str) -> None:
    """Another organisation's till learns nothing about its holder."""
    number = api.call("GET", f"/cards/{card}").get_json()["number"]
    stranger = api.key(shop=api.other)
    answers = [
        api.call("POST", "/scans", json={"text": text}, secret=stranger).get_json()
        for text in (number, "9123456789012342", "nonsense")
    ]
    for answer in answers:
        answer.pop("request_id")
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"external_id": "1"}, "lines"),
        ({"external_id": "1", "total": money(1), "lines": [{"sum": money(1)}]}, "lines"),
        ({"external_id": "1", "lines": [{"item": "a"}]}, "lines.0.price"),
        (
            {"external_id": "1", "lines": [{"sum": money(1)}, {"sum": money(1, "EUR")}]},
            "lines.1.sum.currency",
        ),
        ({"external_id": "1", "lines": [{"sum": money(1), "quantity": "1.2345"}]},
         "lines.0.quantity"),
        ({"external_id": "a b", "total": money(1)}, "external_id"),
        ({"external_id": "1", "total": {"amount": 1.5, "currency": "RUB"}}, "total.amount"),
        ({"external_id": "1", "total": money(1), "card_id": "0" * 20}, "card_id"),
        ({"external_id": "1", "total": money(1), "points": 5}, "points"),
        ({"external_id": "1", "total": money(1), "channel": "Till!"}, "channel"),
        (
            {"external_id": "1", "total": money(1), "certificates": [
                {"certificate_id": "0" * 20, "amount": money(0)}]},
            "certificates.0.amount.amount",
        ),
    ],
)  # fmt: skip
def test_bad_input_names_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    """And nothing is written."""
    before = api.rows()
    answer = send(api, "/purchases", body)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_input")
    assert field in [each["field"] for each in answer.get_json()["errors"]]
    assert api.rows() == before


def test_points_that_come_back_past_their_time_are_said_in_the_answer(
    api: Api, card: str, kept_app: tuple[Flask, Deps]
) -> None:
    """When it is tried, when it is done, when it is repeated, and wherever it is read later."""
    ends = api.now + timedelta(days=9)
    with api.database.write_tx() as session:
        account = session.exec(select(Card.account_id).where(Card.public_id == card)).one()
        ledger.credit(
            session, account, 80, source="test", actor=TILL, reason="test", now=api.now,
            expires_at=ends,
        )  # fmt: skip
    body = {"card_id": card, "total": money(40_000), "points": 80, "external_id": "8"}
    made = send(api, "/purchases", body).get_json()
    vars(kept_app[1]).update(clock=lambda: ends)
    path = f"/purchases/{made['id']}"
    back = {"external_id": "8-R", "reason": "cold"}
    english = "Came back past its time and cannot be spent any more: 80 points"
    russian = "Вернулось, но срок уже истёк — потратить нельзя: 80 баллов"
    for query, words in (
        ("?dry_run=true&language=en", english),
        ("?language=en", english),
        ("", russian),
    ):
        answer = send(api, f"{path}/refunds{query}", back)
        assert answer.status_code == 201, answer.text
        found = answer.get_json()
        assert (found["points"], found["expired"]) == (80, 80)
        assert found["explanation"] == [{"code": "returned_expired", "text": words}]
    [read] = api.call("GET", f"{path}?language=en").get_json()["refunds"]
    assert read["explanation"][0]["text"] == english
