"""pass.json held against Apple's specification: keys, types, service, look, barcodes, places.

Rules over plain dicts, so that they hold for whatever built the pass. `document_fields` looks
at the fields, `versions` at what only some phones know.
"""

from __future__ import annotations

import codecs
import ipaddress
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, TypeGuard
from urllib.parse import urlsplit

from walletsvc.apple.preflight import document_fields, versions
from walletsvc.apple.preflight.document_fields import moment
from walletsvc.apple.preflight.nfc import MOST_BYTES, key_fault
from walletsvc.passes.findings import BUILT, Finding, error, warning

STYLES: Final = ("storeCard", "coupon", "generic", "eventTicket", "boardingPass", "posterGeneric")

_REQUIRED: Final = (
    "passTypeIdentifier",
    "serialNumber",
    "teamIdentifier",
    "organizationName",
    "description",
)
_COLOURS: Final = (
    "backgroundColor",
    "foregroundColor",
    "labelColor",
    "stripColor",
    "footerBackgroundColor",
)
_RGB: Final = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)")
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "formatVersion": int,
    **dict.fromkeys((*_REQUIRED, *_COLOURS), str),
    **dict.fromkeys(("logoText", "webServiceURL", "authenticationToken", "appLaunchURL"), str),
    **dict.fromkeys(("groupingIdentifier", "expirationDate", "relevantDate"), str),
    "logoSymbolName": str,
    **dict.fromkeys(("voided", "sharingProhibited", "suppressStripShine"), bool),
    **dict.fromkeys(("useAutomaticColors", "suppressHeaderDarkening"), bool),
    **dict.fromkeys(("associatedStoreIdentifiers", "auxiliaryStoreIdentifiers"), list),
    **dict.fromkeys(("relevantDates", "locations", "beacons", "barcodes"), list),
    **dict.fromkeys(("preferredStyleSchemes", "featuredActions"), list),
    **dict.fromkeys(("userInfo", "semantics", "barcode", "nfc", *STYLES), dict),
    "maxDistance": (int, float),
}
_LEAST_TOKEN: Final = 16
_MOST_PLACES: Final = 10


def findings(document: dict[str, Any], now: datetime) -> list[Finding]:
    """What Wallet would refuse, ignore or hide of this pass."""
    found = [*_keys(document), *_style(document)]
    if found:
        return found  # with the frame broken, the rest would only repeat it
    return [
        *_service(document),
        *_look(document),
        *_life(document, now),
        *_relevance(document),
        *_barcodes(document),
        *_nfc(document),
        *document_fields.findings(document, _style_of(document)),
        *versions.findings(document),
    ]


def _style_of(document: dict[str, Any]) -> str:
    """The style whose fields count; a posterGeneric may have an older style beside it."""
    present = [style for style in STYLES if style in document]
    return present[0]


def _keys(document: dict[str, Any]) -> Iterator[Finding]:
    if document.get("formatVersion") != 1:
        yield error("pass-key", BUILT, "formatVersion", "must be the number 1")
    for key in _REQUIRED:
        if not document.get(key):
            yield error("pass-key", BUILT, key, "is missing or empty")
    for key, value in document.items():
        wanted = _TYPES.get(key)
        if wanted is None:
            yield warning("pass-key", BUILT, key, "is not a key that Wallet knows")
        elif not _is(value, wanted):
            yield error("pass-key", BUILT, key, f"is of the wrong type ({type(value).__name__})")
    identifier = document.get("passTypeIdentifier")
    if isinstance(identifier, str) and not identifier.startswith("pass."):
        yield error("pass-key", BUILT, "passTypeIdentifier", "must start with 'pass.'")


def _is(value: object, wanted: type | tuple[type, ...]) -> bool:
    # Python counts True among the integers, Wallet does not.
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _is_number(value: object) -> TypeGuard[float]:
    return _is(value, (int, float))


def _style(document: dict[str, Any]) -> Iterator[Finding]:
    older = [style for style in STYLES if style in document and style != "posterGeneric"]
    if len(older) > 1 or (not older and "posterGeneric" not in document):
        names = ", ".join(older) or "none"
        yield error("pass-style", BUILT, "", f"needs exactly one style, has {names}")


def _service(document: dict[str, Any]) -> Iterator[Finding]:
    url, token = document.get("webServiceURL"), document.get("authenticationToken")
    if (url is None) != (token is None):
        text = "only works together with authenticationToken"
        yield error("pass-service", BUILT, "webServiceURL", text)
    if url is not None and not _is_safe(url):
        text = "phones ask over https:// only; set WALLETSVC_PUBLIC_URL to such an address"
        yield error("pass-service", BUILT, "webServiceURL", text)
    if token is not None and len(token) < _LEAST_TOKEN:
        text = f"has fewer than {_LEAST_TOKEN} characters"
        yield error("pass-service", BUILT, "authenticationToken", text)


