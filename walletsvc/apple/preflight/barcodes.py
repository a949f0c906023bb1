"""Barcodes: what a symbology can hold, what scanners manage, and what a watch can show."""

from __future__ import annotations

from typing import Final

from walletsvc.passes.findings import LAYOUT, Finding, error, warning
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.schemas import BarcodeFormat

# Bytes a symbology can hold at all (ISO/IEC 18004, 24778, 15438), and what a till scanner still
# reads off a phone at arm's length. Code 128 has no limit but the width of the screen.
MOST_BYTES: Final = {
    BarcodeFormat.QR: 2953,
    BarcodeFormat.AZTEC: 1914,
    BarcodeFormat.PDF417: 1108,
    BarcodeFormat.CODE128: 80,
}
GOOD_BYTES: Final = {
    BarcodeFormat.QR: 250,
    BarcodeFormat.AZTEC: 250,
    BarcodeFormat.PDF417: 150,
    BarcodeFormat.CODE128: 24,
}


def findings(candidate: Candidate) -> list[Finding]:
    """What keeps a till from reading the code of a card."""
    formats = candidate.description.barcode.formats
    messages = [str(sample.content["barcode"]) for sample in candidate.samples]
    found = []
    if set(formats) == {BarcodeFormat.CODE128}:
        text = 'a watch cannot show Code 128; add another format after it, "qr" for example'
        found.append(warning("barcode-watch", LAYOUT, "barcode.formats", text))
    if len(set(formats)) < len(formats):
        text = "names a format twice; only the first counts"
        found.append(warning("barcode-twice", LAYOUT, "barcode.formats", text))
    for symbology in dict.fromkeys(formats):
        found += _fit(symbology, messages)
    if any(not _is_latin(message) for message in messages):
        text = (
            "holds letters outside ISO 8859-1, which many scanners misread;"
            " let it hold numbers and Latin letters only"
        )
        found.append(warning("barcode-encoding", LAYOUT, "barcode.message", text))
    return found


def _fit(symbology: BarcodeFormat, messages: list[str]) -> list[Finding]:
    if symbology is BarcodeFormat.CODE128 and not all(message.isascii() for message in messages):
        text = "holds letters that Code 128 does not have; it takes ASCII only"
        return [error("barcode-letters", LAYOUT, "barcode.message", text)]
    longest = max(len(message.encode()) for message in messages)
    if longest > MOST_BYTES[symbology]:
        text = f"is up to {longest} bytes long; {symbology} holds {MOST_BYTES[symbology]}"
        return [error("barcode-length", LAYOUT, "barcode.message", text)]
    if longest > GOOD_BYTES[symbology]:
        text = (
            f"is up to {longest} bytes long, which makes a {symbology} code too fine for many"
            f" scanners; keep it within {GOOD_BYTES[symbology]}"
        )
        return [warning("barcode-length", LAYOUT, "barcode.message", text)]
    return []


def _is_latin(message: str) -> bool:
    try:
        message.encode("iso-8859-1")
    except UnicodeEncodeError:
        return False
    return True
