"""Timelines speak every language completely."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import walletsvc
from tests.apple.test_diagnosis import CASES as APPLES
from tests.apple.test_diagnosis import FACTS as APPLE
from tests.google.test_diagnosis import CASES as GOOGLES
from tests.google.test_diagnosis import FACTS as GOOGLE
from walletsvc.apple.diagnosis.rules import diagnose as apple_diagnose
from walletsvc.apple.timeline.waiting import waiting as apple_waiting
from walletsvc.google.answers import Action
from walletsvc.google.timeline.rules import diagnose as google_diagnose
from walletsvc.google.timeline.rules import waiting as google_waiting
from walletsvc.ledger.models import TransactionType
from walletsvc.passes.models import Pass, Wallet
from walletsvc.passes.timeline.entries import Entry, EntryKind
from walletsvc.passes.timeline.findings import Code, Finding
from walletsvc.passes.timeline.subject import Subject
from walletsvc.passes.timeline.waiting import Waiting, WaitingKind
from walletsvc.passes.wording.speech import LANGUAGES, Speech, words

AT = datetime(2026, 11, 20, 9, 30, 5, tzinfo=UTC)


def speech(language: str, scale: int = 0, currency: str | None = None) -> Speech:
    pass_ = Pass(wallet=Wallet.APPLE, template_id=1, pass_type_id=1, created_at=AT)
    subject = Subject(
        pass_=pass_, pass_type="pass.x", epoch=1, card_id=None, number=None, certificate_id=None,
        account_id=1, programme_id=1, programme="x", time_zone="Europe/Moscow", scale=scale,
        currency=currency,
    )  # fmt: skip
    return Speech(language, subject)


def braces(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, str):
        return {path: value}
    found: dict[str, str] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{path}.{key}")
    return found


def test_the_languages_say_the_same_things_with_the_same_values() -> None:
    """A sentence that is missing, or lacks the time, is found here and not by an operator."""
    tables = {language: flat(words(language)._asdict()) for language in LANGUAGES}
    first, *others = tables.values()
    for other in others:
        assert set(other) == set(first)
        for name, text in first.items():
            assert braces(other[name]) == braces(text), name
    for name, text in tables["ru"].items():
        if name.startswith(".findings"):
            assert re.search(r"[а-я]", text), name
            assert not re.search(r"[а-я]", tables["en"][name]), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_every_movement_has_words(language: str) -> None:
    """A new code comes with its sentence in each language."""
    assert set(words(language).findings) == {code.value for code in Code}
    assert set(words(language).types) == {kind.value for kind in TransactionType}
    assert set(words(language).kinds) == {kind.value for kind in EntryKind}
    assert set(words(language).waiting) == {kind.value for kind in WaitingKind}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("changes", [case for _, case in APPLES.values()], ids=APPLES.keys())
def test_apples_rules_provide_what_the_words_need(language: str, changes: dict[str, Any]) -> None:
    """No sentence asks for a value that the finding does not carry."""
    facts = replace(APPLE, **changes)
    said(language, list(apple_waiting(facts)), apple_diagnose(facts))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("changes", [case for _, case in GOOGLES.values()], ids=GOOGLES.keys())
def test_googles_rules_provide_what_the_words_need(language: str, changes: dict[str, Any]) -> None:
    """No sentence asks for a value that the finding does not carry."""
    facts = replace(GOOGLE, **changes)
    said(language, list(google_waiting(facts)), google_diagnose(facts))


def said(language: str, waiting: list[Waiting], findings: list[Finding]) -> None:
    """Everything has its words, and no word a value missing."""
    for one in waiting:
        assert not braces(speech(language).waiting(one))
    for finding in findings:
        for text in speech(language).finding(finding):
            assert text
            assert not braces(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_can_come_of_a_request_to_google_has_words(language: str) -> None:
    """Each plan, done and failed; each reason why a phone was not told; each consequence."""
    assert set(words(language).actions) == {each.value for each in Action}
    told = speech(language)
    for plan in ("insert", "patch", "look", "message"):
        for buzz in ("asked", "budget", "refused", ""):
            detail = {"what": plan, "revision": 3, "buzz": buzz, "attempts": 1, "action": "done"}
            assert told.entry(Entry(AT, EntryKind.SENT, None, detail))
            failed = detail | {"action": "retry", "status": 503, "reason": "backendError"}
            assert "503 backendError" in told.entry(Entry(AT, EntryKind.SENT, None, failed))
    detail = {"what": "look", "message": "m", "buzz": "", "attempts": 1, "action": "done"}
    assert told.entry(Entry(AT, EntryKind.SENT, None, detail))
    for kind in (EntryKind.SAVED, EntryKind.REMOVED):
        plain, found = (told.entry(Entry(AT, kind, None, d)) for d in ({}, {"found": "reconcile"}))
        assert plain != found
    assert "2" in told.entry(Entry(AT, EntryKind.SAVED, None, {"count": 2}))
    assert "7" in told.entry(Entry(AT, EntryKind.OPENED, None, {"link": True, "revision": 7}))


def test_values_read_as_people_write_them() -> None:
    """Times in the programme's zone, lengths of time, amounts with their unit."""
    russian, english = speech("ru", 2, "RUB"), speech("en", 2, "RUB")
    assert english.plain(AT) == "2026-11-20 12:30:05"
    assert [english.duration(s) for s in (0.084, 5, 75, 600, 86400, 400000)] == [
        "0.08 s", "5.00 s", "75 s", "10 min", "24 h", "5 d",
    ]  # fmt: skip
    assert russian.plain(timedelta(seconds=0.5)) == "0,50 с"
    assert russian.amount(5050, signed=True) == "+50,50 RUB"
    assert english.differs({"points": [120, 170]}) == "points 120 → 170"
    money = [{"amount": 1050, "currency": "RUB"}, {"amount": 0, "currency": "RUB"}]
    assert russian.differs({"balance": money}) == "balance 10,50 RUB → 0,00 RUB"
    assert english.differs({"@look": [1, 2], "@voided": [None, True]}) == (
        "template version 1 → 2, voided – → yes"
    )
    assert english.differs({}) == "nothing"


def test_the_manual_explains_every_reason() -> None:
    """What an operator reads in a verdict can be looked up."""
    page = (Path(walletsvc.__file__).parent.parent / "docs/timeline.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", page, re.MULTILINE)
    assert sorted(rows) == sorted((code.value, Finding(code).severity.value) for code in Code)
