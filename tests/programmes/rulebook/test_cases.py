"""The table of purchases from real life, `cases.toml`: each must come out to the last kopeck."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from walletsvc.core.errors import InputError, Refused
from walletsvc.programmes.rulebook.basket import Basket, Occasion
from walletsvc.programmes.rulebook.evaluate import evaluate
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.reasons import words
from walletsvc.programmes.rulebook.schemas import RuleBook

ZONE = ZoneInfo("Europe/Moscow")
USUAL = {"at": datetime(2026, 11, 24, 12, tzinfo=ZONE), "organisation": "cafe"}
CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cases.toml").read_text(encoding="utf-8")
)["case"]


def plain(text: str) -> str:
    """With ordinary spaces where numbers and dates have unbreakable ones."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def computed(case: dict[str, Any]) -> Outcome:
    """The outcome of one case."""
    return evaluate(
        RuleBook.model_validate(case["rules"]),
        Basket.model_validate(case["basket"]),
        Occasion.model_validate(USUAL | case.get("occasion", {})),
        zone=ZONE,
        scale=case.get("scale", 0),
    )


def test_the_table_is_long_and_nothing_stands_in_it_twice() -> None:
    """At least forty cases, each with a name of its own."""
    names = {case["name"] for case in CASES}
    assert len(names) == len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    """Totals, lines and the whole explanation are as the table says."""
    expect = case["expect"]
    if "refused" in expect:
        with pytest.raises(Refused) as refused:
            computed(case)
        assert refused.value.data == expect["refused"]
        return
    if "wrong" in expect:
        with pytest.raises(InputError) as wrong:
            computed(case)
        assert [field.field for field in wrong.value.fields] == [expect["wrong"]]
        return
    outcome = computed(case)
    for name, value in expect.items():
        if name == "lines":
            found = [
                [line.item, line.sum, line.discount, line.points_money, line.earned]
                for line in outcome.lines
            ]
            assert found == value
        else:
            assert getattr(outcome, name) == value, name
    told = 0
    for language in ("ru", "en"):
        if language in case:
            told += 1
            said = [
                plain(words(reason, language, scale=case.get("scale", 0)))
                for reason in outcome.explanation
            ]
            assert said == case[language]
    assert told, "a case tells its explanation"
