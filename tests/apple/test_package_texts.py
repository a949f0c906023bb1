"""Texts in every language, whoever reads them."""

from __future__ import annotations

import re

import pytest

from tests.apple.material import document, unpack
from tests.apple.samples import described, packed


def strings(data: bytes) -> dict[str, str]:
    """A pass.strings file, read by its own grammar."""
    text = data.decode("utf-16")
    line = re.compile(r'"((?:[^"\\\n]|\\.)*)" = "((?:[^"\\\n]|\\.)*)";\n')
    assert line.sub("", text) == ""
    return {_unescaped(key): _unescaped(value) for key, value in line.findall(text)}


def _unescaped(text: str) -> str:
    special = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda found: special.get(found[1], found[1]), text)


def test_every_language_translates_every_text() -> None:
    """Each text of pass.json is a key in every folder, and nothing else is."""
    files = unpack(packed())
    whole = document(files)
    fields = [shown for place in whole["storeCard"].values() for shown in place]
    seen = {whole["description"], whole["logoText"], fields[-1]["value"]}
    seen |= {shown["label"] for shown in fields} | {fields[0]["changeMessage"]}
    texts = described().texts
    for language in ("ru", "en"):
        found = strings(files[f"{language}.lproj/pass.strings"])
        assert set(found) == seen
        assert set(found.values()) == set(texts[language].values())


@pytest.mark.parametrize(("default", "shown"), [("ru", "Карта лояльности"), ("en", "Loyalty card")])
def test_a_phone_in_a_third_language_sees_the_default_one(default: str, shown: str) -> None:
    """pass.json itself speaks the installation's language; raw keys are nowhere."""
    files = unpack(packed(language=default))
    assert document(files)["description"] == shown
    assert strings(files["en.lproj/pass.strings"])[shown] == "Loyalty card"
    assert strings(files["ru.lproj/pass.strings"])[shown] == "Карта лояльности"


def test_a_template_without_the_default_language_still_speaks() -> None:
    """Any language is better than keys."""
    description = described(texts={"en": dict(described().texts["en"])})
    assert document(unpack(packed(description)))["description"] == "Loyalty card"


def test_texts_that_are_equal_in_one_language_only_stay_apart() -> None:
    """Two labels with one Russian word and two English ones."""
    texts = {language: dict(found) for language, found in described().texts.items()}
    texts["ru"] |= {"points": "Баланс", "name": "Баланс"}
    files = unpack(packed(described(texts=texts)))
    english = strings(files["en.lproj/pass.strings"])
    card = document(files)["storeCard"]
    labels = [card["headerFields"][0]["label"], card["secondaryFields"][0]["label"]]
    assert [english[label] for label in labels] == ["Points", "Name"]
    assert [label.rstrip("\u200b") for label in labels] == ["Баланс", "Баланс"]
    assert set(strings(files["ru.lproj/pass.strings"]).values()) >= {"Баланс"}


def test_texts_are_utf_16_with_a_mark() -> None:
    """The encoding Apple documents, recognisable for every other reader."""
    files = unpack(packed())
    assert files["ru.lproj/pass.strings"].startswith(b"\xff\xfe")
    assert strings(files["ru.lproj/pass.strings"])["Баллы"] == "Баллы"
