"""What Google refuses in a well-formed body: pure functions over a merged resource.

Checked are the fields that a request names; the merged resource is what would be kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from walletsvc.emulators.google.errors import ApiError, Json, invalid_resource
from walletsvc.emulators.google.schema import ResourceType, canonical, discovery

MAX_MESSAGES: Final = 10
MAX_LOCATIONS: Final = 10
MAX_MODULES: Final = 15
MAX_LINKED: Final = 50
# Set by the platform; what a client sends there is dropped.
READ_ONLY: Final = ("hasUsers", "hasLinkedDevice", "classReference", "kind", "version", "review")

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "LoyaltyClass": ("id", "issuerName", "programName", "programLogo", "reviewStatus"),
    "LoyaltyObject": ("id", "classId", "state"),
    "GiftCardClass": ("id", "issuerName", "reviewStatus"),
    "GiftCardObject": ("id", "classId", "state", "cardNumber"),
    "OfferClass": ("id", "issuerName", "provider", "title", "redemptionChannel", "reviewStatus"),
    "OfferObject": ("id", "classId", "state"),
    "GenericClass": ("id",),
    "GenericObject": ("id", "classId", "cardTitle", "header"),
}
# What a nested value must have, wherever it stands. Google's text says so, the schema does not.
_NESTED_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "LocalizedString": ("defaultValue",),
    "TranslatedString": ("language", "value"),
    "Image": ("sourceUri",),
    "ImageUri": ("uri",),
    "Uri": ("uri",),
    "Barcode": ("type", "value"),
    "Money": ("currencyCode", "micros"),
    "DateTime": ("date",),
    "MerchantLocation": ("latitude", "longitude"),
    "RotatingBarcode": ("type", "valuePattern", "totpDetails"),
    "RotatingBarcodeTotpDetails": ("algorithm", "periodMillis", "parameters"),
    "RotatingBarcodeTotpDetailsTotpParameters": ("key", "valueLength"),
}

_ID: Final = re.compile(r"([0-9]{1,20})\.[A-Za-z0-9._-]{1,200}")
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_COLOUR: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def issuer_of(resource_id: object) -> str:
    """The issuer in an id; ApiError when it is not `issuer.suffix` in Google's characters."""
    match = _ID.fullmatch(resource_id) if isinstance(resource_id, str) else None
    if match is None:
        raise invalid_resource(f"Invalid resource ID: {resource_id}.")
    return match[1]


def check_same_issuer(class_id: object, issuer_id: str) -> None:
    """An object and its class are of one issuer."""
    if issuer_of(class_id) != issuer_id:
        raise invalid_resource("Object and class must be of the same issuer.")


def check_required(kind: ResourceType, resource: Json) -> None:
    """Every required field is there and not empty."""
    for field in REQUIRED[kind.schema]:
        # A localised form stands in for none of them.
        if resource.get(field) in (None, "", {}):
            raise invalid_resource(f"{field} is a required field of {kind.schema}.")


def check_fields(kind: ResourceType, resource: Json, named: Collection[str]) -> None:
    """The rules of single fields, for those that a request names."""
    properties = discovery()[kind.schema]
    for field in named:
        value = resource.get(field)
        if value is None:
            continue
        _check_nested(properties[field], value, field)
        rule = _FIELD_RULES.get(field)
        if rule is not None:
            rule(value, field)


