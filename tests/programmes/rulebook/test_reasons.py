"""The words of the reasons: both languages say the same things, and numbers get their plurals."""

from __future__ import annotations

import re
import string
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from walletsvc.programmes.rulebook import reasons
from walletsvc.programmes.rulebook.reasons import Code, Reason, Unit, words


def texts(language: str) -> dict[str, Any]:
    """The file of a language."""
    path = Path(reasons.__file__).parent / "wording" / f"{language}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_the_languages_say_the_same() -> None:
    """The same reasons with the same values in braces, and a text for every code."""
    russian, english = texts("ru"), texts("en")
    assert set(russian["reasons"]) == set(english["reasons"]) == {code.value for code in Code}
    for code, text in russian["reasons"].items():
        values = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        other = {
            name for _, name, _, _ in string.Formatter().parse(english["reasons"][code]) if name
        }
        assert values == other, code
    assert set(russian["words"]) == set(english["words"])
    assert set(russian["plurals"]) == set(english["plurals"])


@pytest.mark.parametrize(
    ("points", "russian", "english"),
    [
        (1, "1 балл", "1 point"),
        (2, "2 балла", "2 points"),
        (5, "5 баллов", "5 points"),
        (11, "11 баллов", "11 points"),
        (21, "21 балл", "21 points"),
        (112, "112 баллов", "112 points"),
        (1_024, "1 024 балла", "1,024 points"),
        (Fraction(3, 2), "1,5 балла", "1.5 points"),
        (Fraction(5), "5 баллов", "5 points"),
        (Fraction(1, 3), "0,3333 балла", "0.3333 points"),
        (0, "0 баллов", "0 points"),
    ],
)
def test_plurals(points: int | Fraction, russian: str, english: str) -> None:
    """Whole numbers by the rules of the language, broken ones in the genitive."""
    reason = Reason(code=Code.REGISTRATION, unit=Unit.POINTS, amount=Fraction(points))
    assert re.sub(r"\s", " ", words(reason, "ru")) == f"За регистрацию: +{russian}"
    assert words(reason, "en") == f"For the registration: +{english}"


def test_other_money_and_other_scales() -> None:
    """The programme's currency, and points with decimals."""
    data = {"percent": "2.5", "sum": 123_450}
    reason = Reason(code=Code.BASE, unit=Unit.POINTS, amount=Fraction(3_086), data=data)
    assert words(reason, "en", currency="EUR", scale=2) == "2.5% of €1,234.50: +30.86 points"


def test_a_reason_survives_being_stored() -> None:
    """To the last fraction."""
    reason = Reason(code=Code.BASE, unit=Unit.POINTS, amount=Fraction(1, 3), data={"sum": 1})
    assert Reason.model_validate_json(reason.model_dump_json()) == reason
