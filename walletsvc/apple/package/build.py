"""From a neutral description and one pass's content to a signed .pkpass.

What does not depend on the pass is prepared once per template version: hashes, packed
images and texts, field options. Per pass remain pass.json, the manifest's last line, one
signature and a copy of the prepared archive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from walletsvc.apple.package.archive import PreparedArchive, appended, complete, prepare_archive
from walletsvc.apple.package.model import (
    StoreCard,
    WalletBarcode,
    WalletField,
    WalletPass,
    apple_moment,
)
from walletsvc.apple.package.texts import Texts, localise
from walletsvc.apple.signing import Signer
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes import placeholders
from walletsvc.passes.schemas import (
    PLACEHOLDER,
    Align,
    BarcodeFormat,
    Content,
    DateLook,
    Description,
    FieldSpec,
    Nfc,
    Style,
)

# Each neutral style's name at Apple; both are cards of a shop.
_STYLES: Final = {Style.LOYALTY: StoreCard, Style.GIFT: StoreCard}
_ALIGNMENT: Final = {
    Align.LEFT: "PKTextAlignmentLeft",
    Align.CENTER: "PKTextAlignmentCenter",
    Align.RIGHT: "PKTextAlignmentRight",
}
_PLACES: Final = {
    "header": "headerFields",
    "primary": "primaryFields",
    "secondary": "secondaryFields",
    "auxiliary": "auxiliaryFields",
    "back": "backFields",
}
_PASS_JSON: Final = appended(b"pass.json")
_MANIFEST: Final = appended(b"manifest.json")
_SIGNATURE: Final = appended(b"signature")
_SUFFIX: Final = {1: "", 2: "@2x", 3: "@3x"}
# Contact details of the shop: the only values in which Wallet may look for something to tap.
_CONTACTS: Final = frozenset({"support_phone", "website", "terms_url"})
_TIME_SHOWN: Final = {DateLook.DATE: "PKDateStyleNone", DateLook.DATE_TIME: "PKDateStyleShort"}


@dataclass(frozen=True)
class PassIdentity:
    """Who a package is for and who it comes from.

    `nfc` tells whether the signing certificate covers contactless passes. Without it the part
    for terminals is left out: Wallet refuses the whole pass otherwise.
    """

    serial: str
    auth_token: str
    web_service_url: str
    pass_type_identifier: str
    team_identifier: str
    nfc: bool = False

    @property
    def public_url(self) -> str:
        """Where the installation's pages are."""
        return self.web_service_url.removesuffix("/apple")


@dataclass(frozen=True)
class _FieldPlan:
    """A field without its value; `fixed` is a field that always says the same, whole."""

    key: str
    label: str
    fixed: WalletField | None
    is_moment: bool
    is_link: bool
    look: DateLook
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """All of a template version's packages that does not depend on the pass."""

    style: type[Any]
    description: str
    logo_text: str
    colours: Mapping[str, str]
    barcode_formats: tuple[BarcodeFormat, ...]
    sharing_prohibited: bool
    nfc: Mapping[str, Any] | None
    places: Mapping[str, tuple[_FieldPlan, ...]]
    archive: PreparedArchive
    manifest: bytes


def image_path(kind: str, density: int) -> str:
    """The path of an image in a package: `icon@2x.png`."""
    return f"{kind}{_SUFFIX[density]}.png"


def prepare(
    description: Description, images: Mapping[str, bytes], default_language: str = "ru"
) -> Prepared:
    """Do once what all passes of a template version share.

    `images` are PNGs by their paths in the package (`icon@2x.png`). `default_language` is
    what phones in a third language see. Raises ConfigurationError without an icon: Wallet
    refuses such packages.
    """
    if "icon.png" not in images:
        raise ConfigurationError("The template has no icon; Wallet refuses passes without one.")
    texts = localise(description, default_language)
    files = {**dict(sorted(images.items())), **texts.files}
    hashes = {path: _sha1(data) for path, data in files.items()}
    look = description.colours
    return Prepared(
        style=_STYLES[description.style],
        description=texts.root[description.description],
        logo_text=texts.root[description.logo_text] if description.logo_text else "",
        colours={
            "backgroundColor": _rgb(look.background),
            "foregroundColor": _rgb(look.foreground),
            "labelColor": _rgb(look.label),
        },
        barcode_formats=tuple(description.barcode.formats),
        sharing_prohibited=description.sharing_prohibited,
        nfc=_nfc(description.nfc),
        places={
            apple: tuple(
                _plan(description.style, spec, place, texts)
                for spec in getattr(description.fields, place)
            )
            for place, apple in _PLACES.items()
        },
        archive=prepare_archive(files),
        # pass.json is hashed last, so that all before it is ready.
        manifest=orjson.dumps(hashes)[:-1] + b',"pass.json":"',
    )


def build(
    prepared: Prepared,
    signer: Signer,
    identity: PassIdentity,
    content: Mapping[str, Any] | Content,
) -> bytes:
    """One signed package. `content` is `Content` or its JSON form, as it is stored."""
    values = content.as_json() if isinstance(content, Content) else content
    document = compose(prepared, identity, values).encode()
    manifest = b'%b%b"}' % (prepared.manifest, _sha1(document).encode())
    return complete(
        prepared.archive,
        (
            (_PASS_JSON, document),
            (_MANIFEST, manifest),
            (_SIGNATURE, signer.sign(manifest)),
        ),
    )


