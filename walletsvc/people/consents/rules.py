"""What a text of a consent may be, and how its words are told from others."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Final

import orjson

from walletsvc.core.errors import wrong
from walletsvc.merchants.rules import check_text
from walletsvc.people.consents.models import ConsentText, Purpose

LANGUAGES: Final = ("ru", "en")
TITLE_LENGTH: Final = 160
BODY_LENGTH: Final = 20_000


def check_words(
    title: Mapping[str, str], body: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Title and body by language, tidied; raises InputError naming what is wrong.

    At least one language must be there, and each with both.
    """
    if not body:
        raise wrong("body", "must be there in at least one language", "required")
    for field, words in (("title", title), ("body", body)):
        for language in words:
            if language not in LANGUAGES:
                raise wrong(
                    f"{field}.{language[:20]}", "is none of the languages: ru, en", "not_allowed"
                )
    if title.keys() != body.keys():
        raise wrong("title", "must be there in the languages of the body", "required")
    spoken = [language for language in LANGUAGES if language in body]
    titles = {each: check_text(f"title.{each}", title[each], TITLE_LENGTH) for each in spoken}
    return titles, {each: _check_body(f"body.{each}", body[each]) for each in spoken}


def _check_body(field: str, text: str) -> str:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    tidy = "\n".join(lines).strip("\n")
    if not tidy.strip():
        raise wrong(field, "must not be empty", "required")
    if len(tidy) > BODY_LENGTH:
        raise wrong(field, f"must be at most {BODY_LENGTH} characters long", "too_long")
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in tidy if each not in "\n\t"):
        raise wrong(field, "must not hold control characters", "invalid_characters")
    return tidy


def digest(purpose: Purpose, title: Mapping[str, str], body: Mapping[str, str]) -> bytes:
    """SHA-256 over purpose and words: what was agreed to cannot be exchanged unnoticed."""
    whole = {"purpose": purpose.value, "title": dict(title), "body": dict(body)}
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).digest()


def shown_language(words: Mapping[str, str], language: str) -> str:
    """The language in which a text is shown to who wants this one: it, else the first there is."""
    if language in words:
        return language
    return next(each for each in LANGUAGES if each in words)


def intact(text: ConsentText) -> bool:
    """Whether the words are still those that were published."""
    return digest(text.purpose, text.title, text.body) == text.digest
