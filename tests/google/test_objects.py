"""Objects: where the values of a pass stand at Google."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.apple.samples import described
from tests.conftest import NOW
from tests.google.samples import CONTENT, NAMED, body, gift
from walletsvc.core.clock import rfc3339
from walletsvc.google.rendering.layout import Layout
from walletsvc.passes.schemas import FieldSpec

TIER = {"key": "tier", "label": "terms", "value": "{tier}", "change": "changed"}


def back(*fields: dict[str, Any]) -> dict[str, Any]:
    """The small card's fields with these on the back."""
    header = {"key": "points", "label": "points", "value": "{points}", "change": "changed"}
    return {"fields": {"header": [header], "back": list(fields)}}


def only(balance: dict[str, Any]) -> dict[str, Any]:
    """A balance without the forms that it does not have."""
    return {form: value for form, value in balance.items() if value is not None}


@pytest.mark.parametrize(
    ("value", "balance"),
    [
        (1250, {"int": 1250}),
        (0, {"int": 0}),
        (-3, {"int": -3}),
        (2**31 - 1, {"int": 2**31 - 1}),
        (2**31, {"double": 2147483648.0}),
        (12.5, {"double": 12.5}),
        (12.0, {"double": 12.0}),
        (
            {"amount": 12345, "currency": "RUB"},
            {"money": {"micros": "123450000", "currencyCode": "RUB"}},
        ),
        ("много", {"string": "много"}),
    ],
)
def test_points_have_exactly_one_form(value: Any, balance: dict[str, Any]) -> None:
    """The other forms are null, so that a PATCH takes the former one away."""
    made = body(described(), values={"points": value})["loyaltyPoints"]
    assert only(made["balance"]) == balance
    assert set(made["balance"]) == {"string", "int", "double", "money"}


def test_points_within_a_text_are_still_points() -> None:
    """So that Google announces them; a field of points alone goes before."""
    mixed = {"key": "mixed", "value": "{points} шт.", "change": "changed"}
    within = body(described(fields={"header": [mixed]}), values={"mixed": "5 шт."})
    assert only(within["loyaltyPoints"]["balance"]) == {"string": "5 шт."}
    assert (within["secondaryLoyaltyPoints"], within["textModulesData"]) == (None, [])
    alone = body(described(**back(mixed)), values={"points": 5, "mixed": "5 шт."})
    assert only(alone["loyaltyPoints"]["balance"]) == {"int": 5}


def test_the_label_of_points_is_in_both_languages() -> None:
    """Third languages see the installation's."""
    made = body(described())["loyaltyPoints"]
    assert made["label"] == "Баллы"
    assert made["localizedLabel"] == {
        "defaultValue": {"language": "ru", "value": "Баллы"},
        "translatedValues": [{"language": "en", "value": "Points"}],
    }
    english = body(described(), "en")["loyaltyPoints"]
    assert english["label"] == "Points"
    assert english["localizedLabel"]["defaultValue"] == {"language": "en", "value": "Points"}


def test_the_holders_name_and_number_have_places_of_their_own() -> None:
    """They are no text modules then."""
    number = {"key": "number", "label": "terms", "value": "{card_number}"}
    name = {"key": "name", "label": "name", "value": "{holder_name}"}
    values = {"number": "7000 1234", "name": "Мария Ёлкина"}
    made = body(described(**back(number, name)), values=values)
    assert (made["accountName"], made["accountId"]) == ("Мария Ёлкина", "7000 1234")
    assert made["textModulesData"] == []


def test_the_tier_is_the_second_value() -> None:
    """One class for all tiers; without a tier the place is empty."""
    description = described(**back(TIER))
    made = body(description, values={"points": 1, "tier": "Золото"})["secondaryLoyaltyPoints"]
    assert only(made["balance"]) == {"string": "Золото"}
    assert made["label"] == "Условия"
    assert body(description, values={"points": 1})["secondaryLoyaltyPoints"] is None