def compose(prepared: Prepared, identity: PassIdentity, content: Mapping[str, Any]) -> WalletPass:
    """The pass itself: the library's model, filled in."""
    information = prepared.style()
    values = content["values"]
    for place, plans in prepared.places.items():
        base = identity.public_url
        found = [field for plan in plans if (field := _field(plan, values, base)) is not None]
        setattr(information, place, found)
    wallet_pass = WalletPass(
        information,
        passTypeIdentifier=identity.pass_type_identifier,
        organizationName=content["organisation"],
        teamIdentifier=identity.team_identifier,
    )
    wallet_pass.serialNumber = identity.serial
    wallet_pass.authenticationToken = identity.auth_token
    wallet_pass.webServiceURL = identity.web_service_url
    wallet_pass.description = prepared.description
    wallet_pass.logoText = prepared.logo_text
    wallet_pass.__dict__.update(prepared.colours)
    wallet_pass.suppressStripShine = True
    wallet_pass.sharingProhibited = prepared.sharing_prohibited
    wallet_pass.voided = content.get("voided", False)
    expires_at = content.get("expires_at")
    if expires_at is not None:
        wallet_pass.expirationDate = apple_moment(datetime.fromisoformat(expires_at))
    if generation := content.get("generation"):
        # Wallet shows it nowhere. Without a difference in the document a phone calls the pass
        # unchanged and keeps the one with the former signature.
        wallet_pass.userInfo = {"generation": generation}
    message, alt = content["barcode"], content.get("barcode_alt", "")
    if message:
        wallet_pass.barcodes = [
            WalletBarcode(message, symbology, alt) for symbology in prepared.barcode_formats
        ]
    if prepared.nfc and identity.nfc and (told := content.get("nfc")):
        wallet_pass.nfc = {"message": told, **prepared.nfc}
    return wallet_pass


def _nfc(nfc: Nfc | None) -> Mapping[str, Any] | None:
    if nfc is None:
        return None
    key = {"encryptionPublicKey": nfc.encryption_public_key}
    return {**key, "requiresAuthentication": True} if nfc.requires_authentication else key


def _plan(style: Style, spec: FieldSpec, place: str, texts: Texts) -> _FieldPlan:
    options: dict[str, Any] = {}
    if spec.change is not None:
        options["changeMessage"] = texts.root[spec.change]
    # Wallet has no alignment on these two places.
    if spec.align in _ALIGNMENT and place not in ("primary", "back"):
        options["textAlignment"] = _ALIGNMENT[spec.align]
    if place == "back" and set(PLACEHOLDER.findall(spec.value or "")) - _CONTACTS:
        # A card number is no phone number, and a customer's name no link to follow.
        options["dataDetectorTypes"] = []
    label = texts.root[spec.label] if spec.label else ""
    return _FieldPlan(
        key=spec.key,
        label=label,
        fixed=WalletField(spec.key, texts.root[spec.text], label, **options) if spec.text else None,
        is_moment=placeholders.kind(style, spec) is placeholders.Kind.DATE,
        is_link=placeholders.kind(style, spec) is placeholders.Kind.LINK,
        look=spec.date,
        options=options,
    )


def _field(plan: _FieldPlan, values: Mapping[str, Any], base: str) -> WalletField | None:
    """The field with its value, or None when it has nothing to say; `base` is put before links."""
    if plan.fixed is not None:
        return plan.fixed
    value = values.get(plan.key)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if plan.is_moment:
            return _moment_field(plan, datetime.fromisoformat(value))
        if plan.is_link:
            value = f"{base}{value}"
        return WalletField(plan.key, value, plan.label, **plan.options)
    if isinstance(value, dict):
        number = _units(value["amount"], value.get("scale", 2))
        return WalletField(
            plan.key, number, plan.label, **plan.options, currencyCode=value["currency"]
        )
    return WalletField(
        plan.key, value, plan.label, **plan.options, numberStyle="PKNumberStyleDecimal"
    )


def _moment_field(plan: _FieldPlan, moment: datetime) -> WalletField:
    options: dict[str, Any] = {
        "dateStyle": "PKDateStyleMedium",
        "timeStyle": _TIME_SHOWN[plan.look],
    }
    # A day comes in the shop's zone and is a day of its calendar wherever the phone travels;
    # an hour is shown as the phone's clock will tell it.
    if plan.look is DateLook.DATE:
        options["ignoresTimeZone"] = True
    return WalletField(plan.key, apple_moment(moment), plan.label, **plan.options, **options)


def _units(amount: int, scale: int) -> int | float:
    """Minor units as the number Wallet formats. Dividing two integers rounds once and
    correctly, so the shortest form of the result is the exact decimal (to 15 digits)."""
    unit = int(10**scale)
    return amount / unit if amount % unit else amount // unit


def _rgb(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgb({red}, {green}, {blue})"


def _sha1(data: bytes) -> str:
    # The manifest's algorithm is Apple's choice; the signature over it is SHA-256.
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