def _is_safe(url: str) -> bool:
    """Plain http is for this machine only, where nobody listens in."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        loopback = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = parts.hostname == "localhost"
    return parts.scheme == "http" and loopback


def _look(document: dict[str, Any]) -> Iterator[Finding]:
    for key in _COLOURS:
        match = _RGB.fullmatch(document.get(key, "rgb(0,0,0)"))
        if match is None or any(int(part) > 255 for part in match.groups()):
            yield error("colour", BUILT, key, "is not a colour such as rgb(12, 34, 56)")


def _life(document: dict[str, Any], now: datetime) -> Iterator[Finding]:
    for key in ("expirationDate", "relevantDate"):
        if key in document and moment(document[key]) is None:
            text = "is not a date such as 2026-11-22T18:30:00+03:00"
            yield error("date", BUILT, key, text)
    expires = moment(document.get("expirationDate"))
    if expires is not None and expires <= now:
        text = "is in the past: Wallet shows the pass as expired"
        yield warning("expired", BUILT, "expirationDate", text)
    stores = document.get("associatedStoreIdentifiers", [])
    if not all(_is(store, int) for store in stores):
        text = "must hold numbers; texts break the link to the app"
        yield error("pass-key", BUILT, "associatedStoreIdentifiers", text)
    if "appLaunchURL" in document and not stores:
        text = "needs associatedStoreIdentifiers"
        yield error("pass-key", BUILT, "appLaunchURL", text)
    if "groupingIdentifier" in document and not {"eventTicket", "boardingPass"} & set(document):
        text = "has no effect but on tickets and boarding passes"
        yield warning("pass-key", BUILT, "groupingIdentifier", text)


def _relevance(document: dict[str, Any]) -> Iterator[Finding]:
    for key in ("locations", "beacons"):
        if len(document.get(key, [])) > _MOST_PLACES:
            text = f"has more than {_MOST_PLACES} entries"
            yield error("pass-places", BUILT, key, text)
    for key, place in _objects(document, "locations"):
        for name, most in (("latitude", 90), ("longitude", 180)):
            value = place.get(name)
            if not _is_number(value) or abs(value) > most:
                yield error("pass-places", BUILT, f"{key}.{name}", "is not a number of degrees")
    for key, beacon in _objects(document, "beacons"):
        if not isinstance(beacon.get("proximityUUID"), str):
            yield error("pass-places", BUILT, f"{key}.proximityUUID", "is missing")
    for key, span in _objects(document, "relevantDates"):
        for name in {"date", "startDate", "endDate"} & set(span):
            if moment(span[name]) is None:
                text = "is not a date such as 2026-11-22T18:30:00+03:00"
                yield error("date", BUILT, f"{key}.{name}", text)


def _objects(document: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, value in enumerate(document.get(key, [])):
        yield f"{key}[{index}]", value if isinstance(value, dict) else {}


def _barcodes(document: dict[str, Any]) -> Iterator[Finding]:
    listed: Iterable[tuple[str, dict[str, Any]]] = _objects(document, "barcodes")
    if document.get("barcodes") == []:
        yield error("barcode", BUILT, "barcodes", "is empty")
    if "barcode" in document:
        single = document["barcode"]
        listed = [*listed, ("barcode", single)]
        if single.get("format") not in versions.OLDEST_BARCODES:
            text = "phones that read this key do not know the format; use barcodes"
            yield error("barcode", BUILT, "barcode.format", text)
    for key, barcode in listed:
        if barcode.get("format") not in versions.BARCODES:
            yield error("barcode", BUILT, f"{key}.format", "is not a barcode format")
        message, encoding = barcode.get("message"), barcode.get("messageEncoding")
        if not isinstance(message, str) or not message:
            yield error("barcode", BUILT, f"{key}.message", "is missing or empty")
        elif not isinstance(encoding, str) or not _encodes(message, encoding):
            text = "is missing, unknown, or lacks letters of the message"
            yield error("barcode", BUILT, f"{key}.messageEncoding", text)


def _encodes(message: str, encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
        message.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _nfc(document: dict[str, Any]) -> Iterator[Finding]:
    nfc = document.get("nfc")
    if nfc is None:
        return
    message, key = nfc.get("message"), nfc.get("encryptionPublicKey")
    if not isinstance(message, str) or not 0 < len(message.encode()) <= MOST_BYTES:
        text = f"must be a text of at most {MOST_BYTES} bytes"
        yield error("nfc-message", BUILT, "nfc.message", text)
    fault = key_fault(key) if isinstance(key, str) else "is missing"
    if fault:
        yield error("nfc-key", BUILT, "nfc.encryptionPublicKey", fault)
    if not isinstance(nfc.get("requiresAuthentication", False), bool):
        text = "must be true or false"
        yield error("nfc-message", BUILT, "nfc.requiresAuthentication", text)
