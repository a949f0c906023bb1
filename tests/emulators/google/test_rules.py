"""Every rule of Google's that a body can break, and what stands beside it and is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulators.google.client import Client, Json, accepted, refused
from walletsvc.emulators.google.schema import FAMILIES

LONG = [{"id": f"m{number}", "header": "h", "body": "b"} for number in range(11)]
PLACE = {"latitude": 55.75, "longitude": 37.62}
TOTP: Json = {
    "type": "QR_CODE",
    "valuePattern": "1234-{totp_value_0}",
    "totpDetails": {
        "algorithm": "TOTP_SHA1",
        "periodMillis": "30000",
        "parameters": [{"key": "3132333435363738393031323334353637383930", "valueLength": 8}],
    },
}


def test_whole_payloads_are_accepted_and_echoed(shop: Client) -> None:
    """As Google's recorded answers: older enum names, `kind`, 64-bit integers as text."""
    card = accepted(shop.call("GET", f"loyaltyObject/{shop.object_id}"))
    assert card["kind"] == "walletobjects#loyaltyObject"
    assert card["state"] == "active"
    assert card["barcode"]["type"] == "qrCode"
    assert card["secondaryLoyaltyPoints"]["balance"]["money"]["micros"] == "12500000"
    assert card["hasUsers"] is False
    parent = card["classReference"]
    assert parent["reviewStatus"] == "approved"
    assert parent["multipleDevicesAndHoldersAllowedStatus"] == "multipleHolders"
    assert parent["viewUnlockRequirement"] == "viewUnlockRequirementUnspecified"
    gift = accepted(shop.call("GET", f"giftCardObject/{shop.gift_id}"))
    assert gift["balance"]["kind"] == "walletobjects#money"
    assert gift["classReference"]["viewUnlockRequirement"] == "UNLOCK_REQUIRED_TO_VIEW"


def test_offers_and_generic_passes(client: Client) -> None:
    """The other two kinds."""
    words = {"defaultValue": {"language": "en", "value": "Words"}}
    offer = {
        "id": f"{client.issuer}.offer",
        "issuerName": "Shop",
        "provider": "Shop",
        "title": "Ten percent",
        "redemptionChannel": "BOTH",
        "reviewStatus": "UNDER_REVIEW",
    }
    client.insert("offerClass", offer)
    held = {"id": f"{client.issuer}.o1", "classId": offer["id"], "state": "ACTIVE"}
    assert client.insert("offerObject", held)["kind"] == "walletobjects#offerObject"
    client.insert("genericClass", {"id": f"{client.issuer}.generic"})
    generic = {
        "id": f"{client.issuer}.g1",
        "classId": f"{client.issuer}.generic",
        "cardTitle": words,
        "header": words,
    }
    answer = client.insert("genericObject", generic)
    assert (answer["state"], answer["genericType"]) == ("active", "genericTypeUnspecified")
    refused(client.call("POST", "loyaltyObject", {**held, "id": "3388000000000000001.l"}), 404,
            "classNotFound")  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"nonsense": 1}, ""),
        ({"loyaltyPoints": {"balance": {"micros": "5"}}}, "loyaltyPoints.balance"),
        ({"loyaltyPoints": {"balance": {"int": "five"}}}, "loyaltyPoints.balance.int"),
        ({"loyaltyPoints": {"balance": {"int": 2**31}}}, "loyaltyPoints.balance.int"),
        ({"state": "Active"}, "state"),
        ({"state": 1}, "state"),
        ({"barcode": {"type": "QR"}}, "barcode.type"),
        ({"messages": [{"text": "x"}]}, "messages[0]"),
        ({"messages": {"id": "x"}}, "messages"),
        ({"accountId": 7}, "accountId"),
        ({"hasUsers": "yes"}, "hasUsers"),
        ({"secondaryLoyaltyPoints": {"balance": {"money": {"micros": "1.5"}}}},
         "secondaryLoyaltyPoints.balance.money.micros"),
    ],
)  # fmt: skip
def test_what_the_schema_does_not_know(shop: Client, body: Json, field: str) -> None:
    """400 `invalid` with the path of what is wrong; nothing is kept."""
    before = shop.emulator.resource(shop.object_id)
    error = refused(shop.patch(body), 400, "invalid")
    assert error["status"] == "INVALID_ARGUMENT"
    violations = error["details"][0]["fieldViolations"]
    assert [violation["field"] for violation in violations] == [field]
    assert shop.emulator.resource(shop.object_id) == before


