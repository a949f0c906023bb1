"""What is announced, and how."""

from __future__ import annotations

from typing import Any

from tests.apple.samples import described
from tests.google.samples import CONTENT, gift
from walletsvc.emulators.google import rules
from walletsvc.emulators.google.schema import check
from walletsvc.google.rendering.notices import NoticePlan
from walletsvc.passes.schemas import Description


def plan(description: Description, language: str = "ru") -> NoticePlan:
    return NoticePlan(description, language)


def rubles(amount: int) -> dict[str, Any]:
    return {"left": {"amount": amount, "currency": "RUB"}}


TIERED = {
    "fields": {
        "header": [{"key": "points", "label": "points", "value": "{points}", "change": "changed"}],
        "back": [
            {"key": "tier", "label": "terms", "value": "{tier}", "change": "changed"},
            {"key": "next", "label": "name", "value": "{next_tier}", "change": "changed"},
            {"key": "quiet", "label": "name", "value": "{first_name}"},
        ],
    }
}


def test_announced_are_the_fields_with_a_change_text() -> None:
    """Google says two of a loyalty card itself; of a gift card none."""
    loyalty = plan(described(**TIERED))
    values = {"points": 5, "tier": "Золото", "next": "ещё 5 ₽", "quiet": "Мария"}
    assert loyalty.values(CONTENT | {"values": values}) == {
        "points": 5,
        "tier": "Золото",
        "next": "ещё 5 ₽",
    }
    assert loyalty.notifies == {"points", "tier"}
    assert plan(gift()).notifies == frozenset()
    assert plan(gift()).values(CONTENT | {"values": rubles(5)}) == rubles(5)


def test_a_silent_field_announces_nothing() -> None:
    """No change text, no notification, wherever it stands."""
    quiet = described(fields={"header": [{"key": "points", "value": "{points}"}]})
    assert plan(quiet).notifies == frozenset()
    assert plan(quiet).values(CONTENT) == {}


def test_a_gift_cards_balance_is_told_by_a_message() -> None:
    """In the template's words, in both languages, as people write money."""
    message = plan(gift()).message(rubles(500000), rubles(364950))
    assert message == {
        "header": "Баллы",
        "localizedHeader": {
            "defaultValue": {"language": "ru", "value": "Баллы"},
            "translatedValues": [{"language": "en", "value": "Points"}],
        },
        "body": "Теперь баллов: 3\xa0649,50\xa0₽",
        "localizedBody": {
            "defaultValue": {"language": "ru", "value": "Теперь баллов: 3\xa0649,50\xa0₽"},
            "translatedValues": [{"language": "en", "value": "You have 3,649.50\xa0₽ points now"}],
        },
    }
    check("Message", message)
    rules.check_message(message, "message")


def test_the_same_value_twice_says_the_balance_once() -> None:
    """A template may show and announce it at two places."""
    again = {"key": "again", "value": "{balance}", "change": "changed"}
    amounts = [{"left": value, "again": value} for value in (rubles(5)["left"], rubles(6)["left"])]
    message = plan(gift(again)).message(*amounts)
    assert message is not None
    assert message["body"].count("\n") == 0


def test_what_google_announces_itself_needs_no_message() -> None:
    """Or the holder would be told twice."""
    loyalty = plan(described(**TIERED))
    before = {"points": 5, "tier": "Золото", "next": "ещё 5 ₽"}
    assert loyalty.message(before, before | {"points": 6, "tier": "Платина"}) is None
    message = loyalty.message(before, before | {"points": 6, "next": "ещё 4 ₽"})
    assert message is not None
    assert message["body"] == "Теперь баллов: ещё 4 ₽"
    assert message["header"] == "Имя"


def test_no_change_no_message() -> None:
    """Equal, new, or gone: nothing to tell, or a new template would be told to everybody."""
    notices = plan(gift())
    assert notices.message(rubles(5), rubles(5)) is None
    assert notices.message({}, rubles(5)) is None
    assert notices.message(rubles(5), {}) is None


def test_several_changes_are_one_message() -> None:
    """Each notification spends an allowance; the card's name is the heading."""
    to = {"key": "to", "label": "name", "value": "{recipient_name}", "change": "changed"}
    before, after = rubles(5) | {"to": "Анна"}, rubles(6) | {"to": "Мария"}
    message = plan(gift(to)).message(before, after)
    assert message is not None
    assert message["header"] == "Карта лояльности"
    assert message["body"].split("\n") == ["Теперь баллов: 0,06\xa0₽", "Теперь баллов: Мария"]


def test_the_words_of_a_third_language_are_the_installations() -> None:
    """Default English, Russian as a translation."""
    message = plan(gift(), "en").message(rubles(5), rubles(600))
    assert message is not None
    assert message["body"] == "You have 6\xa0₽ points now"
    assert message["localizedBody"]["translatedValues"][0]["language"] == "ru"
