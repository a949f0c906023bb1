"""What Wallet demands of pass.json as a whole: keys, service, colours, barcodes, dates.

Source: Apple, "Pass" and the validators of apple/pass-builder. Where Wallet only hides or
ignores something, the pass is taken and a note says what will not be seen.
"""

from __future__ import annotations

import codecs
import ipaddress
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from walletsvc.emulators.phone.errors import PackageRefused
from walletsvc.emulators.phone.fields import check_fields, check_moment

STYLES = ("storeCard", "coupon", "generic", "eventTicket", "boardingPass", "posterGeneric")

_REQUIRED_TEXT = (
    "passTypeIdentifier",
    "serialNumber",
    "teamIdentifier",
    "organizationName",
    "description",
)
_COLOURS = (
    "backgroundColor",
    "foregroundColor",
    "labelColor",
    "stripColor",
    "footerBackgroundColor",
)
_RGB = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)")
_FLAGS = ("voided", "sharingProhibited", "suppressStripShine", "useAutomaticColors")
_OLD_FORMATS = (
    "PKBarcodeFormatQR",
    "PKBarcodeFormatPDF417",
    "PKBarcodeFormatAztec",
    "PKBarcodeFormatCode128",
)
_NEW_FORMATS = (
    "PKBarcodeFormatCode39",
    "PKBarcodeFormatCodabar",
    "PKBarcodeFormatEAN13",
    "PKBarcodeFormatI2of5",
)
_LEAST_TOKEN = 16
_MOST_PLACES = 10
_NFC_BYTES = 64


def check_pass(document: dict[str, Any]) -> list[str]:
    """Check pass.json; raises PackageRefused naming the key, returns notes on what is hidden."""
    if type(document.get("formatVersion")) is not int or document["formatVersion"] != 1:
        raise _wrong("formatVersion", "must be the number 1")
    for key in _REQUIRED_TEXT:
        _require_text(document, key)
    if not document["passTypeIdentifier"].startswith("pass."):
        raise _wrong("passTypeIdentifier", "must start with 'pass.'")
    _check_service(document)
    _check_look(document)
    _check_lifecycle(document)
    _check_links(document)
    _check_relevance(document)
    _check_barcodes(document)
    _check_nfc(document)
    return list(check_fields(document, style_of(document)))


def style_of(document: dict[str, Any]) -> str:
    """The style key of the pass; a posterGeneric may have an older style beside it."""
    present = [style for style in STYLES if style in document]
    older = [style for style in present if style != "posterGeneric"]
    if not present or len(older) > 1:
        raise PackageRefused(
            f"pass.json: has {', '.join(older) or 'no style'}; needs exactly one of "
            f"{', '.join(STYLES)}"
        )
    style = (older or present)[0]
    if not isinstance(document[style], dict):
        raise _wrong(style, "must be an object")
    return style


def check_url(key: str, value: object) -> None:
    """An https address; plain http only on this machine, where there is no one to listen."""
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise _wrong(key, f"'{value}' is not an https:// address")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_service(document: dict[str, Any]) -> None:
    url, token = document.get("webServiceURL"), document.get("authenticationToken")
    if (url is None) != (token is None):
        raise _wrong("webServiceURL", "and authenticationToken only work together")
    if url is None:
        return
    check_url("webServiceURL", url)
    if not isinstance(token, str) or len(token) < _LEAST_TOKEN:
        raise _wrong("authenticationToken", f"must be a text of at least {_LEAST_TOKEN} characters")


def _check_look(document: dict[str, Any]) -> None:
    for key in _COLOURS:
        value = document.get(key)
        if value is None:
            continue
        match = _RGB.fullmatch(value) if isinstance(value, str) else None
        if match is None or any(int(part) > 255 for part in match.groups()):
            raise _wrong(key, f"'{value}' is not a colour like rgb(12, 34, 56)")
    if "logoText" in document:
        _require_text(document, "logoText")


def _check_lifecycle(document: dict[str, Any]) -> None:
    for key in _FLAGS:
        if not isinstance(document.get(key, False), bool):
            raise _wrong(key, "must be true or false")
    for key in ("expirationDate", "relevantDate"):
        if key in document:
            check_moment(key, document[key])
    if not isinstance(document.get("userInfo", {}), dict):
        raise _wrong("userInfo", "must be an object")


