"""Codes as they are made, read and judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from walletsvc.cards.codes import rules
from walletsvc.cards.codes.rules import Shown, Trouble, again, code_of, split, step_at, step_of
from walletsvc.cards.rules import new_number
from walletsvc.emulators.android import card as android

KEY = b"12345678901234567890".hex()
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
# RFC 6238, appendix B: SHA-1, eight digits.
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    """What others compute, we compute; and so does the emulated phone, by code of its own."""
    moment = datetime.fromtimestamp(seconds, UTC)
    assert code_of(KEY, step_at(moment)) == code
    phone = android.Barcode("{totp_value_0}", ((bytes.fromhex(KEY), 8),), 30_000)
    assert phone.at(moment) == code


def test_a_step_lasts_half_a_minute() -> None:
    """And ends when the next begins."""
    step = step_at(NOON)
    assert step_at(NOON + timedelta(seconds=29.9)) == step
    assert rules.step_end(step) == NOON + timedelta(seconds=30)
    assert step_at(rules.step_end(step)) == step + 1


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, 0),
        (-30, -1),
        (30, 1),
        (-60, Trouble.EXPIRED),
        (-7200, Trouble.EXPIRED),
        (-7260, Trouble.WRONG),
        (60, Trouble.AHEAD),
        (600, Trouble.AHEAD),
        (660, Trouble.WRONG),
    ],
)
def test_one_step_of_drift_either_way(seconds: int, expected: int | Trouble) -> None:
    """More of it is told from a code that never was one."""
    code = code_of(KEY, step_at(NOON + timedelta(seconds=seconds)))
    found = step_of(KEY, code, NOON)
    if isinstance(expected, Trouble):
        assert found is expected
    else:
        assert found == step_at(NOON) + expected


def test_a_scanner_types_digits() -> None:
    """A number with a code behind it, and nothing else."""
    number = new_number()
    bad = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert split(number + "01234567") == (number, "01234567")
    assert split(number + "0123456789") == (number, "0123456789")
    others = (
        number, number + "0", number + "012345678", number + "0123456a", number + "٠١٢٣٤٥٦٧",
        "0" * 24, bad + "12345678", "WWWW-WWWW-WWWW-WWWW", "",
    )  # fmt: skip
    assert [split(each) for each in others] == [None] * len(others)


def shown(**changes: Any) -> Shown:
    """A rolling code that till `one` took at noon and nobody bought with."""
    facts = Shown(taken_at=NOON, taken_by="one", sales=0, open_by=None, retired=False)
    return replace(facts, **changes)


@pytest.mark.parametrize(
    ("changes", "by", "minutes", "expected"),
    [
        # Nobody bought with it: as good as new, until a phone has the next one or for a day.
        ({}, "one", 30, None),
        ({}, "two", 30, None),
        ({}, "two", 24 * 60, Trouble.OLD),
        ({"retired": True}, "one", 1, Trouble.OLD),
        # Somebody is about to: only who took it.
        ({"open_by": "one"}, "one", 1, None),
        ({"open_by": "one"}, "two", 1, Trouble.USED),
        # Somebody bought with it: once more, there, for ten minutes, until a phone has the next.
        ({"sales": 1}, "one", 9, None),
        ({"sales": 1}, "one", 10, Trouble.USED),
        ({"sales": 1}, "two", 1, Trouble.USED),
        ({"sales": 2}, "one", 1, Trouble.USED),
        ({"sales": 1, "retired": True}, "one", 1, Trouble.USED),
    ],
)
def test_a_rolling_code_that_was_taken(
    changes: dict[str, object], by: str, minutes: int, expected: Trouble | None
) -> None:
    """How long the old code stays valid, where and for how many sales."""
    assert again(shown(**changes), by, NOON + timedelta(minutes=minutes)) is expected