def test_without_a_tier_the_next_announced_value_is_the_second() -> None:
    """Google announces two values of a loyalty card, whichever they are."""
    quiet = {"key": "quiet", "value": "{programme}"}
    told = {"key": "told", "value": "{member_since}", "change": "changed"}
    made = body(
        described(**back(quiet, told)),
        values={"quiet": "Клуб", "told": "2026-11-20T12:30:00+03:00"},
    )
    assert only(made["secondaryLoyaltyPoints"]["balance"]) == {"string": "20.11.2026"}
    assert [module["id"] for module in made["textModulesData"]] == ["quiet"]


def test_a_date_is_written_in_each_language() -> None:
    """Google does not format text modules; the day is one of the zone it comes in."""
    since = {"key": "since", "label": "name", "value": "{member_since}"}
    (module,) = body(described(**back(since)), values={"since": "2026-11-20T00:30:00+03:00"})[
        "textModulesData"
    ]
    assert module == {
        "id": "since",
        "header": "Имя",
        "localizedHeader": {
            "defaultValue": {"language": "ru", "value": "Имя"},
            "translatedValues": [{"language": "en", "value": "Name"}],
        },
        "body": "20.11.2026",
        "localizedBody": {
            "defaultValue": {"language": "ru", "value": "20.11.2026"},
            "translatedValues": [{"language": "en", "value": "20 Nov 2026"}],
        },
    }


def test_an_hour_is_written_where_the_template_wants_it() -> None:
    """In the programme's zone: Google has no field for moments here."""
    since = {"key": "since", "value": "{member_since}", "date": "date-time"}
    (module,) = body(described(**back(since)), values={"since": "2026-11-20T18:05:00+03:00"})[
        "textModulesData"
    ]
    assert module["body"] == "20.11.2026, 18:05"
    assert module["localizedBody"]["translatedValues"][0]["value"] == "20 Nov 2026, 18:05"


def test_a_text_that_is_the_same_everywhere_is_said_once() -> None:
    """Names need no translation."""
    first = {"key": "first", "value": "{first_name}"}
    made = body(described(**back(first)), values={"first": "Мария"})
    assert made["textModulesData"] == [{"id": "first", "body": "Мария"}]


def test_no_more_modules_than_are_shown() -> None:
    """Values beyond the tenth would be hidden; one without a value makes room."""
    fields = [{"key": f"f{n}", "value": f"{n} {{first_name}}"} for n in range(12)]
    values = {f"f{n}": str(n) for n in range(12) if n != 3}
    made = body(described(**back(*fields)), values=values)
    assert [module["id"] for module in made["textModulesData"]] == [
        f"f{n}" for n in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10)
    ]


def test_the_page_of_the_card_is_a_link() -> None:
    """From the wallet to everything that a wallet does not show."""
    (link,) = body(described())["linksModuleData"]["uris"]
    assert (link["id"], link["uri"]) == ("page", NAMED.page)
    assert (link["description"], link["localizedDescription"]["translatedValues"]) == (
        "Моя карта",
        [{"language": "en", "value": "My card"}],
    )


@pytest.mark.parametrize(
    ("format_", "kind"),
    [("qr", "QR_CODE"), ("aztec", "AZTEC"), ("pdf417", "PDF_417"), ("code128", "CODE_128")],
)
def test_the_first_barcode_format_is_shown(format_: str, kind: str) -> None:
    """With the text below it, when the template has one."""
    barcode = {"formats": [format_, "qr"], "message": "{card_number}"}
    made = body(described(barcode=barcode), barcode_alt="7000 1234")["barcode"]
    assert made == {
        "type": kind,
        "value": CONTENT["barcode"],
        "alternateText": "7000 1234",
        "renderEncoding": None,
    }


