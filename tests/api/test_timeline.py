"""Timelines over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from tests.api.conftest import ANNA, Api
from tests.api.fuzzing import FUZZ, never_5xx
from walletsvc.apple.dialect import AppleDialect
from walletsvc.cards.models import Card
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_object
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.passes.models import Pass, Wallet
from walletsvc.passes.publish import Publisher
from walletsvc.passes.service import ensure_pass, find_by_link

ISSUER = "3388000000022000000"


def serial_of(api: Api, card: str) -> str:
    """The serial number of a card's pass, published once."""
    publisher = Publisher([AppleDialect("http://x")])
    with api.database.write_tx() as session:
        pass_ = session.exec(
            select(Pass)
            .join(Card, col(Card.id) == Pass.card_id)
            .where(Card.public_id == card, Pass.wallet == Wallet.APPLE)
        ).one()
        publisher.publish(session, [pass_.id], lane=Lane.INTERACTIVE, now=api.now)
        return str(pass_.serial)


def google_pass_of(api: Api, card: str) -> str:
    """The serial number of the card's pass in Google Wallet, which somebody wanted."""
    dialect = GoogleDialect(House(ISSUER, "https://cards.example.test", "ru"))
    with api.database.write_tx() as session:
        holder = session.exec(select(Card).where(Card.public_id == card)).one()
        subject = find_by_link(session, holder.link_token)
        assert subject is not None
        made = ensure_pass(session, subject, dialect, api.now)
        ensure_object(session, made, api.now)
        publisher = Publisher([dialect])
        publisher.publish(session, [made.id], lane=Lane.INTERACTIVE, now=api.now)
        return str(made.serial)


def test_a_timeline_tells_what_happened_and_what_it_means(api: Api) -> None:
    """By the card or by the serial number: the same story, newest first."""
    card = api.member()["card"]["id"]
    api.adjust(card, 120, "welcome")
    serial = serial_of(api, card)
    body = api.call("GET", f"/cards/{card}/timeline").get_json()
    assert body == api.call("GET", f"/passes/{serial}/timeline").get_json()
    assert (body["serial"], body["card"], body["revision"]) == (serial, card, 1)
    assert [item["kind"] for item in body["items"]] == ["published", "changed"]
    assert body["items"][1]["detail"]["reason"] == "welcome"
    assert body["findings"][0]["code"] == "certificate-missing"
    assert body["findings"][-1]["code"] == "never-added"
    russian = api.call("GET", f"/cards/{card}/timeline?language=ru").get_json()
    assert "сертификата" in russian["findings"][0]["text"]
    assert russian["items"][1]["text"].startswith("начисление +120")
    for secret in ("900", ANNA["last_name"], ANNA["first_name"]):
        assert secret not in str(body), secret


def test_a_card_in_both_wallets_has_two_timelines(api: Api) -> None:
    """One after the other by the card, each alone by its serial number; pages are one pass's."""
    card = api.member()["card"]["id"]
    api.adjust(card, 120)
    apple = serial_of(api, card)
    google = google_pass_of(api, card)
    body = api.call("GET", f"/cards/{card}/timeline").get_json()
    (other,) = body["others"]
    assert (body["wallet"], body["serial"], body["notifications"]) == ("apple", apple, None)
    assert (other["wallet"], other["serial"]) == ("google", google)
    assert other["notifications"] == {"left": 3, "of": 3, "next_at": None}
    assert other["pass_type"] == ISSUER
    assert other["findings"][0]["code"] == "google-not-inserted"
    assert [item["kind"] for item in other["items"]] == ["published", "changed"]
    alone = api.call("GET", f"/passes/{google}/timeline").get_json()
    assert alone == {**other, "others": []}
    first = api.call("GET", f"/cards/{card}/timeline?limit=1").get_json()
    rest = api.call("GET", f"/cards/{card}/timeline?cursor={first['next_cursor']}").get_json()
    assert (rest["wallet"], rest["others"]) == ("apple", [])
    russian = api.call("GET", f"/passes/{google}/timeline?language=ru").get_json()
    assert "Ссылку в Google Кошелёк открывали" in russian["findings"][0]["text"]


def test_pages_and_since(api: Api) -> None:
    """Everything once, newest first; and only what happened since."""
    card = api.member()["card"]["id"]
    for amount in range(1, 8):
        api.adjust(card, amount)
    seen: list[int] = []
    cursor = ""
    while True:
        page = api.call("GET", f"/cards/{card}/timeline?limit=3{cursor}").get_json()
        seen += [item["detail"]["amount"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    after = (api.now + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    assert api.call("GET", f"/cards/{card}/timeline?since={after}").get_json()["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"), ("since=1700000000", "since"),
        ("since=2026-13-01T00:00:00Z", "since"), ("since=2026-11-20T09:30:00", "since"),
        ("cursor=x", "cursor"), ("limit=0", "limit"), ("limit=101", "limit"),
        ("language=de", "language"), ("until=x", "until"),
    ],
)  # fmt: skip
def test_a_bad_question_names_the_field(api: Api, card: str, query: str, field: str) -> None:
    """And says what is expected."""
    answer = api.call("GET", f"/cards/{card}/timeline?{query}")
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, field)


def test_another_organisations_pass_does_not_exist(api: Api, card: str) -> None:
    """Neither by its card nor by its serial number; nor does one by the number of a card."""
    serial, foreign = serial_of(api, card), api.key(shop=api.other)
    number = api.call("GET", f"/cards/{card}").get_json()["number"]
    for path, secret in (
        (f"/cards/{card}/timeline", foreign),
        (f"/passes/{serial}/timeline", foreign),
        (f"/cards/{serial}/timeline", None),
        (f"/passes/{card}/timeline", None),
        (f"/passes/{number}/timeline", None),
    ):
        answer = api.call("GET", path, secret=secret)
        assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found"), path


def test_no_address_makes_a_timeline_fail_badly(api: Api, card: str) -> None:
    """Whatever stands in the path and in the query."""

    @FUZZ
    @given(
        path=st.binary(max_size=40),
        query=st.dictionaries(
            st.sampled_from(["cursor", "limit", "since", "language"]) | st.text(max_size=5),
            st.text(max_size=30) | st.from_regex(r"[0-9]{1,30}-[0-9]{1,9}", fullmatch=True),
            max_size=3,
        ),
    )
    def fuzz(path: bytes, query: dict[str, Any]) -> None:
        odd = {"PATH_INFO": f"/api/v1/passes/{path.decode('latin1')}/timeline"}
        never_5xx(api.call("GET", "/cards/x", environ_overrides=odd))
        never_5xx(api.call("GET", f"/cards/{card}/timeline", query_string=query))

    fuzz()
