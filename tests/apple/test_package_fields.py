"""Fields: what a value looks like in pass.json."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apple.material import document, unpack
from tests.apple.samples import CONTENT, IDENTITY, IMAGES, described, packed
from walletsvc.apple.package import Prepared, compose, prepare
from walletsvc.apple.package.model import apple_moment
from walletsvc.core.money import MAX_AMOUNT, decimal_text


def field(
    spec: dict[str, Any], value: Any, place: str = "secondary", style: str = "loyalty"
) -> Any:
    """What pass.json says of one field with this value; None when it says nothing."""
    spec = {"key": "it", **spec}
    prepared = prepare(described(style=style, fields={place: [spec]}), IMAGES)
    content = CONTENT | {"values": {"it": value}}
    found = compose(prepared, IDENTITY, content).json_dict()["storeCard"]
    return found[f"{place}Fields"][0] if found else None


NUMBER = {"numberStyle": "PKNumberStyleDecimal"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1250, {"value": 1250} | NUMBER),
        (0, {"value": 0} | NUMBER),
        (-3, {"value": -3} | NUMBER),
        (12.5, {"value": 12.5} | NUMBER),
        ({"amount": 12345, "currency": "RUB"}, {"value": 123.45, "currencyCode": "RUB"}),
        ({"amount": 500000, "currency": "RUB"}, {"value": 5000, "currencyCode": "RUB"}),
        ({"amount": -5, "currency": "EUR"}, {"value": -0.05, "currencyCode": "EUR"}),
        ({"amount": 99, "currency": "JPY", "scale": 0}, {"value": 99, "currencyCode": "JPY"}),
        ("Anna", {"value": "Anna"}),
    ],
)
def test_values_keep_their_types(value: Any, shown: dict[str, Any]) -> None:
    """Numbers stay numbers, so that each phone writes them its own way."""
    assert field({"value": "{points}"}, value) == {"key": "it"} | shown


@given(st.integers(-MAX_AMOUNT + 1, MAX_AMOUNT - 1))
def test_money_is_exact_to_the_kopeck(amount: int) -> None:
    """What the phone parses is the decimal that was meant."""
    prepared = _GIFT
    content = CONTENT | {"values": {"it": {"amount": amount, "currency": "RUB"}}}
    text = compose(prepared, IDENTITY, content).encode().decode()
    (number,) = re.findall(r'"value":([^,]+),"currencyCode":"RUB"', text)
    assert Decimal(number) == Decimal(decimal_text(amount, 2))


_GIFT: Prepared = prepare(
    described(style="gift", fields={"primary": [{"key": "it", "value": "{balance}"}]}), IMAGES
)


@pytest.mark.parametrize("value", [None, ""])
def test_a_field_without_a_value_is_not_there(value: str | None) -> None:
    """An empty label with nothing below it helps nobody."""
    assert field({"value": "{first_name}"}, value) is None


def test_dates_are_days_of_the_shop() -> None:
    """The zone is kept, and a day does not shift with the phone's zone; an hour does."""
    spec = {"value": "{member_since}"}
    assert field(spec, "2026-11-20T00:30:00.5+03:00") == {
        "key": "it",
        "value": "2026-11-20T00:30:00+03:00",
        "dateStyle": "PKDateStyleMedium",
        "timeStyle": "PKDateStyleNone",
        "ignoresTimeZone": True,
    }
    assert field(spec | {"date": "date-time"}, "2026-11-20T00:30:00Z") == {
        "key": "it",
        "value": "2026-11-20T00:30:00Z",
        "dateStyle": "PKDateStyleMedium",
        "timeStyle": "PKDateStyleShort",
    }


def test_a_text_that_looks_like_a_date_stays_text() -> None:
    """A customer may call herself what she likes."""
    shown = field({"value": "{first_name}"}, "2026-11-20T00:30:00Z")
    assert shown == {"key": "it", "value": "2026-11-20T00:30:00Z"}


@pytest.mark.parametrize("place", ["header", "primary", "secondary", "auxiliary", "back"])
def test_alignment_only_where_wallet_has_it(place: str) -> None:
    """Primary fields and the back have none; the natural one is not written at all."""
    aligned = field({"value": "{first_name}", "align": "right"}, "Anna", place)
    expected = None if place in ("primary", "back") else "PKTextAlignmentRight"
    assert aligned.get("textAlignment") == expected
    assert "textAlignment" not in field({"value": "{first_name}"}, "Anna", place)


@pytest.mark.parametrize(
    ("value", "tappable"),
    [
        ("{support_phone}", True),
        ("{website}", True),
        ("{terms_url}", True),
        ("{card_number}", False),
        ("{first_name}", False),
        ("{support_phone} {first_name}", False),
    ],
)
def test_only_the_shops_contacts_can_be_tapped(value: str, tappable: bool) -> None:
    """A card number is not to be called, nor a link in someone's name to be followed."""
    shown = field({"value": value}, "https://example.com", "back")
    assert shown.get("dataDetectorTypes", "all") == ("all" if tappable else [])


def test_a_link_to_our_own_pages_is_whole() -> None:
    """The content holds its path; the package, which knows the address, the whole of it."""
    shown = field({"value": "{terms_url}"}, "/terms/guest", "back")
    assert shown["value"] == "https://cards.example.com/terms/guest"


def test_empty_attributes_are_left_out() -> None:
    """Nothing is written that says nothing."""
    assert field({"value": "{first_name}"}, "Anna") == {"key": "it", "value": "Anna"}
    assert "logoText" not in document(unpack(packed(described(logo_text=None))))


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (UTC, "2026-11-20T09:30:00Z"),
        (timezone(timedelta(hours=3)), "2026-11-20T09:30:00+03:00"),
        (timezone(timedelta(hours=-3, minutes=-30)), "2026-11-20T09:30:00-03:30"),
    ],
)
def test_moments_are_written_as_wallet_reads_them(zone: timezone, text: str) -> None:
    """Whole seconds, and a zone of one of the two accepted forms."""
    assert apple_moment(datetime(2026, 11, 20, 9, 30, 0, 999, tzinfo=zone)) == text