def test_letters_beyond_ascii_need_an_encoding_in_a_qr_code() -> None:
    """Other kinds of barcode are refused with one."""
    assert body(described(), barcode="Карта 1")["barcode"]["renderEncoding"] == "UTF_8"
    aztec = described(barcode={"formats": ["aztec"], "message": "{first_name}"})
    assert body(aztec, barcode="Карта 1")["barcode"]["renderEncoding"] is None
    assert body(described(), barcode="")["barcode"] is None


def test_a_closed_card_is_inactive() -> None:
    """Google moves it out of the way."""
    assert body(described())["state"] == "ACTIVE"
    assert body(described(), voided=True)["state"] == "INACTIVE"


def test_why_a_certificate_is_void() -> None:
    """Expired, spent and closed, or blocked: the holder reads which."""
    description, end = gift(), NOW + timedelta(days=1)
    left: dict[str, Any] = {
        "values": {"left": {"amount": 5, "currency": "RUB"}},
        "expires_at": rfc3339(end),
    }
    assert body(description, **left)["state"] == "ACTIVE"
    assert body(description, voided=True, **left)["state"] == "INACTIVE"
    assert body(description, at=end, voided=True, **left)["state"] == "EXPIRED"
    spent = left | {"values": {"left": {"amount": 0, "currency": "RUB"}}}
    assert body(description, voided=True, **spent)["state"] == "COMPLETED"
    assert body(description, **spent)["state"] == "ACTIVE"  # a refund may bring it back


def test_a_certificates_end_and_balance() -> None:
    """With offsets, in millionths, and since when it says so."""
    made = body(
        gift(),
        values={"left": {"amount": 364950, "currency": "RUB"}},
        barcode="ABCD-EFGH",
        barcode_alt="ABCD-EFGH",
        expires_at="2027-11-20T21:00:00Z",
    )
    assert made["validTimeInterval"] == {"end": {"date": "2027-11-20T21:00:00Z"}}
    assert made["balance"] == {"micros": "3649500000", "currencyCode": "RUB"}
    assert made["balanceUpdateTime"] == {"date": "2026-11-20T09:30:00Z"}
    assert made["cardNumber"] == "ABCD-EFGH"
    assert "pin" not in made
    assert "loyaltyPoints" not in made


def test_the_card_number_is_the_code_where_it_is_a_field() -> None:
    """Else what stands below the barcode, the barcode, or the serial number: Google wants one."""
    code = {"key": "code", "label": "name", "value": "{code}"}
    values = {"left": {"amount": 1, "currency": "RUB"}, "code": "ABCD"}
    assert body(gift(code), values=values)["cardNumber"] == "ABCD"
    assert body(gift(code), values=values)["textModulesData"] == []
    assert body(gift(), barcode_alt="", barcode="XY")["cardNumber"] == "XY"
    assert body(gift(), barcode_alt="", barcode="")["cardNumber"] == NAMED.serial


def test_money_elsewhere_is_written_for_people() -> None:
    """The balance has a field of its own; the face value has none."""
    face = {"key": "face", "label": "name", "value": "{face_value}"}
    again = {"key": "again", "label": "name", "value": "{balance}"}
    amount = {"amount": 500000, "currency": "RUB"}
    made = body(gift(face, again), values={"left": amount, "face": amount, "again": amount})
    (module,) = made["textModulesData"]
    assert (module["id"], module["body"]) == ("face", "5\xa0000\xa0₽")
    assert module["localizedBody"]["translatedValues"][0]["value"] == "5,000\xa0₽"


def test_of_two_fields_the_one_that_is_announced_counts() -> None:
    """Whichever stands first: Google announces what is in its place."""
    quiet = {"key": "quiet", "label": "name", "value": "{tier}"}
    layout = Layout(described(**back(quiet, TIER)))
    assert layout.second == FieldSpec.model_validate(TIER)
    assert layout.notifying == {"points", "tier"}
    assert [spec.key for spec in layout.doubles] == ["quiet"]
