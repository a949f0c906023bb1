"""Every kind has words in every language, and the words use no value that nobody gives."""

from __future__ import annotations

import re

import pytest

from walletsvc.core.ids import public_id
from walletsvc.messaging.kinds import VALUES, Channel, MessageKind
from walletsvc.messaging.segments import Encoding, count
from walletsvc.messaging.wording import contact, render, tables
from walletsvc.people.consents import texts


def test_the_languages_say_the_same() -> None:
    shapes = {
        language: {
            (kind, channel): sorted(words)
            for kind, channels in table.items()
            for channel, words in channels.items()
        }
        for language, table in tables().items()
    }
    assert shapes["ru"] == shapes["en"]


@pytest.mark.parametrize("kind", MessageKind)
def test_every_kind_has_words_where_it_goes(kind: MessageKind) -> None:
    for table in tables().values():
        assert set(table[kind.value]) == {channel.value for channel in kind.channels}
        for words in table[kind.value].values():
            for text in words.values():
                assert set(re.findall(r"{(.*?)}", text)) <= VALUES[kind] | {"shop", "contact"}


@pytest.mark.parametrize("language", ["ru", "en"])
def test_what_is_sent_most_is_one_sms(language: str) -> None:
    """A shop's name of fifteen letters, a code of six with the line that fills it in."""
    for kind, values in (
        (MessageKind.CODE, {"code": "123456", "fill_in": "\n@cards.example.com #123456"}),
        (MessageKind.LOG_IN_CODE, {"code": "123456", "fill_in": ""}),
        (MessageKind.PHONE_CODE, {"code": "123456", "fill_in": ""}),
        (MessageKind.CLAIM_CODE, {"code": "123456", "fill_in": ""}),
        (MessageKind.SPEND_CODE, {"code": "123456"}),
        (MessageKind.LOGGED_IN, {"time": "21:30"}),
        (MessageKind.HELP, {}),
    ):
        values["contact"] = contact(language, "+78125550142")
        words = render(kind, Channel.SMS, language, {"shop": "Ж" * 15, **values})
        assert words is not None
        assert count(words.text).segments == 1, words.text


@pytest.mark.parametrize(
    ("language", "own", "data", "both"),
    [("ru", "Данные: ", 3, 4), ("en", "Data: ", 1, 2)],
    ids=["ru", "en"],
)
def test_the_tills_code_costs_what_the_manual_says(
    language: str, own: str, data: int, both: int
) -> None:
    """docs/messaging.md: a name of fifteen letters, an address like cards.example.com."""
    link = f"https://cards.example.com/consents/{public_id()}"
    shop = "Пятнадцать букв" if language == "ru" else "Fifteen letters"

    def segments(consent: str) -> int:
        values = {"code": "123456", "shop": shop, "consent": consent}
        words = render(MessageKind.TILL_CODE, Channel.SMS, language, values)
        assert words is not None
        return count(words.text).segments

    shipped = texts.at_the_till(language, link)
    assert segments(shipped) == data
    assert segments(shipped + texts.and_advertising(language, link)) == both
    assert segments(own + link) == min(data, 2)


def test_who_did_not_do_it_is_told_whom_to_call() -> None:
    """In one SMS, with the shop's phone where it has one."""
    values = {"shop": "Ж" * 15, "contact": contact("ru", "+78125550142")}
    words = render(MessageKind.PHONE_CHANGED, Channel.SMS, "ru", values)
    assert words is not None
    assert words.text.endswith("Не вы? Тел. +78125550142")
    assert count(words.text).segments == 1
    assert contact("en", None) == "Contact us."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Клуб", "программы «Клуб»:"),
        ("Клуб «Берег»", "программы «Клуб „Берег“»:"),
        ("«Берег»", "программы «Берег»:"),
        ("«Берег» и «Мост»", "программы «„Берег“ и „Мост“»:"),
    ],
)
def test_quotes_within_quotes_are_others(name: str, said: str) -> None:
    values = {"name": "Анна К.", "programme": name, "branch": "Невский", "shop": "S"}
    words = render(MessageKind.NEW_MEMBER, Channel.EMAIL, "ru", values)
    assert words is not None
    assert said in words.text


def test_the_code_comes_first() -> None:
    """A phone's notification shows the beginning, and its keyboard offers the code from there."""
    for language in ("ru", "en"):
        values = {"shop": "S", "code": "123456", "fill_in": ""}
        words = render(MessageKind.CODE, Channel.SMS, language, values)
        assert words is not None
        assert words.text.index("123456") < 10


def test_another_language_is_english() -> None:
    words = render(MessageKind.STOPPED, Channel.SMS, "kk", {"shop": "S"})
    assert words is not None
    assert words.text == "S: no more advertising by SMS"


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("", Encoding.GSM7, 0),
        ("a" * 160, Encoding.GSM7, 1),
        ("a" * 161, Encoding.GSM7, 2),
        ("a" * 306, Encoding.GSM7, 2),
        ("a" * 307, Encoding.GSM7, 3),
        ("€" * 80, Encoding.GSM7, 1),
        ("€" * 81, Encoding.GSM7, 2),
        # An escaped letter is not cut: 152 + € leaves one place of the first part empty.
        ("a" * 152 + "€" + "a" * 152 + "€", Encoding.GSM7, 3),
        ("Ж" * 70, Encoding.UCS2, 1),
        ("Ж" * 71, Encoding.UCS2, 2),
        ("Ж" * 134, Encoding.UCS2, 2),
        ("Ж" * 135, Encoding.UCS2, 3),
        ("😀" * 35, Encoding.UCS2, 1),
        ("😀" * 36, Encoding.UCS2, 2),
        ("Ж" * 66 + "😀" + "Ж" * 66, Encoding.UCS2, 3),
        ("é", Encoding.GSM7, 1),
        ("ç", Encoding.UCS2, 1),  # the alphabet has the capital only
    ],
)
def test_segments(text: str, encoding: Encoding, segments: int) -> None:
    found = count(text)
    assert (found.encoding, found.segments) == (encoding, segments)
