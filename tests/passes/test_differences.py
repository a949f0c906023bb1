"""What the timeline keeps of a change of content."""

from __future__ import annotations

from typing import Any

from walletsvc.passes.differences import differences


def content(**changes: Any) -> dict[str, Any]:
    whole = {
        "values": {"points": 120, "name": "Анна Кузнецова", "until": "2026-12-31T12:00:00+03:00"},
        "barcode": "9047182036514928",
        "organisation": "Shop",
    }
    return whole | changes


def differ(new: dict[str, Any], versions: tuple[int, int] = (1, 1)) -> dict[str, Any]:
    return differences(content(), new, old_version=versions[0], new_version=versions[1])


def test_numbers_and_dates_are_kept_and_texts_are_masked() -> None:
    """A name or a certificate's code must not pile up in an operator's log."""
    new = {"points": 170, "name": "Мария", "until": "2027-01-31T12:00:00+03:00", "note": "+7 900"}
    found = differ(content(values=new))
    assert found == {
        "points": [120, 170],
        "name": ["А…", "М…"],
        "until": ["2026-12-31T12:00:00+03:00", "2027-01-31T12:00:00+03:00"],
        "note": [None, "+…"],
    }


def test_what_is_beside_the_values_is_told_as_well() -> None:
    """Voided, another barcode (never its value), an end."""
    found = differ(content(barcode="secret", voided=True, expires_at="2027-01-01T00:00:00Z"))
    assert found == {
        "@voided": [None, True],
        "@expires_at": [None, "2027-01-01T00:00:00Z"],
        "@barcode": [None, None],
    }


def test_equal_values_mean_another_look() -> None:
    """A template, or with the same version a renewed certificate or a setting."""
    assert differ(content(), (1, 2)) == {"@look": [1, 2]}
    assert differ(content()) == {"@look": [1, 1]}
    assert differ(content(organisation="Other"), (1, 2))["@look"] == [1, 2]


def test_the_first_publication_differs_from_nothing() -> None:
    """There is nothing to compare it with."""
    assert differences(None, content(), old_version=None, new_version=1) == {}
