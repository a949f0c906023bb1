"""wallet-py3k's pass, extended for what it lacks.

The library knows styles, places of fields and the mandatory keys; it knows no `barcodes`
array, no sharing switch, no contactless part, no options per field but a few it always writes,
spells the expiry date so that nobody finds it, and signs by starting a program per pass.
Attribute names here are Apple's, as the library's are.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import orjson
from wallet.models import Barcode, Field, Pass, StoreCard

from walletsvc.passes.schemas import BarcodeFormat

_SYMBOLOGY: Final = {
    BarcodeFormat.QR: "PKBarcodeFormatQR",
    BarcodeFormat.AZTEC: "PKBarcodeFormatAztec",
    BarcodeFormat.PDF417: "PKBarcodeFormatPDF417",
    BarcodeFormat.CODE128: "PKBarcodeFormatCode128",
}
# What the single `barcode` key of iOS 8 and before can show.
_BEFORE_IOS_9: Final = frozenset(
    _SYMBOLOGY[known] for known in (BarcodeFormat.QR, BarcodeFormat.AZTEC, BarcodeFormat.PDF417)
)


class WalletField(Field):  # type: ignore[misc]  # the library is untyped
    """A field that has only the attributes it was given; `options` are Apple's by their names.

    As in the library, `json_dict()` is what the instance holds.
    """

    def __init__(self, key: str, value: Any, label: str = "", **options: Any) -> None:
        # The library's own constructor adds an empty change message and an alignment, which
        # are noise at best and forbidden on some places.
        self.key = key
        self.value = value
        if label:
            self.label = label
        self.__dict__.update(options)


class WalletBarcode(Barcode):  # type: ignore[misc]  # the library is untyped
    """A barcode whose encoding suits its message."""

    def __init__(self, message: str, symbology: BarcodeFormat, alt: str = "") -> None:
        super().__init__(message, _SYMBOLOGY[symbology], alt)
        if not alt:
            del self.altText
        try:
            # Scanners expect Latin-1 unless the code says otherwise, so it is preferred.
            message.encode("iso-8859-1")
        except UnicodeEncodeError:
            self.messageEncoding = "utf-8"


class WalletPass(Pass):  # type: ignore[misc]  # the library is untyped
    """One pass; `json_dict()` is its pass.json."""

    def __init__(self, passInformation: Any, **required: str) -> None:  # noqa: N803
        super().__init__(passInformation, **required)
        self.barcodes: list[WalletBarcode] = []
        self.sharingProhibited = False
        self.expirationDate: str | None = None
        self.nfc: dict[str, Any] | None = None

    def json_dict(self) -> dict[str, Any]:
        """The library's document, with what the library lacks."""
        # The misspelt attribute is the one the library reads.
        self.exprirationDate = self.expirationDate
        self.barcode = next((b for b in self.barcodes if b.format in _BEFORE_IOS_9), None)
        document: dict[str, Any] = super().json_dict()
        if self.barcodes:
            document["barcodes"] = [barcode.json_dict() for barcode in self.barcodes]
        if self.sharingProhibited:
            document["sharingProhibited"] = True
        if self.nfc:
            document["nfc"] = self.nfc
        return document

    def encode(self) -> bytes:
        """pass.json: UTF-8, nothing escaped that need not be."""
        return orjson.dumps(self.json_dict())

    def create(self, *_: Any, **__: Any) -> NoReturn:
        """Not to be used: the library starts openssl for each pass, with the key's password
        in the process list. Packages come from `walletsvc.apple.package.build`."""
        raise NotImplementedError("packages are built by walletsvc.apple.package.build")


def apple_moment(moment: datetime) -> str:
    """A moment as Wallet reads it: whole seconds, and the zone as `Z` or `±HH:MM`."""
    text = moment.isoformat(timespec="seconds")
    return text[:-6] + "Z" if moment.utcoffset() == UTC.utcoffset(None) else text


__all__ = ["StoreCard", "WalletBarcode", "WalletField", "WalletPass", "apple_moment"]