def _check_nested(described: Json, value: Any, path: str) -> None:
    """Required parts of nested values, by the schema."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if item is None:
                raise invalid_resource(f"{path}[{index}] is null.")
            _check_nested(described["items"], item, f"{path}[{index}]")
    elif isinstance(value, dict):
        name = described["$ref"]
        for part in _NESTED_REQUIRED.get(name, ()):
            if value.get(part) in (None, "", {}, []):
                raise invalid_resource(f"{path}.{part} is required.")
        properties = discovery()[name]
        for part, item in value.items():
            if isinstance(item, dict | list):
                _check_nested(properties[part], item, f"{path}.{part}")


def _points(value: Json, path: str) -> None:
    balance = value.get("balance")
    if balance is None:
        return
    kept = [name for name in ("string", "int", "double", "money") if balance.get(name) is not None]
    if len(kept) != 1:
        raise invalid_resource(
            f"{path}.balance must have exactly one of string, int, double, money; it has"
            f" {', '.join(kept) or 'none'}."
        )
    if kept == ["money"]:
        _money(balance["money"], f"{path}.balance.money")


def _money(value: Json, path: str) -> None:
    if not _CURRENCY.fullmatch(value.get("currencyCode") or ""):
        raise invalid_resource(f"{path}.currencyCode is not a currency code of ISO 4217.")


def _barcode(value: Json, path: str) -> None:
    kind = canonical(value.get("type"))
    if canonical(value.get("renderEncoding")) == "utf8" and kind != "qrcode":
        raise invalid_resource(f"{path}.renderEncoding UTF_8 is for QR codes only.")


def _rotating(value: Json, path: str) -> None:
    if canonical(value.get("type")) not in ("qrcode", "pdf417"):
        raise invalid_resource(f"{path}.type must be QR_CODE or PDF_417.")
    details = value["totpDetails"]
    if details["algorithm"] != "TOTP_SHA1":
        raise invalid_resource(f"{path}.totpDetails.algorithm must be TOTP_SHA1.")
    if int(details["periodMillis"]) <= 0:
        raise invalid_resource(f"{path}.totpDetails.periodMillis must be positive.")
    for parameter in details["parameters"]:
        if not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", parameter["key"]):
            raise invalid_resource(f"{path}.totpDetails.parameters.key must be in base 16.")
    if "{totp_" not in value["valuePattern"]:
        raise invalid_resource(f"{path}.valuePattern has no value that rotates.")


def read_moment(value: Json, path: str) -> tuple[datetime, bool]:
    """A DateTime and whether it has an offset; without one it is the local time of the phone."""
    text = value.get("date") or ""
    match = _MOMENT.fullmatch(text)
    try:
        moment = datetime.fromisoformat(text) if match else None
    except ValueError:
        moment = None
    if match is None or moment is None:
        raise invalid_resource(f"{path}.date is not a date and time of ISO 8601.")
    return moment, match[1] is not None


def _moment_with_offset(value: Json, path: str) -> None:
    if not read_moment(value, path)[1]:
        raise invalid_resource(f"{path}.date needs an offset from UTC.")


def _interval(value: Json, path: str) -> None:
    ends = [
        read_moment(value[name], f"{path}.{name}") for name in ("start", "end") if value.get(name)
    ]
    if len({has_offset for _, has_offset in ends}) > 1:
        raise invalid_resource(f"{path}: start and end both need an offset, or neither.")
    if len(ends) == 2 and ends[0][0] > ends[1][0]:
        raise invalid_resource(f"{path} ends before it starts.")


def _text_modules(value: list[Json], path: str) -> None:
    for module in value:
        if "." in (module.get("id") or ""):
            raise invalid_resource(f"{path}: an id may not contain a dot.")


def check_message(message: Json, path: str) -> None:
    """A message has words, and its interval is one."""
    for part, localised in (("header", "localizedHeader"), ("body", "localizedBody")):
        if not message.get(part) and not message.get(localised):
            raise invalid_resource(f"{path} has neither {part} nor {localised}.")
    if message.get("displayInterval"):
        _interval(message["displayInterval"], f"{path}.displayInterval")
    if canonical(message.get("messageType")) == "expirationnotification":
        raise invalid_resource(f"{path}.messageType may not be set to EXPIRATION_NOTIFICATION.")


def _messages(value: list[Json], path: str) -> None:
    if len(value) > MAX_MESSAGES:
        raise invalid_resource(f"{path}: at most {MAX_MESSAGES} messages.")
    for index, message in enumerate(value):
        check_message(message, f"{path}[{index}]")


def _at_most(limit: int) -> Callable[[Any, str], None]:
    def rule(value: list[Any], path: str) -> None:
        if len(value) > limit:
            raise invalid_resource(f"{path}: at most {limit}.")

    return rule


def _places(value: list[Json], path: str) -> None:
    _at_most(MAX_LOCATIONS)(value, path)
    for place in value:
        if not (-90 <= place["latitude"] <= 90 and -180 <= place["longitude"] <= 180):
            raise invalid_resource(f"{path}: this is no place on earth.")


def _ascii(value: str, path: str) -> None:
    if not value.isascii():
        raise invalid_resource(f"{path} must be ASCII.")


def _colour(value: str, path: str) -> None:
    if not _COLOUR.fullmatch(value):
        raise invalid_resource(f"{path} is not a colour such as #ffcc00.")


def _image(value: Json, path: str) -> None:
    _web_address(value["sourceUri"]["uri"], f"{path}.sourceUri.uri")


def _web_address(address: str, path: str) -> None:
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise invalid_resource(f"{path} is not an address on the web.")


def _callback(value: Json, path: str) -> None:
    url = value.get("url")
    if not url:
        return
    _web_address(url, f"{path}.url")
    parts = urlsplit(url)
    # https everywhere but on this machine, where the emulator's callers live.
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise invalid_resource(f"{path}.url must be https.")


_FIELD_RULES: Final[Mapping[str, Callable[[Any, str], None]]] = {
    "loyaltyPoints": _points,
    "secondaryLoyaltyPoints": _points,
    "balance": _money,
    "balanceUpdateTime": _moment_with_offset,
    "barcode": _barcode,
    "rotatingBarcode": _rotating,
    "validTimeInterval": _interval,
    "textModulesData": _text_modules,
    "messages": _messages,
    "merchantLocations": _places,
    "valueAddedModuleData": _at_most(MAX_MODULES),
    "linkedObjectIds": _at_most(MAX_LINKED),
    "smartTapRedemptionValue": _ascii,
    "hexBackgroundColor": _colour,
    "programLogo": _image,
    "wideProgramLogo": _image,
    "heroImage": _image,
    "callbackOptions": _callback,
}


def next_review_status(before: str | None, wanted: object, *, at_once: bool) -> str:
    """The review status of a class after a request that leaves it with `wanted`.

    `before` is None for a new class. Only DRAFT and UNDER_REVIEW can be asked for; a draft that
    was left is left for ever. Answers are Google's older names.
    """
    asked = canonical(wanted)
    if asked not in ("draft", "underreview"):
        raise invalid_resource(
            f"Invalid review status {wanted}: it must be DRAFT or UNDER_REVIEW. An update that"
            " does not name it sends back the one that is kept."
        )
    if asked == "draft":
        if before not in (None, "draft"):
            raise invalid_resource("A class that left DRAFT cannot return to it.")
        return "draft"
    return "approved" if at_once else "underReview"


def check_usable(class_id: str, review_status: str | None) -> None:
    """Objects can be made of the class: drafts and rejected classes have none."""
    if review_status in ("draft", "rejected"):
        raise invalid_resource(
            f"Class {class_id} is {review_status}; objects need an approved one."
        )


def class_not_found(class_id: str) -> ApiError:
    """No such class."""
    return ApiError(404, "classNotFound", f"Class {class_id} not found.")


def object_not_found(object_id: str) -> ApiError:
    """No such object."""
    return ApiError(404, "resourceNotFound", f"Object {object_id} not found.")
