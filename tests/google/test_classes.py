"""Classes: what all cards of a template have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.apple.samples import described
from tests.google.samples import FACTS, class_of, gift


def rows(description: Any) -> list[list[str]]:
    """The paths on the face, row by row, from left to right."""
    info = class_of(description)["classTemplateInfo"]
    if info is None:
        return []
    found = []
    for row in info["cardTemplateOverride"]["cardRowTemplateInfos"]:
        (items,) = row.values()
        found.append([item["firstValue"]["fields"][0]["fieldPath"] for item in items.values()])
    return found


def field(key: str, value: str = "{first_name}", **more: Any) -> dict[str, Any]:
    return {"key": key, "value": f"{key} {value}", **more}


def test_a_loyalty_class_names_the_shop_and_the_programme() -> None:
    """The text beside the logo is the programme's name, in both languages."""
    made = class_of(described())
    assert made["issuerName"] == "Кофейня «Заря»"
    assert made["programName"] == "Заря"
    assert made["localizedProgramName"]["translatedValues"] == [
        {"language": "en", "value": "Zarya"}
    ]
    assert made["hexBackgroundColor"] == "#0a141e"
    assert made["countryCode"] == "RU"
    assert made["accountNameLabel"] == "Имя"
    assert made["localizedAccountNameLabel"]["translatedValues"][0]["value"] == "Name"
    plain = class_of(described(logo_text=None))
    assert (plain["programName"], plain["localizedProgramName"]) == ("Клуб «Заря»", None)


def test_only_a_review_is_asked_for() -> None:
    """Google sets APPROVED itself and refuses it from us; drafts cannot have objects."""
    assert class_of(described())["reviewStatus"] == "UNDER_REVIEW"
    assert class_of(gift())["reviewStatus"] == "UNDER_REVIEW"


def test_a_gift_class_shows_the_barcode() -> None:
    """Google leaves it out otherwise."""
    made = class_of(gift({"key": "code", "label": "name", "value": "{code}"}))
    assert made["allowBarcodeRedemption"] is True
    assert (made["merchantName"], made["cardNumberLabel"]) == ("Заря", "Имя")
    assert class_of(gift(logo_text=None))["merchantName"] == "Кофейня «Заря»"


@pytest.mark.parametrize(
    ("description", "status"),
    [
        (described(), "MULTIPLE_HOLDERS"),
        (described(sharing_prohibited=True), "ONE_USER_ALL_DEVICES"),
        (gift(), "ONE_USER_ALL_DEVICES"),
        (gift(sharing_prohibited=True), "ONE_USER_ALL_DEVICES"),
    ],
)
def test_who_may_keep_a_pass(description: Any, status: str) -> None:
    """Stored value is in one hand only."""
    assert class_of(description)["multipleDevicesAndHoldersAllowedStatus"] == status


def test_callbacks_come_over_https_only() -> None:
    """Where Google would not come, none is asked for, and a former wish is taken back."""
    assert class_of(described())["callbackOptions"] == {"url": FACTS.callback_url}
    without = class_of(described(), replace(FACTS, callback_url=None))
    assert without["callbackOptions"] is None


def test_images_have_addresses_and_words() -> None:
    """Those that the template has no source for are null."""
    made = class_of(described(), replace(FACTS, pictures={"logo": FACTS.pictures["logo"]}))
    assert made["programLogo"]["sourceUri"] == {"uri": FACTS.pictures["logo"]}
    assert made["programLogo"]["contentDescription"]["defaultValue"]["value"] == "Карта лояльности"
    assert made["heroImage"] is made["wideProgramLogo"] is None


def test_fixed_texts_stand_on_the_class() -> None:
    """Once for all cards, in both languages."""
    (module,) = class_of(described())["textModulesData"]
    assert (module["id"], module["header"]) == ("terms", "Условия")
    assert module["localizedBody"]["translatedValues"][0]["value"].startswith("Line one\n")


def test_contacts_are_links() -> None:
    """A phone that can be called, a site that can be opened; what the shop lacks is left out."""
    contacts = [
        {"key": "phone", "label": "name", "value": "{support_phone}"},
        {"key": "site", "label": "terms", "value": "{website}"},
    ]
    description = described(fields={"back": contacts})
    uris = class_of(description)["linksModuleData"]["uris"]
    assert [(uri["id"], uri["uri"], uri["description"]) for uri in uris] == [
        ("phone", "tel:+78125550142", "Имя"),
        ("site", "https://zarya.example", "Условия"),
    ]
    none = class_of(description, replace(FACTS, phone=None, website=None))
    assert none["linksModuleData"] == {"uris": []}
    assert none["countryCode"] is None


def test_points_and_tier_come_first_on_the_face() -> None:
    """Wherever they stand in the template; the rest follows in its order."""
    tier = {"key": "tier", "value": "{tier}", "change": "changed"}
    fields = {
        "primary": [field("guest")],
        "secondary": [{"key": "name", "value": "{holder_name}"}, {"key": "t", "text": "terms"}],
        "back": [{"key": "points", "value": "{points}"}, tier],
    }
    assert rows(described(fields=fields)) == [
        ["object.loyaltyPoints.balance", "object.secondaryLoyaltyPoints.balance"],
        ["object.textModulesData['guest']", "object.accountName"],
        ["class.textModulesData['t']"],
    ]


@pytest.mark.parametrize(
    ("count", "lengths"),
    [(0, []), (1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2]), (5, [2, 2, 1]), (8, [3, 3, 2])],
)
def test_rows_are_even(count: int, lengths: list[int]) -> None:
    """At most three, of at most three values."""
    names = [field(f"f{n}") for n in range(count)]
    places = {"header": names[:3], "primary": names[3:4], "secondary": names[4:]}
    assert [len(row) for row in rows(described(fields=places))] == lengths


def test_what_does_not_fit_the_face_is_among_the_details() -> None:
    """Nine values are all there is room for."""
    names = [field(f"f{n}") for n in range(8)]
    places = {
        "header": names[:3],
        "primary": names[3:4],
        "secondary": names[4:],
        "back": [{"key": "points", "value": "{points}"}, {"key": "tier", "value": "{tier}"}],
    }
    shown = rows(described(fields=places))
    assert [len(row) for row in shown] == [3, 3, 3]
    assert "object.textModulesData['f7']" not in shown[2]


def test_a_value_is_shown_once_on_the_face() -> None:
    """A gift card may repeat its balance for Apple's sake."""
    assert rows(gift({"key": "again", "value": "{balance}"})) == [["object.balance"]]
