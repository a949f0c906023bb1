"""The built pass against Apple's specification: one change at a time to a pass that is right."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.apple.samples import CONTENT, IDENTITY, IMAGES, described
from tests.conftest import NOW
from walletsvc.apple.package import compose, prepare
from walletsvc.apple.preflight import document
from walletsvc.emulators.phone.errors import PackageRefused
from walletsvc.emulators.phone.rules import check_pass
from walletsvc.passes.findings import Finding, Severity, errors

Change = Callable[[dict[str, Any]], None]


def sample() -> dict[str, Any]:
    """A pass.json of the package tests."""
    made: dict[str, Any] = json.loads(
        compose(prepare(described(), IMAGES), IDENTITY, CONTENT).encode()
    )
    return made


def changed(change: Change) -> dict[str, Any]:
    made = copy.deepcopy(sample())
    change(made)
    return made


def findings(change: Change) -> list[Finding]:
    return document.findings(changed(change), NOW)


def put(**values: Any) -> Change:
    return lambda made: made.update(values)


def drop(key: str) -> Change:
    return lambda made: made.pop(key)


def header(**values: Any) -> Change:
    """Change the header field; None removes an attribute."""

    def change(made: dict[str, Any]) -> None:
        (field,) = made["storeCard"]["headerFields"]
        field.update(values)
        for name in [name for name, value in field.items() if value is None]:
            del field[name]

    return change


def group(name: str, *fields: dict[str, Any]) -> Change:
    return lambda made: made["storeCard"].update({name: list(fields)})


def barcode(**values: Any) -> Change:
    return lambda made: made["barcodes"][0].update(values)


def both(*changes: Change) -> Change:
    def change(made: dict[str, Any]) -> None:
        for one in changes:
            one(made)

    return change


def spki(curve: ec.EllipticCurve | None) -> str:
    private = ec.generate_private_key(curve) if curve else rsa.generate_private_key(65537, 2048)
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


P256 = spki(ec.SECP256R1())
PLACE = {"latitude": 55.7, "longitude": 37.6}
plain = {"key": "a", "value": "x"}
H = "storeCard.headerFields[0]"


def test_what_the_product_builds_is_right() -> None:
    """The sample has no findings, and the simulated phone takes it."""
    assert document.findings(sample(), NOW) == []
    assert check_pass(sample()) == []


REFUSED: list[tuple[Change, str, str]] = [
    # what is changed, the code, the key
    (put(formatVersion="1"), "pass-key", "formatVersion"),
    *[
        (drop(key), "pass-key", key)
        for key in (
            "passTypeIdentifier",
            "serialNumber",
            "teamIdentifier",
            "organizationName",
            "description",
        )
    ],
    (put(description=""), "pass-key", "description"),
    (put(passTypeIdentifier="cards.example"), "pass-key", "passTypeIdentifier"),
    (put(voided="yes"), "pass-key", "voided"),
    (put(maxDistance="100"), "pass-key", "maxDistance"),
    (put(logoText=5), "pass-key", "logoText"),
    (drop("storeCard"), "pass-style", ""),
    (put(coupon={}), "pass-style", ""),
    (drop("authenticationToken"), "pass-service", "webServiceURL"),
    (drop("webServiceURL"), "pass-service", "webServiceURL"),
    (put(authenticationToken="0" * 15), "pass-service", "authenticationToken"),
    (put(webServiceURL="http://cards.example"), "pass-service", "webServiceURL"),
    (put(webServiceURL="ftp://127.0.0.1"), "pass-service", "webServiceURL"),
    (put(backgroundColor="#0a141e"), "colour", "backgroundColor"),
    (put(labelColor="rgb(256, 0, 0)"), "colour", "labelColor"),
    (put(expirationDate="2027-01-31"), "date", "expirationDate"),
    (put(expirationDate="2027-01-31T21:00:00"), "date", "expirationDate"),
    (put(expirationDate="2027-02-31T21:00:00Z"), "date", "expirationDate"),
    (put(relevantDates=[{"date": "morgen"}]), "date", "relevantDates[0].date"),
    (put(associatedStoreIdentifiers=["1"]), "pass-key", "associatedStoreIdentifiers"),
    (put(appLaunchURL="https://x.example"), "pass-key", "appLaunchURL"),
    (put(locations=[PLACE] * 11), "pass-places", "locations"),
    (put(locations=[{**PLACE, "latitude": 91}]), "pass-places", "locations[0].latitude"),
    (put(beacons=[{}]), "pass-places", "beacons[0].proximityUUID"),
    (put(barcodes=[]), "barcode", "barcodes"),
    (barcode(format="PKBarcodeFormatEAN8"), "barcode", "barcodes[0].format"),
    (barcode(message=""), "barcode", "barcodes[0].message"),
    (barcode(messageEncoding=None), "barcode", "barcodes[0].messageEncoding"),
    (barcode(message="Ёж"), "barcode", "barcodes[0].messageEncoding"),
    (barcode(messageEncoding="latin-99"), "barcode", "barcodes[0].messageEncoding"),
    (barcode(format="PKBarcodeFormatEAN13"), "ios-barcode", "barcodes"),
    (
        lambda made: made["barcode"].update(format="PKBarcodeFormatCode128"),
        "barcode",
        "barcode.format",
    ),
    (
        put(nfc={"message": "x" * 65, "encryptionPublicKey": P256}),
        "nfc-message",
        "nfc.message",
    ),
    (
        put(nfc={"message": "ё" * 33, "encryptionPublicKey": P256}),
        "nfc-message",
        "nfc.message",
    ),
    (put(nfc={"message": "x"}), "nfc-key", "nfc.encryptionPublicKey"),
    (header(key=""), "field", f"{H}.key"),
    (header(value=None), "field", f"{H}.value"),
    (header(value=True), "field", f"{H}.value"),
    (header(label=5), "field", f"{H}.label"),
    (header(textAlignment="right"), "field", f"{H}.textAlignment"),
    (header(attributedValue="<b>5</b>"), "field", f"{H}.attributedValue"),
    (header(changeMessage="Новое"), "change-value", f"{H}.changeMessage"),
    (header(changeMessage="%@ %@"), "change-value", f"{H}.changeMessage"),
    (header(value="1250"), "currency", f"{H}.value"),
    (header(currencyCode="RUB"), "currency", H),
    (header(numberStyle=None, currencyCode="rub"), "currency", f"{H}.currencyCode"),
    (header(numberStyle=None, currencyCode="RUX"), "currency", f"{H}.currencyCode"),
    (header(numberStyle=None, value="1250", currencyCode="RUB"), "currency", f"{H}.value"),
    (header(numberStyle="Decimal"), "field", f"{H}.numberStyle"),
    (
        header(numberStyle=None, value="31.01.2027", dateStyle="PKDateStyleShort"),
        "date",
        f"{H}.value",
    ),
    (header(semantics={"balance": {"amount": 12.5}}), "currency", f"{H}.semantics.balance.amount"),
    (group("secondaryFields", {"key": "points", "value": "x"}), "key-twice", "storeCard"),
    (group("secondaryFields", plain, plain), "key-twice", "storeCard"),
    (
        both(drop("storeCard"), put(posterGeneric={"primaryFields": [plain]})),
        "ios-poster",
        "posterGeneric",
    ),
]


@pytest.mark.parametrize(
    ("change", "code", "key"), REFUSED, ids=[f"{n} {c} {k}" for n, (_, c, k) in enumerate(REFUSED)]
)
def test_what_wallet_refuses_is_an_error(change: Change, code: str, key: str) -> None:
    """Each at its key, and nothing else is called wrong."""
    found = errors(findings(change))
    assert (code, "pass.json", key) in [(f.code, f.file, f.key) for f in found]
    assert {f.code for f in found} == {code}


TAKEN: list[tuple[Change, str, str, str]] = [
    # what is changed, the code, the key, the versions concerned
    (put(exprirationDate="2027"), "pass-key", "exprirationDate", ""),
    (put(groupingIdentifier="x"), "pass-key", "groupingIdentifier", ""),
    (put(expirationDate="2026-11-20T09:30:00Z"), "expired", "expirationDate", ""),
    (header(colour="red"), "field", f"{H}.colour", ""),
    (header(row=1), "field", f"{H}.row", ""),
    (header(dataDetectorTypes=[]), "field", f"{H}.dataDetectorTypes", ""),
    (
        group("primaryFields", plain | {"textAlignment": "PKTextAlignmentLeft"}),
        "field",
        "storeCard.primaryFields[0].textAlignment",
        "",
    ),
    (
        group("auxiliaryFields", *[{"key": f"a{n}", "value": "x"} for n in range(4)]),
        "hidden-fields",
        "storeCard",
        "",
    ),
    (
        group("headerFields", *[{"key": f"a{n}", "value": "x"} for n in range(4)]),
        "hidden-fields",
        "storeCard",
        "",
    ),
    (
        group("primaryFields", plain, plain | {"key": "b"}),
        "hidden-fields",
        "storeCard",
        "",
    ),
    (
        group("additionalInfoFields", plain),
        "ios-additional-info",
        "storeCard.additionalInfoFields",
        "before iOS 18",
    ),
    (
        put(relevantDate="2026-12-01T09:00Z"),
        "ios-relevant-date",
        "relevantDate",
        "iOS 18 and later",
    ),
    (
        put(relevantDates=[{"date": "2026-12-01T09:00Z"}]),
        "ios-relevant-date",
        "relevantDates",
        "before iOS 18",
    ),
    (put(featuredActions=[{}]), "ios-actions", "featuredActions", "before iOS 27"),
    (put(featuredActions=[{}] * 3), "hidden-fields", "featuredActions", "iOS 27 and later"),
]


@pytest.mark.parametrize(
    ("change", "code", "key", "versions"),
    TAKEN,
    ids=[f"{n} {c} {k}" for n, (_, c, k, _) in enumerate(TAKEN)],
)
def test_what_wallet_hides_is_told(change: Change, code: str, key: str, versions: str) -> None:
    """It stops nothing; where only some phones are concerned, they are named."""
    found = findings(change)
    assert (code, key, versions) in [(f.code, f.key, f.versions) for f in found]
    assert errors(found) == []


KEPT: list[Change] = [
    put(expirationDate="2026-11-20T09:30:01Z"),
    put(expirationDate="2027-01-31T21:00+03:00"),
    put(webServiceURL="http://[::1]:8000/apple"),
    put(webServiceURL="http://localhost:8000/apple"),
    put(authenticationToken="0" * 16),
    put(locations=[PLACE] * 10),
    put(associatedStoreIdentifiers=[1], appLaunchURL="https://x.example"),
    put(relevantDate="2026-12-01T09:00Z", relevantDates=[{"date": "2026-12-01T09:00Z"}]),
    put(nfc={"message": "ё" * 32, "encryptionPublicKey": P256, "requiresAuthentication": True}),
    lambda made: made["barcodes"].insert(
        0, made["barcodes"][0] | {"format": "PKBarcodeFormatEAN13"}
    ),
    header(numberStyle=None, currencyCode="RUB"),
    header(numberStyle=None, value="2027-01-31T00:00Z", dateStyle="PKDateStyleShort"),
    header(attributedValue='<a href="https://x.example">5</a>'),
    group("auxiliaryFields", *[{"key": f"a{n}", "value": "x"} for n in range(3)]),
    put(posterGeneric={"primaryFields": [{"key": "points", "value": 5}]}),
]


@pytest.mark.parametrize("change", KEPT, ids=range(len(KEPT)))
def test_what_wallet_takes_is_not_complained_of(change: Change) -> None:
    """The other side of every limit; notes about versions aside."""
    found = [f for f in findings(change) if f.severity is not Severity.NOTE]
    assert found == []


@pytest.mark.parametrize(
    ("change", "code", "key"), REFUSED, ids=[f"{n} {c} {k}" for n, (_, c, k) in enumerate(REFUSED)]
)
def test_whatever_the_simulated_phone_refuses_is_an_error(
    change: Change, code: str, key: str
) -> None:
    """The phone was written apart from this, so the two keep each other honest: nothing that
    it refuses passes here. (What only this refuses, Wallet hides or shows wrong.)"""
    try:
        check_pass(changed(change))
    except PackageRefused:
        assert errors(findings(change)), key


@pytest.mark.parametrize("change", KEPT, ids=range(len(KEPT)))
def test_whatever_is_taken_here_the_simulated_phone_takes(change: Change) -> None:
    """The other way round."""
    check_pass(changed(change))