def _check_links(document: dict[str, Any]) -> None:
    stores = document.get("associatedStoreIdentifiers")
    if stores is not None and not (
        isinstance(stores, list) and stores and all(type(store) is int for store in stores)
    ):
        raise _wrong("associatedStoreIdentifiers", "must be a list of numbers")
    if "appLaunchURL" in document and not stores:
        raise _wrong("appLaunchURL", "needs associatedStoreIdentifiers")


def _check_relevance(document: dict[str, Any]) -> None:
    for place, (latitude, longitude) in _places(document):
        if not (_is_number(latitude) and -90 <= latitude <= 90):
            raise _wrong(f"{place}.latitude", "must be a number of degrees")
        if not (_is_number(longitude) and -180 <= longitude <= 180):
            raise _wrong(f"{place}.longitude", "must be a number of degrees")
    for index, span in enumerate(_objects(document, "relevantDates")):
        for key in ("date", "startDate", "endDate"):
            if key in span:
                check_moment(f"relevantDates[{index}].{key}", span[key])
    if "maxDistance" in document and not _is_number(document["maxDistance"]):
        raise _wrong("maxDistance", "must be a number; a text is dropped")
    for index, beacon in enumerate(_objects(document, "beacons")):
        if not isinstance(beacon.get("proximityUUID"), str):
            raise _wrong(f"beacons[{index}].proximityUUID", "is missing")


def _places(document: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for index, place in enumerate(_objects(document, "locations")):
        yield f"locations[{index}]", (place.get("latitude"), place.get("longitude"))


def _objects(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = document.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise _wrong(key, "must be a list of objects")
    if key in ("locations", "beacons") and len(values) > _MOST_PLACES:
        raise _wrong(key, f"has more than {_MOST_PLACES} entries")
    return values


def _check_barcodes(document: dict[str, Any]) -> None:
    barcodes = _objects(document, "barcodes")
    if "barcodes" in document and not barcodes:
        raise _wrong("barcodes", "is empty")
    for index, barcode in enumerate(barcodes):
        _check_barcode(f"barcodes[{index}]", barcode)
    if barcodes and not any(b["format"] in _OLD_FORMATS for b in barcodes):
        raise _wrong("barcodes", "has no format that phones before iOS 27 can show")
    if (single := document.get("barcode")) is not None:
        if not isinstance(single, dict):
            raise _wrong("barcode", "must be an object")
        _check_barcode("barcode", single)
        if single["format"] == "PKBarcodeFormatCode128":
            raise _wrong("barcode.format", "Code 128 is only known in barcodes")


def _check_barcode(where: str, barcode: dict[str, Any]) -> None:
    known = barcode.get("format")
    if known not in _OLD_FORMATS + _NEW_FORMATS:
        raise _wrong(f"{where}.format", f"'{known}' is not a barcode format")
    message, encoding = barcode.get("message"), barcode.get("messageEncoding")
    if not isinstance(message, str) or not message:
        raise _wrong(f"{where}.message", "must be a text")
    if not isinstance(encoding, str):
        raise _wrong(f"{where}.messageEncoding", "is missing")
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise _wrong(f"{where}.messageEncoding", f"'{encoding}' is no encoding") from error
    try:
        message.encode(encoding)
    except UnicodeEncodeError as error:
        raise _wrong(f"{where}.message", f"cannot be written in {encoding}") from error
    if known == "PKBarcodeFormatCode128" and not message.isascii():
        raise _wrong(f"{where}.message", "Code 128 only holds ASCII")
    if not isinstance(barcode.get("altText", ""), str):
        raise _wrong(f"{where}.altText", "must be a text")


def _check_nfc(document: dict[str, Any]) -> None:
    nfc = document.get("nfc")
    if nfc is None:
        return
    message = nfc.get("message") if isinstance(nfc, dict) else None
    if not isinstance(message, str) or len(message.encode()) > _NFC_BYTES:
        raise _wrong("nfc.message", f"must be a text of at most {_NFC_BYTES} bytes")
    if not isinstance(nfc.get("encryptionPublicKey"), str):
        raise _wrong("nfc.encryptionPublicKey", "is missing")


def _require_text(document: dict[str, Any], key: str) -> None:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise _wrong(key, "must be a text" if key in document else "is missing")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong(key: str, message: str) -> PackageRefused:
    return PackageRefused(f"pass.json: {key} {message}")
