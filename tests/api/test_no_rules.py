"""A programme without published rules says so, instead of silently earning nothing."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

BODILESS = {"CONTENT_LENGTH": "0"}
WORDS = {
    "en": "The programme has no published rules yet: nothing is earned, points cannot pay",
    "ru": "Правила программы ещё не опубликованы: баллы не начисляются и не списываются",
}


def bill(card: str) -> dict[str, Any]:
    """A bill of a hundred roubles."""
    return {"card_id": card, "total": {"amount": 10_000, "currency": "RUB"}}


def scanned(api: Api, number: str, language: str = "") -> dict[str, Any]:
    """What a scanner is told."""
    answer = api.call("POST", f"/scans{language}", json={"text": number})
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def codes(found: dict[str, Any]) -> list[str]:
    """Why a bill brings what it brings."""
    return [each["code"] for each in found["explanation"]]


def test_every_step_says_it(api: Api) -> None:
    """Scan, quote, purchase and reading it, in both languages; a bill without a card does not."""
    member = api.member()["card"]
    card, number = member["id"], member["number"]
    seen = scanned(api, number)
    assert (seen["problems"], seen["notes"]) == ([], [{"code": "no_rules", "text": WORDS["ru"]}])
    assert scanned(api, number, "?language=en")["notes"][0]["text"] == WORDS["en"]
    for language, words in WORDS.items():
        quote = api.call("POST", f"/quotes?language={language}", json=bill(card)).get_json()
        assert quote["explanation"] == [{"code": "no_rules", "text": words}]
        assert (quote["earned"], quote["rules_version"]) == (0, None)
    sold = api.call(
        "POST",
        "/purchases",
        json={**bill(card), "external_id": "1"},
        headers={"Idempotency-Key": "1"},
    ).get_json()
    assert sold["explanation"] == [{"code": "no_rules", "text": WORDS["ru"]}]
    again = api.call("GET", f"/purchases/{sold['id']}?language=en").get_json()
    assert again["explanation"] == [{"code": "no_rules", "text": WORDS["en"]}]
    nobody = api.call("POST", "/quotes", json={"total": bill(card)["total"]}).get_json()
    assert nobody["explanation"] == []


def test_a_draft_is_no_rules_and_publishing_ends_it(api: Api) -> None:
    """Points for a purchase from then on, and nothing to note."""
    member = api.member()["card"]
    rules = {"rules": {"earn": {"percent": "5"}}}
    assert api.call("PUT", "/programmes/shop/rules/draft", json=rules).status_code == 200
    assert codes(api.call("POST", "/quotes", json=bill(member["id"])).get_json()) == ["no_rules"]
    api.call("POST", "/programmes/shop/rules/publish", environ_overrides=BODILESS)
    assert codes(api.call("POST", "/quotes", json=bill(member["id"])).get_json()) == ["base"]
    assert scanned(api, member["number"])["notes"] == []
