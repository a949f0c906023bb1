"""Images, colours, names, barcode and contactless use."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Final

from PIL import Image

from walletsvc.google.pictures import SIZES, SOURCES, made_of
from walletsvc.google.rendering.layout import Layout
from walletsvc.google.rendering.objects import BARCODES, ROTATING
from walletsvc.passes.findings import LAYOUT, Finding, error, image_file, note, texts_file, warning
from walletsvc.passes.images import KINDS
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.samples import Issuer
from walletsvc.passes.schemas import BarcodeFormat, Style
from walletsvc.programmes.models import CodePolicy

# Names that are longer are shortened on the card.
NAME: Final = 20
_LONG: Final = f"is shortened to about {NAME} letters in Google Wallet"


def findings(candidate: Candidate, layout: Layout) -> Iterator[Finding]:
    """What becomes of everything but the fields."""
    described = candidate.description
    yield from _images(candidate)
    yield from _names(candidate)
    yield from _barcode(candidate)
    text = "is not used by Google Wallet, which sets text in black or white, as the background asks"
    yield note("google-colours", LAYOUT, "colours.foreground", text)
    if described.nfc is not None:
        text = (
            "is not sent to Google Wallet: terminals take its cards only from partners of Google;"
            " the barcode works there"
        )
        yield warning("google-nfc", LAYOUT, "nfc", text)
    if layout.description.style is Style.GIFT and not described.sharing_prohibited:
        text = (
            "has no effect in Google Wallet: of a gift card whoever saves it first is the holder,"
            " so that one balance is not in two hands"
        )
        yield note("google-sharing", LAYOUT, "sharing_prohibited", text)


def _images(candidate: Candidate) -> Iterator[Finding]:
    present = candidate.pictures
    if made_of("logo", present) is None:
        text = "is missing, and so is a logo; Google refuses cards without either"
        yield error("google-logo-missing", image_file("icon"), "", text)
    for kind in SIZES:
        source = made_of(kind, present)
        if source is None:
            if kind == "hero":
                text = "is missing; in Google Wallet the card has no picture then"
                yield note("google-hero-missing", image_file(SOURCES[kind][0]), "", text)
            continue
        if fault := _too_small(source, present[source][max(present[source])]):
            yield warning("google-image-small", image_file(source), "", fault)


def _too_small(kind: str, png: bytes) -> str | None:
    """Whether a picture has far fewer pixels than a source must have; it is made larger."""
    with Image.open(BytesIO(png)) as picture:
        across, down = picture.size
    wanted = KINDS[kind].source
    # One side may be shorter where the source has to fit in only.
    if across < wanted[0] and down < wanted[1]:
        return f"is {across}x{down} and looks blurred in Google Wallet; publish it with more pixels"
    return None


def _names(candidate: Candidate) -> Iterator[Finding]:
    described, issuer = candidate.description, candidate.issuer
    if described.logo_text is not None:
        for language, texts in described.texts.items():
            if len(texts[described.logo_text]) > NAME:
                yield note("google-name-long", texts_file(language), described.logo_text, _LONG)
        return
    name = issuer.organisation if described.style is Style.GIFT else issuer.programme
    # The name of a shop that was only made up is nobody's concern.
    if issuer != Issuer() and len(name) > NAME:
        yield note("google-name-long", LAYOUT, "logo_text", f"'{name}' {_LONG}; a logo_text helps")


def _barcode(candidate: Candidate) -> Iterator[Finding]:
    first, *others = candidate.description.barcode.formats
    if others:
        text = f"Google Wallet shows the first of the formats, {first.value}, on every phone"
        yield note("google-barcode", LAYOUT, "barcode.formats", text)
    if (
        candidate.issuer.code_policy is not CodePolicy.STATIC
        and BARCODES[first] not in ROTATING
        and candidate.description.style is not Style.GIFT
    ):
        text = (
            f"Google Wallet cannot show codes of the moment as {first.value}: the card shows a QR"
            " code there"
        )
        yield note("google-barcode-rotating", LAYOUT, "barcode.formats", text)
    messages = [sample.content["barcode"] for sample in candidate.samples]
    if first is not BarcodeFormat.QR and not all(message.isascii() for message in messages):
        text = f"holds letters beyond ASCII, which Google Wallet cannot put into {first.value}"
        yield warning("google-barcode-letters", LAYOUT, "barcode.message", text)
