"""What is meant by a cell."""

from __future__ import annotations

import pytest

from walletsvc.jobs.lists.values import minor_units, not_an_amount


@pytest.mark.parametrize(
    ("written", "scale", "expected"),
    [
        ("1000", 0, 1_000),
        ("1 000", 0, 1_000),
        ("0", 2, 0),
        ("12,5", 2, 1_250),
        ("12.50", 2, 1_250),
        ("1\u00a0234,5 ₽", 2, 123_450),
        ("1.234", 3, 1_234),
        # More decimals than there are, or thousands: who knows.
        ("1,000", 0, None),
        ("2.000", 0, None),
        ("5.0", 0, None),
        ("1,250", 2, None),
        ("2.000", 2, None),
        ("12.500", 2, None),
        ("1,250.00", 2, None),
        ("1.250,00", 2, None),
        ("1,000,000", 0, None),
        ("-5", 0, None),
        ("", 0, None),
        ("٣", 0, None),
    ],
)
def test_an_amount(written: str, scale: int, expected: int | None) -> None:
    """Spaces stand between thousands; commas and points only before decimals, of which there are
    no more than the scale has."""
    assert minor_units(written, scale) == expected


@pytest.mark.parametrize("written", ["1,000", "2.000", "12 ,500", "1,250.00", "1.000.000", "1'000"])
def test_thousands_are_told_from_decimals(written: str) -> None:
    """What looks like thousands says what to do."""
    hint = ": write it without thousands separators"
    assert (
        not_an_amount(written, 0, "above zero")
        == f"must be a number above zero with no decimals{hint}"
    )
    for other in ("0.125", "1.25", "x", "1.2345"):
        assert not_an_amount(other, 2, "of 0 or more") == (
            "must be a number of 0 or more with at most 2 decimals"
        )
