"""Each of Wallet's limits on a template from both sides: it is told, and silence otherwise."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from tests.apple.preflight.candidates import (
    candidate,
    examined,
    fields,
    pictures,
    png,
    texts,
    told,
)
from tests.passes.shop import product_template
from walletsvc.passes import preflight
from walletsvc.passes.findings import Severity
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.samples import Issuer

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
CREAM = (250, 240, 220)


def field(key: str, value: str, **more: str) -> dict[str, Any]:
    return {"key": key, "label": "name", "value": value, **more}


def without(images: dict[str, dict[int, bytes]], kind: str, *densities: int) -> Any:
    kept = {d: png for d, png in images[kind].items() if densities and d not in densities}
    return {**images, kind: kept}


def half_bright(where: str) -> dict[str, dict[int, bytes]]:
    """A strip that is as light as the text on one half."""
    made = pictures()
    picture = Image.open(io.BytesIO(made["strip"][3])).convert("RGB")
    left = 0 if where == "left" else picture.width // 2
    picture.paste((255, 255, 255), (left, 0, left + picture.width // 2, picture.height))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return {**made, "strip": {**made["strip"], 3: out.getvalue()}}


@dataclass(frozen=True)
class Case:
    """A limit: what breaks it, what just keeps it."""

    code: str
    severity: Severity
    path: str
    bad: Candidate
    good: Candidate


LONG = "Специальное предложение для постоянных покупателей"
POINTS = field("points", "{points}", change="changed")


def balance(*places: str) -> dict[str, Any]:
    """The balance at these places."""
    return {"fields": {p: [field(f"points{n}", "{points}")] for n, p in enumerate(places)}}


CASES = [
    Case(
        "balance-on-back",
        W,
        "fields.back[0]",
        candidate(**balance("back")),
        candidate(**balance("back", "header")),
    ),
    Case(
        "balance-in-strip",
        W,
        "fields.primary[0]",
        candidate(**balance("primary", "back")),
        candidate(**balance("primary", "secondary")),
    ),
    Case(
        "balance-stacked",
        N,
        "fields.secondary[0]",
        candidate(**balance("secondary")),
        candidate(**balance("secondary", "header")),
    ),
    Case(
        "strip-only",
        N,
        "fields.primary[0]",
        candidate(**fields(primary=[field("name", "{first_name}")])),
        candidate(
            **fields(
                primary=[field("name", "{first_name}")], back=[field("holder", "{holder_name}")]
            )
        ),
    ),
    Case(
        "link-on-front",
        N,
        "fields.secondary[0]",
        candidate(**fields(secondary=[field("phone", "{support_phone}")])),
        candidate(**fields(back=[field("phone", "{support_phone}")])),
    ),
    Case(
        "link-insecure",
        W,
        "texts.ru.terms_text",
        candidate(**texts(terms_text="http://shop.example")),
        candidate(**texts(terms_text="https://shop.example")),
    ),
    Case("sharing", N, "sharing_prohibited", candidate(sharing_prohibited=False), candidate()),
    Case(
        "header-crowded",
        W,
        "fields.header",
        candidate(
            **fields(header=[POINTS, field("a", "{card_number}"), field("b", "{member_since}")])
        ),
        candidate(
            pictures() | {"logo": {}},
            **fields(header=[POINTS, field("b", "{member_since}")]),
        ),
    ),
    Case(
        "text-cut",
        W,
        "fields.secondary",
        candidate(
            **fields(
                secondary=[field("a", "{card_number}"), field("b", "{member_since}")],
                auxiliary=[field("c", "{programme} {organisation}")],
            )
        ),
        candidate(**fields(secondary=[field("a", "{card_number}"), field("b", "{member_since}")])),
    ),
    Case(
        "text-cut",
        W,
        "fields.primary",
        candidate(**fields(primary=[field("a", "{organisation}, {programme}")])),
        candidate(**fields(primary=[field("a", "{first_name}")])),
    ),
    Case(
        "text-cut",
        W,
        "fields.secondary",
        candidate(**texts(name=LONG)),
        candidate(**texts(name="Имя владельца")),
    ),
    Case(
        "logo-text-cut",
        W,
        "texts.ru.shop",
        candidate(logo_text="shop", **texts(shop=LONG)),
        candidate(logo_text="shop", **texts(shop="Заря")),
    ),
    Case(
        "alt-cut",
        W,
        "barcode.alt",
        candidate(
            barcode={"formats": ["qr"], "message": "{card_number}", "alt": LONG + " {card_number}"}
        ),
        candidate(barcode={"formats": ["qr"], "message": "{card_number}", "alt": "{card_number}"}),
    ),
    Case("icon-missing", E, "images.icon", candidate(without(pictures(), "icon")), candidate()),
    Case(
        "density-missing",
        E,
        "images.icon",
        candidate(without(pictures(), "icon", 1)),
        candidate(),
    ),
    Case(
        "density-missing",
        W,
        "images.strip",
        candidate(without(pictures(), "strip", 2)),
        candidate(without(pictures(), "strip")),  # a template without a strip misses none
    ),
    Case(
        "image-size",
        W,
        "images.icon",
        candidate(pictures() | {"icon": {d: png((29 * d, 29 * d)) for d in (1, 2, 3)}}),
        candidate(),
    ),
    Case(
        "icon-transparent",
        W,
        "images.icon",
        candidate(pictures(icon=(10, 20, 30, 250))),
        candidate(pictures(icon=(10, 20, 30, 255))),
    ),
    Case(
        "strip-contrast",
        W,
        "colours.foreground",
        candidate(pictures(strip=CREAM), **fields(primary=[field("a", "{first_name}")])),
        candidate(pictures(strip=CREAM)),  # nothing stands on it
    ),
    Case(
        "strip-collision",
        W,
        "fields.primary[0]",
        candidate(half_bright("right"), **fields(primary=[field("a", "{card_number}")])),
        candidate(half_bright("right"), **fields(primary=[field("a", "{points}")])),
    ),
    Case(
        "barcode-watch",
        W,
        "barcode.formats",
        candidate(barcode={"formats": ["code128"], "message": "{card_number}"}),
        candidate(barcode={"formats": ["code128", "qr"], "message": "{card_number}"}),
    ),
    Case(
        "barcode-twice",
        W,
        "barcode.formats",
        candidate(barcode={"formats": ["qr", "qr"], "message": "{card_number}"}),
        candidate(barcode={"formats": ["qr", "aztec"], "message": "{card_number}"}),
    ),
    Case(
        "barcode-encoding",
        W,
        "barcode.message",
        candidate(barcode={"formats": ["qr"], "message": "Карта {card_number}"}),
        candidate(barcode={"formats": ["qr"], "message": "Café {card_number}"}),
    ),
    Case(
        "barcode-letters",
        E,
        "barcode.message",
        candidate(barcode={"formats": ["code128", "qr"], "message": "é{card_number}"}),
        candidate(barcode={"formats": ["code128", "qr"], "message": "e{card_number}"}),
    ),
    Case(
        "barcode-length",
        W,
        "barcode.message",
        candidate(barcode={"formats": ["qr"], "message": "x" * 250 + "{card_number}"}),
        candidate(barcode={"formats": ["qr"], "message": "x" * 234 + "{card_number}"}),
    ),
    Case(
        "barcode-length",
        E,
        "barcode.message",
        candidate(barcode={"formats": ["pdf417"], "message": "x" * 1100 + "{card_number}"}),
        candidate(barcode={"formats": ["pdf417"], "message": "x" * 1000 + "{card_number}"}),
    ),
    Case(
        "currency",
        E,
        "pass.json.storeCard.primaryFields[0].currencyCode",
        candidate(
            issuer=Issuer(currency="RUX"),
            style="gift",
            fields={"primary": [field("a", "{balance}")], "header": [field("b", "{balance}")]},
            barcode={"formats": ["qr"], "message": "{code}"},
        ),
        candidate(
            issuer=Issuer(currency="EUR"),
            style="gift",
            fields={"primary": [field("a", "{balance}")], "header": [field("b", "{balance}")]},
            barcode={"formats": ["qr"], "message": "{code}"},
        ),
    ),
    Case(
        "change-value",
        E,
        "pass.json.storeCard.headerFields[0].changeMessage",
        candidate(**texts(changed="%@, %@")),
        candidate(**texts(changed="%@")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code} {case.path}")
def test_each_limit_from_both_sides(case: Case) -> None:
    """What breaks it is told at its place with its severity; what keeps it is not."""
    found = told(examined(case.bad), case.code)
    assert (case.severity, case.path) in [(f.severity, f.path) for f in found], found
    kept = [(f.severity, f.path) for f in told(examined(case.good), case.code)]
    assert (case.severity, case.path) not in kept


@pytest.mark.parametrize("name", ["loyalty", "gift"])
def test_the_products_own_templates_have_nothing_to_mend(name: str) -> None:
    """No errors and no warnings: a linter that cries wolf is switched off."""
    found = examined(preflight.candidate_of(product_template(name)))
    assert [f.told() for f in found if f.severity is not Severity.NOTE] == []


def test_the_address_of_the_service_must_be_safe() -> None:
    """Phones ask over https; plain http only serves this machine."""
    assert examined(candidate(), "http://127.0.0.1:8000") == []
    (found,) = examined(candidate(), "http://cards.example")
    assert (found.code, found.severity) == ("pass-service", Severity.ERROR)
    assert "WALLETSVC_PUBLIC_URL" in found.message


def test_what_only_narrow_screens_cut_is_a_note() -> None:
    """It names the phones, and is a warning no longer."""
    row = [field("a", "{card_number} {card_number}"), field("b", "{points}")]
    (found,) = told(examined(candidate(**fields(secondary=row))), "text-cut")
    assert found.severity is Severity.NOTE
    assert "320 points" in found.versions


def test_long_names_are_worth_a_note_only() -> None:
    """Nobody can shorten the customers' names."""
    row = [field("a", "{points}"), field("b", "{first_name}")]
    assert told(examined(candidate(**fields(secondary=row))), "name-cut") == []
    row = [field("a", "{points}"), field("b", "{holder_name}")]
    found = told(examined(candidate(**fields(secondary=row))), "name-cut")
    assert [f.severity for f in found] == [Severity.NOTE]


def test_a_heavy_package_is_told() -> None:
    """It travels to every phone at every change."""
    out = io.BytesIO()
    Image.merge("RGB", [Image.effect_noise((1125, 432), 90) for _ in "rgb"]).save(out, "PNG")
    heavy = pictures() | {"strip": {**pictures()["strip"], 3: out.getvalue()}}
    found = told(examined(candidate(heavy)), "package-heavy")
    assert [f.severity for f in found] == [Severity.WARNING]
    assert told(examined(candidate()), "package-heavy") == []
