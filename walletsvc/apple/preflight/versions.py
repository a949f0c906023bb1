"""What only some phones know: keys and formats by the iOS version that brought or retired them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from walletsvc.passes.findings import BUILT, Finding, error, note, warning

OLDEST_BARCODES: Final = ("PKBarcodeFormatQR", "PKBarcodeFormatPDF417", "PKBarcodeFormatAztec")
_OLD_BARCODES: Final = (*OLDEST_BARCODES, "PKBarcodeFormatCode128")
_NEW_BARCODES: Final = (
    "PKBarcodeFormatCode39",
    "PKBarcodeFormatCodabar",
    "PKBarcodeFormatEAN13",
    "PKBarcodeFormatI2of5",
)
BARCODES: Final = (*_OLD_BARCODES, *_NEW_BARCODES)

BEFORE_18: Final = "before iOS 18"
BEFORE_27: Final = "before iOS 27"
FROM_18: Final = "iOS 18 and later"
FROM_27: Final = "iOS 27 and later"
_MOST_ACTIONS: Final = 2


def findings(document: dict[str, Any]) -> Iterator[Finding]:
    """Warnings per iOS version, for what this pass really uses."""
    yield from _barcodes(document)
    yield from _poster(document)
    if "relevantDate" in document:
        text = "is deprecated; give relevantDates beside it"
        yield note("ios-relevant-date", BUILT, "relevantDate", text, FROM_18)
    if "relevantDates" in document and "relevantDate" not in document:
        text = "is not known; give relevantDate beside it"
        yield note("ios-relevant-date", BUILT, "relevantDates", text, BEFORE_18)
    for style, groups in document.items():
        if isinstance(groups, dict) and groups.get("additionalInfoFields"):
            text = "are not shown; repeat what matters on the back"
            where = f"{style}.additionalInfoFields"
            yield warning("ios-additional-info", BUILT, where, text, BEFORE_18)
    if "featuredActions" in document:
        text = "are not shown"
        yield note("ios-actions", BUILT, "featuredActions", text, BEFORE_27)
        if len(document["featuredActions"]) > _MOST_ACTIONS:
            text = f"has more than {_MOST_ACTIONS} entries; the rest is hidden"
            yield warning("hidden-fields", BUILT, "featuredActions", text, FROM_27)


def _barcodes(document: dict[str, Any]) -> Iterator[Finding]:
    formats = [b.get("format") for b in document.get("barcodes", []) if isinstance(b, dict)]
    if formats and set(formats) <= set(_NEW_BARCODES):
        text = "has no format that these phones can show; add an old one at the end"
        yield error("ios-barcode", BUILT, "barcodes", text, BEFORE_27)


def _poster(document: dict[str, Any]) -> Iterator[Finding]:
    if "posterGeneric" not in document:
        return
    if not {"storeCard", "coupon", "generic", "eventTicket", "boardingPass"} & set(document):
        text = "stands alone: these phones cannot install the pass; add an older style beside it"
        yield error("ios-poster", BUILT, "posterGeneric", text, BEFORE_27)
