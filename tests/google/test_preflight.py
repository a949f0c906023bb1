"""What is said of a template before Google shows it otherwise than it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.apple.preflight.candidates import candidate, pictures, png
from tests.apple.preflight.test_document import P256
from tests.apple.samples import described
from tests.conftest import NOW
from tests.google.samples import gift
from tests.google.shop import GOOGLE
from tests.passes.shop import DIALECTS, product_template
from walletsvc.google import preflight as linter
from walletsvc.passes import preflight
from walletsvc.passes.findings import Finding, Severity
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.samples import Issuer
from walletsvc.passes.schemas import Description

HEADER = {"key": "points", "label": "points", "value": "{points}", "change": "changed"}


def of(description: Description, **more: Any) -> Candidate:
    return Candidate(description, more.pop("pictures", pictures()), **more)


def told(subject: Candidate, code: str) -> list[Finding]:
    """Google's findings with this code."""
    return [finding for finding in linter.examine(subject) if finding.code == f"google-{code}"]


def placed(subject: Candidate, code: str) -> list[tuple[str, str]]:
    """Where they are, and how grave."""
    return [
        (finding.key or finding.file, finding.severity.value) for finding in told(subject, code)
    ]


def fields(**places: list[dict[str, Any]]) -> Description:
    """The small template with these fields beside its points."""
    return described(fields={"header": [HEADER], **places})


@pytest.mark.parametrize("name", ["loyalty", "gift"])
def test_the_products_templates_are_fit_for_google(name: str) -> None:
    """Notes only: nothing is hidden, nothing refused."""
    subject = preflight.candidate_of(product_template(name))
    found = linter.examine(subject)
    assert found
    assert {finding.severity for finding in found} == {Severity.NOTE}


def test_findings_of_both_wallets_stand_together() -> None:
    """Those of Google only where it is part of the installation."""
    subject = preflight.candidate_of(product_template("loyalty"))
    alone = preflight.examine(subject, DIALECTS, now=NOW)
    both = preflight.examine(subject, [*DIALECTS, GOOGLE], now=NOW)
    assert not any(finding.code.startswith("google-") for finding in alone)
    assert set(alone) < set(both)
    assert all(finding.code.startswith("google-") for finding in set(both) - set(alone))


def test_more_than_ten_texts_are_hidden() -> None:
    """Values on the object, fixed texts on the class: ten each."""
    values = [{"key": f"v{n}", "value": f"{n} {{first_name}}"} for n in range(11)]
    fixed = [{"key": f"t{n}", "text": "terms_text"} for n in range(12)]
    subject = of(fields(back=[*values, *fixed]))
    assert placed(subject, "hidden") == [
        ("fields.back[10]", "warning"),
        ("fields.back[21]", "warning"),
        ("fields.back[22]", "warning"),
    ]


def test_what_google_announces_stands_on_the_face() -> None:
    """A tier on the back is moved."""
    tier = {"key": "tier", "value": "{tier}", "change": "changed"}
    assert placed(of(fields(back=[tier])), "on-face") == [("fields.back[0]", "note")]
    assert placed(of(fields(secondary=[tier])), "on-face") == []


def test_what_does_not_fit_the_face_is_named() -> None:
    """It is among the details then."""
    front = [{"key": f"f{n}", "value": f"{n} {{first_name}}"} for n in range(8)]
    subject = of(
        described(
            fields={
                "header": front[:3],
                "primary": front[3:4],
                "secondary": front[4:],
                "back": [HEADER, {"key": "tier", "value": "{tier}"}],
            }
        )
    )
    assert placed(subject, "in-details") == [("fields.secondary[3]", "note")]


def test_words_that_google_replaces() -> None:
    """Of points and tier the announcement is Google's; others stand in the card as a message."""
    tier = {"key": "tier", "value": "{tier}", "change": "changed"}
    name = {"key": "first", "value": "{first_name}", "change": "changed"}
    subject = of(fields(back=[name, tier]))
    assert placed(subject, "wording") == [
        ("fields.header[0].change", "note"),
        ("fields.back[1].change", "note"),
    ]
    assert placed(subject, "message") == [("fields.back[0].change", "note")]
    assert placed(of(gift()), "message") == [("fields.header[0].change", "note")]