REQUIRED: list[tuple[str, str, tuple[str, ...]]] = [
    ("loyaltyClass", "loyalty_class",
     ("id", "issuerName", "programName", "programLogo", "reviewStatus")),
    ("loyaltyObject", "loyalty_object", ("id", "classId", "state")),
    ("giftCardClass", "gift_class", ("id", "issuerName", "reviewStatus")),
    ("giftCardObject", "gift_object", ("id", "classId", "state", "cardNumber")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("collection", "payload", "field"),
    [(name, payload, field) for name, payload, fields in REQUIRED for field in fields],
)
def test_required_fields(shop: Client, collection: str, payload: str, field: str) -> None:
    """Absent, null and empty are the same; a PATCH may not remove one."""
    body: Json = getattr(shop, payload)(id=f"{shop.issuer}.new")
    for broken in ({**body, field: None}, {k: v for k, v in body.items() if k != field}):
        refused(shop.call("POST", collection, broken), 400, "invalidResource")
    accepted(shop.call("POST", collection, body))
    if field != "id":
        change = {"reviewStatus": "UNDER_REVIEW"} if payload.endswith("class") else {}
        answer = shop.patch({**change, field: None}, body["id"], collection)
        refused(answer, 400, "invalidResource")


REFUSED: list[Json] = [
    {"loyaltyPoints": {"balance": {"int": 5}}},  # beside the text that is kept
    {"secondaryLoyaltyPoints": {"balance": {"money": None}}},
    {"secondaryLoyaltyPoints": {"balance": {"money": {"currencyCode": "rubles"}}}},
    {"barcode": {"type": None}},
    {"barcode": {"type": "AZTEC", "renderEncoding": "UTF_8"}},
    {"rotatingBarcode": {**TOTP, "type": "AZTEC"}},
    {"rotatingBarcode": {**TOTP, "valuePattern": "1234"}},
    {"rotatingBarcode": {**TOTP, "totpDetails": {**TOTP["totpDetails"], "periodMillis": 0}}},
    {"rotatingBarcode": {**TOTP, "totpDetails": None}},
    {"validTimeInterval": {"end": {"date": "tomorrow"}}},
    {"validTimeInterval": {"end": {"date": "2035-02-30T00:00:00Z"}}},
    {"validTimeInterval": {"start": {"date": "2030-01-01T00:00:00"}}},  # the end has an offset
    {"validTimeInterval": {"start": {"date": "2036-01-01T00:00:00Z"}}},
    {"textModulesData": [{"id": "a.b", "header": "h", "body": "b"}]},
    {"linksModuleData": {"uris": [{"description": "nowhere"}]}},
    {"messages": LONG},
    {"messages": [{"id": "m", "header": "h"}]},
    {
        "messages": [
            {"id": "m", "header": "h", "body": "b", "messageType": "EXPIRATION_NOTIFICATION"}
        ]
    },
    {"merchantLocations": [PLACE]},
    {"valueAddedModuleData": [{"header": None}] * 16},
    {"linkedObjectIds": ["3388000000000000001.card-1"]},
    {"linkedObjectIds": ["3388000000000000002.other"]},
    {"smartTapRedemptionValue": "карта"},
    {"heroImage": {"sourceUri": {"uri": "hero.png"}}},
    {"heroImage": {"sourceUri": {}}},
    {"loyaltyPoints": {"localizedLabel": {"defaultValue": {"value": None}}}},
    {"loyaltyPoints": {"localizedLabel": {"defaultValue": None}}},
    {"id": "3388000000000000001.other"},
    {"classId": "3388000000000000001.other"},
]


@pytest.mark.parametrize("body", REFUSED, ids=str)
def test_rules_of_objects(shop: Client, body: Json) -> None:
    """400 `invalidResource`, and nothing is kept."""
    before = shop.emulator.resource(shop.object_id)
    refused(shop.patch(body), 400, "invalidResource")
    assert shop.emulator.resource(shop.object_id) == before


ACCEPTED: list[Json] = [
    {"loyaltyPoints": {"balance": {"int": 5, "string": None}}},
    {"secondaryLoyaltyPoints": None},
    {"barcode": {"type": "qrcode", "renderEncoding": "UTF_8", "value": "карта"}},
    {"rotatingBarcode": TOTP},
    {"validTimeInterval": {"start": {"date": "2030-01-01T00:00Z"}}},
    {"validTimeInterval": {"end": {"date": "2035-01-01T00:00:00.123456"}}},
    {"textModulesData": [{"id": "a_b", "header": "h", "body": "b"}]},
    {"messages": LONG[:10]},
    {"smartTapRedemptionValue": "1234"},
    {"state": "inactive"},
    {"hasUsers": True, "kind": "anything", "version": "9"},
    {},
]


@pytest.mark.parametrize("body", ACCEPTED, ids=str)
def test_what_is_accepted_of_objects(shop: Client, body: Json) -> None:
    """The other side of the rules; what only the platform sets is dropped."""
    answer = accepted(shop.patch(body))
    assert (answer["hasUsers"], answer["version"]) == (False, "1")


@pytest.mark.parametrize(
    "body",
    [
        {"balance": {"currencyCode": "₽"}},
        {"balanceUpdateTime": {"date": "2026-11-01T12:00:00"}},
        {"cardNumber": ""},
    ],
)
def test_rules_of_gift_cards(shop: Client, body: Json) -> None:
    """Money in a currency, a moment with an offset, a number."""
    refused(shop.patch(body, shop.gift_id, "giftCardObject"), 400, "invalidResource")


@pytest.mark.parametrize(
    ("resource_id", "status"),
    [
        ("card", 400),
        ("shop.card", 400),
        ("3388000000000000001.", 400),
        ("3388000000000000001.card 1", 400),
        ("3388000000000000001.карта", 400),
        ("3388000000000000001/card", 400),
        ("3388000000000000002.card", 403),
        ("3388000000000000001.A-z_0.9", 200),
    ],
)
def test_ids(shop: Client, resource_id: str, status: int) -> None:
    """Issuer and suffix, in Google's characters; of an issuer that invited the account."""
    answer = shop.call("POST", "loyaltyObject", shop.loyalty_object(id=resource_id))
    assert answer.status_code == status, answer.text


def test_what_is_there_and_what_is_not(shop: Client) -> None:
    """409 for an id that is taken, by a class too; 404 for what was never inserted."""
    refused(shop.call("POST", "loyaltyObject", shop.loyalty_object()), 409, "alreadyExists")
    refused(shop.call("POST", "loyaltyClass", shop.loyalty_class()), 409, "alreadyExists")
    taken = shop.loyalty_object(id=shop.class_id)
    refused(shop.call("POST", "loyaltyObject", taken), 409, "alreadyExists")
    for method, body in (("GET", None), ("PATCH", {}), ("PUT", shop.loyalty_object(id=None))):
        answer = shop.call(method, f"loyaltyObject/{shop.issuer}.none", body)
        refused(answer, 404, "resourceNotFound")
        answer = shop.call(method, f"loyaltyClass/{shop.issuer}.none", body and {})
        refused(answer, 404, "classNotFound")
    refused(shop.call("GET", f"giftCardObject/{shop.object_id}"), 404, "resourceNotFound")
    lost = shop.loyalty_object(id=f"{shop.issuer}.new", classId=f"{shop.issuer}.none")
    refused(shop.call("POST", "loyaltyObject", lost), 404, "classNotFound")
    mixed = shop.loyalty_object(id=f"{shop.issuer}.new", classId=shop.gift_class_id)
    refused(shop.call("POST", "loyaltyObject", mixed), 404, "classNotFound")
    for path in ("loyaltyCard", f"loyaltyObject/{shop.object_id}/nonsense", "smartTap"):
        refused(shop.call("POST", path, {}), 404, "notFound")
    assert shop.call("DELETE", f"loyaltyObject/{shop.object_id}").status_code == 404
    assert len(FAMILIES) == 4


def test_review_of_a_class(client: Client) -> None:
    """DRAFT is left once; APPROVED cannot be sent; an update must say UNDER_REVIEW."""
    path = client.class_id, "loyaltyClass"
    for status in ("APPROVED", "approved", "REJECTED", "REVIEW_STATUS_UNSPECIFIED"):
        body = client.loyalty_class(reviewStatus=status)
        refused(client.call("POST", "loyaltyClass", body), 400, "invalidResource")
    client.insert("loyaltyClass", client.loyalty_class(reviewStatus="DRAFT"))
    card = client.loyalty_object()
    refused(client.call("POST", "loyaltyObject", card), 400, "invalidResource")
    assert accepted(client.patch({"countryCode": "KZ"}, *path))["reviewStatus"] == "draft"
    client.control("POST", "switches", {"review_at_once": False})
    change: Any = {"reviewStatus": "UNDER_REVIEW"}
    assert accepted(client.patch(change, *path))["reviewStatus"] == "underReview"
    client.control("POST", f"classes/{client.class_id}/review", {"status": "rejected"})
    refused(client.call("POST", "loyaltyObject", card), 400, "invalidResource")
    accepted(client.patch(change, *path))
    client.control("POST", f"classes/{client.class_id}/review")
    client.insert("loyaltyObject", card)
    for bad in ({"reviewStatus": "APPROVED"}, {"reviewStatus": "DRAFT"}, {"countryCode": "RU"}):
        refused(client.patch(bad, *path), 400, "invalidResource")
    read = client.call("GET", f"loyaltyClass/{client.class_id}").json()
    assert read["reviewStatus"] == "approved"
    refused(client.call("PUT", f"loyaltyClass/{client.class_id}", {**read, "kind": None}), 400,
            "invalid")  # fmt: skip


def test_links_between_objects(shop: Client) -> None:
    """Same issuer, there, not itself, not one that has links of its own, at most fifty."""
    accepted(shop.patch({"linkedObjectIds": [shop.gift_id]}))
    chain = {"linkedObjectIds": [shop.object_id]}
    refused(shop.patch(chain, shop.gift_id, "giftCardObject"), 400, "invalidResource")
    missing = {"linkedObjectIds": [f"{shop.issuer}.none"]}
    refused(shop.patch(missing), 404, "resourceNotFound")
    many = {"linkedObjectIds": [shop.gift_id] * 51}
    refused(shop.patch(many), 400, "invalidResource")


def test_places_of_an_allow_listed_issuer(shop: Client) -> None:
    """The same body, once Google allows it; ten and no more, on earth."""
    shop.control("POST", "issuers", {"issuerId": shop.issuer, "merchantLocations": True})
    accepted(shop.patch({"merchantLocations": [PLACE] * 10}))
    refused(shop.patch({"merchantLocations": [PLACE] * 11}), 400, "invalidResource")
    away = {"merchantLocations": [{"latitude": 91, "longitude": 0}]}
    refused(shop.patch(away), 400, "invalidResource")


@pytest.mark.parametrize(
    "body",
    [
        {"callbackOptions": {"url": "http://shop.example/callback"}},
        {"callbackOptions": {"url": "callback"}},
        {"hexBackgroundColor": "green"},
        {"programLogo": {"sourceUri": {"uri": "ftp://shop.example/x.png"}}},
    ],
)
def test_rules_of_classes(shop: Client, body: Json) -> None:
    """Addresses that Google can reach, colours that it can read."""
    change = {**body, "reviewStatus": "UNDER_REVIEW"}
    refused(shop.patch(change, shop.class_id, "loyaltyClass"), 400, "invalidResource")
