"""The phone's judgement of what is in a package: pass.json, images, texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.emulators.phone import handmade
from tests.emulators.phone.handmade import Recipe, document, files, strings
from tests.emulators.phone.judge import opened, refusal

Spoiler = Callable[[dict[str, Any]], Any]


def _field(name: str, **changes: Any) -> Spoiler:
    def change(doc: dict[str, Any]) -> None:
        group = {"points": "headerFields", "name": "secondaryFields", "since": "backFields"}[name]
        doc["storeCard"][group][0].update(changes)

    return change


def _barcode(**changes: Any) -> Spoiler:
    return lambda doc: doc["barcodes"][0].update(changes)


DOCUMENT_FAULTS: dict[str, tuple[Spoiler, str]] = {
    "format version": (lambda d: d.update(formatVersion=2), "formatVersion must be the number 1"),
    "format version text": (lambda d: d.update(formatVersion="1"), "formatVersion"),
    "no description": (lambda d: d.pop("description"), "description is missing"),
    "no organisation": (lambda d: d.pop("organizationName"), "organizationName is missing"),
    "serial number as number": (lambda d: d.update(serialNumber=1), "serialNumber must be a text"),
    "pass type": (lambda d: d.update(passTypeIdentifier="example"), "must start with 'pass.'"),
    "no style": (lambda d: d.pop("storeCard"), "has no style"),
    "two styles": (lambda d: d.update(coupon={}), "has storeCard, coupon"),
    "service without token": (
        lambda d: d.update(webServiceURL="https://a.example"),
        "webServiceURL and authenticationToken",
    ),
    "token without service": (
        lambda d: d.update(authenticationToken="x" * 16),
        "webServiceURL and authenticationToken",
    ),
    "short token": (
        lambda d: d.update(webServiceURL="https://a.example", authenticationToken="x" * 15),
        "at least 16",
    ),
    "plain http": (
        lambda d: d.update(webServiceURL="http://a.example", authenticationToken="x" * 16),
        "is not an https:// address",
    ),
    "colour name": (lambda d: d.update(backgroundColor="#aabbcc"), "backgroundColor"),
    "colour too bright": (lambda d: d.update(labelColor="rgb(0, 0, 256)"), "labelColor"),
    "key twice": (_field("name", key="points"), "field key 'points' is used twice"),
    "field without key": (_field("name", key=""), "key is missing"),
    "field without value": (_field("name", value=None), "value must be a text or a number"),
    "change without place": (_field("name", changeMessage="Новое имя"), "changeMessage has no %@"),
    "currency of a text": (
        _field("name", currencyCode="RUB"),
        "value must be a number to go with currencyCode",
    ),
    "currency and style": (
        _field("points", currencyCode="RUB", numberStyle="PKNumberStyleDecimal"),
        "exclude each other",
    ),
    "currency unknown": (_field("points", currencyCode="руб"), "not an ISO 4217 code"),
    "number style": (_field("points", numberStyle="Decimal"), "numberStyle 'Decimal'"),
    "style of odd type": (_field("since", dateStyle=["x"]), "dateStyle"),
    "date without zone": (_field("since", value="2026-01-31T10:00:00"), "not a date"),
    "date without time": (_field("since", value="2026-01-31"), "not a date"),
    "date of no month": (_field("since", value="2026-13-31T10:00Z"), "not a date"),
    "alignment": (_field("name", textAlignment="left"), "textAlignment 'left'"),
    "detectors": (_field("since", dataDetectorTypes=[{}]), "dataDetectorTypes"),
    "markup": (_field("since", attributedValue="<b>1</b>"), "no markup but links"),
    "balance": (_field("points", semantics={"balance": {"amount": 12.5}}), "must be a text"),
    "latin barcode": (_barcode(messageEncoding="iso-8859-1"), "cannot be written in iso-8859-1"),
    "no encoding": (_barcode(messageEncoding=None), "messageEncoding is missing"),
    "odd encoding": (_barcode(messageEncoding="klingon"), "is no encoding"),
    "barcode format": (_barcode(format="QR"), "'QR' is not a barcode format"),
    "no message": (_barcode(message=""), "message must be a text"),
    "cyrillic code 128": (_barcode(format="PKBarcodeFormatCode128"), "only holds ASCII"),
    "only new barcodes": (_barcode(format="PKBarcodeFormatCode39"), "before iOS 27"),
    "no barcodes": (lambda d: d.update(barcodes=[]), "barcodes is empty"),
    "old code 128": (
        lambda d: d.update(
            barcode={
                "format": "PKBarcodeFormatCode128",
                "message": "1",
                "messageEncoding": "iso-8859-1",
            }
        ),
        "only known in barcodes",
    ),
    "expiry": (lambda d: d.update(expirationDate="2026-12-31"), "expirationDate"),
    "voided text": (lambda d: d.update(voided="true"), "voided must be true or false"),
    "store ids": (lambda d: d.update(associatedStoreIdentifiers=["1"]), "list of numbers"),
    "app link": (lambda d: d.update(appLaunchURL="x:"), "needs associatedStoreIdentifiers"),
    "distance text": (lambda d: d.update(maxDistance="100"), "maxDistance must be a number"),
    "places": (
        lambda d: d.update(locations=[{"latitude": 1, "longitude": 1}] * 11),
        "more than 10",
    ),
    "latitude": (
        lambda d: d.update(locations=[{"latitude": 91, "longitude": 1}]),
        "locations[0].latitude",
    ),
    "relevance": (lambda d: d.update(relevantDates=[{"date": "soon"}]), "relevantDates[0].date"),
    "nfc too long": (
        lambda d: d.update(nfc={"message": "x" * 65, "encryptionPublicKey": "x"}),
        "nfc.message",
    ),
}


@pytest.mark.parametrize("fault", DOCUMENT_FAULTS)
def test_a_faulty_pass_json_is_refused(fault: str) -> None:
    """Every rule about pass.json is noticed when broken, naming the key."""
    spoil, reason = DOCUMENT_FAULTS[fault]
    doc = document()
    spoil(doc)
    assert reason in refusal(handmade.package(doc))


FILE_FAULTS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no icon": (
        {"icon.png": None, "icon@2x.png": None, "icon@3x.png": None},
        "icon.png is missing",
    ),
    "icon of text": ({"icon.png": b"<svg/>"}, "icon.png: is not a PNG"),
    "image name": ({"my icon.png": handmade.png(1)}, "not the name of an image"),
    "not json": ({"pass.json": b"{"}, "pass.json: is not JSON"),
    "a list": ({"pass.json": b"[]"}, "pass.json: is not a JSON object"),
    "latin json": ({"pass.json": '{"a": "é"}'.encode("latin-1")}, "is not JSON in UTF-8"),
    "nested json": ({"pass.json": b'{"a":' * 100_000}, "is not JSON in UTF-8"),
    "key twice": ({"pass.json": b'{"a": 1, "a": 2}'}, "the key 'a' occurs twice"),
    "broken texts": (
        {"ru.lproj/pass.strings": b'"a" = "b"'},
        "ru.lproj/pass.strings: line 1 is not",
    ),
    "latin texts": (
        {"ru.lproj/pass.strings": b'"a" = "\xff\xff\xff";'},
        "is neither UTF-8 nor UTF-16",
    ),
    "text missing in a language": (
        {"en.lproj/pass.strings": strings(extra="more").encode()},
        "ru.lproj/pass.strings: 'extra' is missing",
    ),
    "no place in a language": (
        {"en.lproj/pass.strings": strings("Points changed").encode()},
        "changeMessage has no %@ in 'en'",
    ),
    "text key twice": (
        {"ru.lproj/pass.strings": (strings() + '"points_label" = "";').encode()},
        "'points_label' occurs twice",
    ),
    "texts elsewhere": ({"ru.strings": b""}, "texts belong into"),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_a_faulty_file_is_refused(fault: str) -> None:
    """Images and texts are looked at too, and named when they are wrong."""
    changes, reason = FILE_FAULTS[fault]
    contents = files()
    for name, data in changes.items():
        if data is None:
            del contents[name]
        else:
            contents[name] = data
    assert reason in refusal(Recipe(contents=contents).build())


def test_what_stays_hidden_is_noted() -> None:
    """Wallet takes such a pass; somebody will miss something, so the phone says so."""
    doc = document()
    doc["storeCard"]["auxiliaryFields"] = [{"key": f"x{n}", "value": n} for n in range(4)]
    contents = files(doc)
    del contents["icon@3x.png"]
    contents["icon@2x.png"] = handmade.png(38)
    assert opened(Recipe(contents=contents).build()).notes == (
        "secondaryFields and auxiliaryFields: 5 fields, of which Wallet shows 4",
        "icon: has no @3x image",
        "icon@2x: is not 2 times the size of the @1x image",
    )


def test_texts_are_read_as_apple_writes_them() -> None:
    """Comments, escapes and both encodings."""
    text = '// a\n"points_label" = "Баллы \\"Плюс\\"\\n\\U0416"; /* b\n */ "points_changed"="%@";'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        contents = files()
        contents["ru.lproj/pass.strings"] = text.encode(encoding)
        package = opened(Recipe(contents=contents).build())
        assert package.text("points_label", "ru") == 'Баллы "Плюс"\nЖ'


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"value": 1234567}, "1\u00a0234\u00a0567"),
        ({"value": 1234.5, "currencyCode": "RUB"}, "1\u00a0234,50\u00a0₽"),
        ({"value": 0.25, "numberStyle": "PKNumberStylePercent"}, "25\u00a0%"),
        ({"value": "points_label"}, "Баллы"),
        (
            {
                "value": "2026-01-31T10:00Z",
                "dateStyle": "PKDateStyleShort",
                "timeStyle": "PKDateStyleShort",
            },
            "31.01.2026, 10:00",
        ),
        ({"value": "2026-01-31T10:05Z", "timeStyle": "PKDateStyleShort"}, "10:05"),
    ],
)
def test_values_are_shown_as_the_phone_would(changes: dict[str, Any], expected: str) -> None:
    """Numbers, money, dates and localised texts."""
    doc = document()
    _field("points", **changes)(doc)
    assert opened(handmade.package(doc)).shown("points", "ru") == expected