def test_labels() -> None:
    """A gift card's balance has Google's word; points have nine letters."""
    assert placed(of(gift()), "label") == [("fields.header[0].label", "note")]
    assert placed(of(fields()), "label-long") == []
    long = HEADER | {"label": "terms_text"}
    subject = of(described(fields={"header": [long]}))
    assert placed(subject, "label-long") == [("fields.header[0].label", "note")]


def test_a_balance_that_is_shown_twice() -> None:
    """Once is enough for Google."""
    again = {"key": "again", "label": "name", "value": "{balance}"}
    assert placed(of(gift(again)), "once") == [("fields.secondary[0]", "note")]


def test_alignment_is_googles() -> None:
    """By the place in the row."""
    field = {"key": "first", "value": "{first_name}", "align": "right"}
    assert placed(of(fields(secondary=[field])), "align") == [("fields.secondary[0].align", "note")]


def test_colours_of_texts_are_googles() -> None:
    """Black or white."""
    assert placed(of(fields()), "colours") == [("colours.foreground", "note")]


def test_contactless_use_is_not_sent() -> None:
    """Google's terminals are for partners."""
    nfc = {"message": "{card_number}", "encryption_public_key": P256}
    assert placed(of(described(nfc=nfc)), "nfc") == [("nfc", "warning")]
    assert placed(of(described()), "nfc") == []


def test_a_gift_card_that_may_be_shared() -> None:
    """Not in Google Wallet, once somebody has saved it."""
    assert placed(of(gift()), "sharing") == [("sharing_prohibited", "note")]
    assert placed(of(gift(sharing_prohibited=True)), "sharing") == []
    assert placed(of(described()), "sharing") == []


def test_a_card_without_a_logo_is_refused() -> None:
    """The one thing that keeps a template from being published."""
    none = of(described(), pictures={"strip": pictures()["strip"]})
    assert placed(none, "logo-missing") == [("images/icon.png", "error")]
    bare = of(described(), pictures={"icon": pictures()["icon"]})
    assert placed(bare, "logo-missing") == []
    assert placed(bare, "hero-missing") == [("images/strip.png", "note")]


def test_small_images() -> None:
    """They are made larger and look it."""
    small = pictures() | {"strip": {1: png((375, 144))}, "logo": {3: png((300, 150))}}
    subject = of(described(), pictures=small)
    assert placed(subject, "image-small") == [("images/strip.png", "warning")]


def test_long_names_are_shortened() -> None:
    """The text beside the logo, or the programme's name, or a gift card's shop."""
    text = "Очень длинное имя кофейни"
    texts = {lang: {**said, "shop": text} for lang, said in described().texts.items()}
    subject = of(described(texts=texts))
    assert [finding.path for finding in told(subject, "name-long")] == [
        "texts.ru.shop",
        "texts.en.shop",
    ]
    plain = candidate()
    shop = Issuer(programme=text)
    assert told(plain, "name-long") == []
    assert placed(replace(plain, issuer=shop), "name-long") == [("logo_text", "note")]
    assert (
        told(replace(plain, issuer=Issuer(organisation=text, programme="Клуб")), "name-long") == []
    )


def test_barcodes() -> None:
    """One format for all phones; letters beyond ASCII in a QR code only."""
    several = described(barcode={"formats": ["aztec", "qr"], "message": "{card_number}"})
    assert placed(of(several), "barcode") == [("barcode.formats", "note")]
    assert placed(of(described()), "barcode") == []
    name = {"formats": ["aztec"], "message": "{card_number} {first_name}"}
    assert placed(of(described(barcode=name)), "barcode-letters") == [
        ("barcode.message", "warning")
    ]
    assert placed(of(described(barcode=name | {"formats": ["qr"]})), "barcode-letters") == []
