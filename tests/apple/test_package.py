"""Packages: what is in pass.json, in the texts, in the archive, and that it all verifies."""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import wallet.models
from hypothesis import given
from hypothesis import strategies as st

from tests.apple.material import PASS_TYPE, TEAM, chain, document, unpack, verified
from walletsvc.apple.package import PassIdentity, Prepared, WalletPass, build, compose, prepare
from walletsvc.apple.package.model import WalletBarcode, apple_moment
from walletsvc.core.errors import ConfigurationError
from walletsvc.core.money import MAX_AMOUNT, decimal_text
from walletsvc.passes import images, templates
from walletsvc.passes.schemas import BarcodeFormat, Content, Description

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = PassIdentity(
    serial="0123456789abcdefghjk",
    auth_token="token-of-32-characters-0123456789",
    web_service_url="https://cards.example.com/apple",
    pass_type_identifier=PASS_TYPE,
    team_identifier=TEAM,
)
IMAGES = {"icon@2x.png": b"\x89PNG 2", "icon.png": b"\x89PNG 1"}
CONTENT: dict[str, Any] = {
    "values": {"points": 1250, "name": "Мария Ёлкина-Щукина"},
    "barcode": "7000123412341234",
    "organisation": "Кофейня «Заря»",
}


def described(**changes: Any) -> Description:
    """A small description in two languages, with some parts replaced."""
    parts: dict[str, Any] = {
        "style": "loyalty",
        "description": "about",
        "logo_text": "shop",
        "colours": {"background": "#0a141e", "foreground": "#ffffff", "label": "#c8d2dc"},
        "fields": {
            "header": [
                {"key": "points", "label": "points", "value": "{points}", "change": "changed"}
            ],
            "secondary": [{"key": "name", "label": "name", "value": "{holder_name}"}],
            "back": [{"key": "terms", "label": "terms", "text": "terms_text"}],
        },
        "barcode": {"formats": ["qr"], "message": "{card_number}"},
        "texts": {
            "ru": {
                "about": "Карта лояльности",
                "shop": "Заря",
                "points": "Баллы",
                "changed": "Теперь баллов: %@",
                "name": "Имя",
                "terms": "Условия",
                "terms_text": 'Строка «раз»\nСтрока "два" \\ конец',
            },
            "en": {
                "about": "Loyalty card",
                "shop": "Zarya",
                "points": "Points",
                "changed": "You have %@ points now",
                "name": "Name",
                "terms": "Terms",
                "terms_text": 'Line one\nLine "two" \\ end',
            },
        },
    }
    return Description.model_validate(parts | changes)


def field(
    spec: dict[str, Any], value: Any, place: str = "secondary", style: str = "loyalty"
) -> Any:
    """What pass.json says of one field with this value; None when it says nothing."""
    spec = {"key": "it", **spec}
    prepared = prepare(described(style=style, fields={place: [spec]}), IMAGES)
    content = CONTENT | {"values": {"it": value}}
    found = compose(prepared, IDENTITY, content).json_dict()["storeCard"]
    return found[f"{place}Fields"][0] if found else None


def packed(
    description: Description | None = None,
    content: dict[str, Any] | Content | None = None,
    language: str = "ru",
) -> bytes:
    prepared = prepare(description or described(), IMAGES, language)
    return build(prepared, chain().signer, IDENTITY, content or CONTENT)


def strings(data: bytes) -> dict[str, str]:
    """A pass.strings file, read by its own grammar."""
    text = data.decode("utf-16")
    line = re.compile(r'"((?:[^"\\\n]|\\.)*)" = "((?:[^"\\\n]|\\.)*)";\n')
    assert line.sub("", text) == ""
    return {_unescaped(key): _unescaped(value) for key, value in line.findall(text)}


def _unescaped(text: str) -> str:
    special = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda found: special.get(found[1], found[1]), text)


def test_manifest_and_signature_hold_for_an_outsider(tmp_path: Path) -> None:
    """openssl and SHA-1 agree with every file."""
    files = verified(packed(), chain().root, tmp_path)
    assert set(files) == {
        "icon.png",
        "icon@2x.png",
        "ru.lproj/pass.strings",
        "en.lproj/pass.strings",
        "pass.json",
        "manifest.json",
        "signature",
    }


@pytest.mark.parametrize("name", ["loyalty", "gift"])
def test_the_projects_own_templates_make_packages(name: str, tmp_path: Path) -> None:
    """All densities of all images and both languages go in."""
    template = templates.load(ROOT / "pass_templates" / name)
    suffix = {1: "", 2: "@2x", 3: "@3x"}
    made = {
        f"{kind}{suffix[density]}.png": png
        for kind, source in template.images.items()
        for density, png in images.densities(source).items()
    }
    values = {
        spec.key: "x" for spec in template.description.fields.everywhere() if spec.text is None
    }
    values |= {"valid_until": "2027-11-20T23:59:59+03:00", "since": "2026-11-20T10:00:00+03:00"}
    prepared = prepare(template.description, made)
    dates = [
        spec for spec in template.description.fields.everywhere() if spec.value == "{member_since}"
    ]
    values |= {spec.key: "2026-11-20T10:00:00+03:00" for spec in dates}
    package = build(prepared, chain().signer, IDENTITY, CONTENT | {"values": values})
    files = verified(package, chain().root, tmp_path)
    assert {path for path in files if path.endswith(".png")} == set(made)
    assert "storeCard" in document(files)


def test_pass_json_is_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass is wallet-py3k's model, and what that writes is what the phone gets."""
    assert issubclass(WalletPass, wallet.models.Pass)
    prepared = prepare(described(), IMAGES)
    whole = compose(prepared, IDENTITY, CONTENT).json_dict()
    assert document(unpack(packed())) == whole
    plain = wallet.models.Pass.json_dict
    monkeypatch.setattr(
        wallet.models.Pass, "json_dict", lambda self: plain(self) | {"userInfo": "seen"}
    )
    assert document(unpack(packed())) == whole | {"userInfo": "seen"}


def test_the_librarys_own_packing_is_closed() -> None:
    """It would start openssl with the key's password on the command line."""
    with pytest.raises(NotImplementedError):
        WalletPass(wallet.models.StoreCard()).create("c", "k", "w", "p")


class _Started:
    """Programs started while listening; an audit hook cannot be taken away again."""

    listening = False
    seen: list[str] = []  # noqa: RUF012

    @classmethod
    def hook(cls, event: str, _: tuple[Any, ...]) -> None:
        starts = ("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system")
        if cls.listening and event.startswith(starts):
            cls.seen.append(event)


sys.addaudithook(_Started.hook)


@pytest.fixture
def started() -> Iterator[list[str]]:
    """The names of process starts during the test."""
    _Started.seen.clear()
    _Started.listening = True
    yield _Started.seen
    _Started.listening = False


def test_no_process_is_started(started: list[str]) -> None:
    """Preparing, signing and packing all happen in this process."""
    packed()
    assert started == []


def test_cyrillic_survives_byte_for_byte() -> None:
    """Names and barcode texts are plain UTF-8 in pass.json, not escapes."""
    message = "Карта №7 — Ёж"
    content = CONTENT | {"barcode": message, "barcode_alt": "Ёж"}
    files = unpack(packed(content=content))
    for text in ("Мария Ёлкина-Щукина", "Кофейня «Заря»", message, "Теперь баллов: %@"):
        assert text.encode("utf-8") in files["pass.json"]
    (barcode,) = document(files)["barcodes"]
    assert (barcode["message"], barcode["messageEncoding"]) == (message, "utf-8")


@pytest.mark.parametrize(
    ("message", "encoding"),
    [("7000 1234", "iso-8859-1"), ("café", "iso-8859-1"), ("Ёж", "utf-8"), ("€", "utf-8")],
)
def test_a_barcodes_encoding_can_hold_its_message(message: str, encoding: str) -> None:
    """Latin-1 where it is enough, since old scanners expect it."""
    barcode = WalletBarcode(message, BarcodeFormat.QR).json_dict()
    assert barcode == {
        "format": "PKBarcodeFormatQR",
        "message": message,
        "messageEncoding": encoding,
    }
    assert message.encode(barcode["messageEncoding"])


@pytest.mark.parametrize(
    ("formats", "old"),
    [
        (["qr"], "PKBarcodeFormatQR"),
        (["code128", "pdf417", "qr"], "PKBarcodeFormatPDF417"),
        (["aztec", "code128"], "PKBarcodeFormatAztec"),
        (["code128"], None),
    ],
)
def test_old_phones_get_a_barcode_they_know(formats: list[str], old: str | None) -> None:
    """`barcodes` in the given order; the deprecated key never holds Code 128."""
    description = described(barcode={"formats": formats, "message": "{card_number}"})
    whole = document(unpack(packed(description)))
    names = {"qr": "QR", "aztec": "Aztec", "pdf417": "PDF417", "code128": "Code128"}
    expected = [f"PKBarcodeFormat{names[symbology]}" for symbology in formats]
    assert [barcode["format"] for barcode in whole["barcodes"]] == expected
    assert whole.get("barcode", {}).get("format") == old


def test_what_every_pass_must_say() -> None:
    """The mandatory keys, the look, and where the phone asks for changes."""
    whole = document(unpack(packed()))
    assert {key: whole[key] for key in sorted(whole) if key not in ("storeCard", "barcodes")} == {
        "authenticationToken": IDENTITY.auth_token,
        "backgroundColor": "rgb(10, 20, 30)",
        "barcode": whole["barcodes"][0],
        "description": "Карта лояльности",
        "foregroundColor": "rgb(255, 255, 255)",
        "formatVersion": 1,
        "labelColor": "rgb(200, 210, 220)",
        "logoText": "Заря",
        "organizationName": "Кофейня «Заря»",
        "passTypeIdentifier": PASS_TYPE,
        "serialNumber": IDENTITY.serial,
        "suppressStripShine": True,
        "teamIdentifier": TEAM,
        "webServiceURL": IDENTITY.web_service_url,
    }


def test_state_and_switches() -> None:
    """Voided, expiring and not to be shared: under Apple's names, and only when so."""
    description = described(sharing_prohibited=True)
    content = CONTENT | {"voided": True, "expires_at": "2027-01-31T21:00:00.250000Z"}
    whole = document(unpack(packed(description, content)))
    assert whole["voided"] is True
    assert whole["sharingProhibited"] is True
    assert whole["expirationDate"] == "2027-01-31T21:00:00Z"
    assert {"voided", "sharingProhibited", "expirationDate"}.isdisjoint(document(unpack(packed())))


NUMBER = {"numberStyle": "PKNumberStyleDecimal"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1250, {"value": 1250} | NUMBER),
        (0, {"value": 0} | NUMBER),
        (-3, {"value": -3} | NUMBER),
        (12.5, {"value": 12.5} | NUMBER),
        ({"amount": 12345, "currency": "RUB"}, {"value": 123.45, "currencyCode": "RUB"}),
        ({"amount": 500000, "currency": "RUB"}, {"value": 5000, "currencyCode": "RUB"}),
        ({"amount": -5, "currency": "EUR"}, {"value": -0.05, "currencyCode": "EUR"}),
        ({"amount": 99, "currency": "JPY", "scale": 0}, {"value": 99, "currencyCode": "JPY"}),
        ("Anna", {"value": "Anna"}),
    ],
)
def test_values_keep_their_types(value: Any, shown: dict[str, Any]) -> None:
    """Numbers stay numbers, so that each phone writes them its own way."""
    assert field({"value": "{points}"}, value) == {"key": "it"} | shown


@given(st.integers(-MAX_AMOUNT + 1, MAX_AMOUNT - 1))
def test_money_is_exact_to_the_kopeck(amount: int) -> None:
    """What the phone parses is the decimal that was meant."""
    prepared = _GIFT
    content = CONTENT | {"values": {"it": {"amount": amount, "currency": "RUB"}}}
    text = compose(prepared, IDENTITY, content).encode().decode()
    (number,) = re.findall(r'"value":([^,]+),"currencyCode":"RUB"', text)
    assert Decimal(number) == Decimal(decimal_text(amount, 2))


_GIFT: Prepared = prepare(
    described(style="gift", fields={"primary": [{"key": "it", "value": "{balance}"}]}), IMAGES
)


@pytest.mark.parametrize("value", [None, ""])
def test_a_field_without_a_value_is_not_there(value: str | None) -> None:
    """An empty label with nothing below it helps nobody."""
    assert field({"value": "{first_name}"}, value) is None


def test_dates_are_days_of_the_shop() -> None:
    """The zone is kept, and a day does not shift with the phone's zone; an hour does."""
    spec = {"value": "{member_since}"}
    assert field(spec, "2026-11-20T00:30:00.5+03:00") == {
        "key": "it",
        "value": "2026-11-20T00:30:00+03:00",
        "dateStyle": "PKDateStyleMedium",
        "timeStyle": "PKDateStyleNone",
        "ignoresTimeZone": True,
    }
    assert field(spec | {"date": "date-time"}, "2026-11-20T00:30:00Z") == {
        "key": "it",
        "value": "2026-11-20T00:30:00Z",
        "dateStyle": "PKDateStyleMedium",
        "timeStyle": "PKDateStyleShort",
    }


def test_a_text_that_looks_like_a_date_stays_text() -> None:
    """A customer may call herself what she likes."""
    shown = field({"value": "{first_name}"}, "2026-11-20T00:30:00Z")
    assert shown == {"key": "it", "value": "2026-11-20T00:30:00Z"}


@pytest.mark.parametrize("place", ["header", "primary", "secondary", "auxiliary", "back"])
def test_alignment_only_where_wallet_has_it(place: str) -> None:
    """Primary fields and the back have none; the natural one is not written at all."""
    aligned = field({"value": "{first_name}", "align": "right"}, "Anna", place)
    expected = None if place in ("primary", "back") else "PKTextAlignmentRight"
    assert aligned.get("textAlignment") == expected
    assert "textAlignment" not in field({"value": "{first_name}"}, "Anna", place)


@pytest.mark.parametrize(
    ("value", "tappable"),
    [
        ("{support_phone}", True),
        ("{website}", True),
        ("{card_number}", False),
        ("{first_name}", False),
        ("{support_phone} {first_name}", False),
    ],
)
def test_only_the_shops_contacts_can_be_tapped(value: str, tappable: bool) -> None:
    """A card number is not to be called, nor a link in someone's name to be followed."""
    shown = field({"value": value}, "https://example.com", "back")
    assert shown.get("dataDetectorTypes", "all") == ("all" if tappable else [])


def test_empty_attributes_are_left_out() -> None:
    """Nothing is written that says nothing."""
    assert field({"value": "{first_name}"}, "Anna") == {"key": "it", "value": "Anna"}
    assert "logoText" not in document(unpack(packed(described(logo_text=None))))


def test_every_language_translates_every_text() -> None:
    """Each text of pass.json is a key in every folder, and nothing else is."""
    files = unpack(packed())
    whole = document(files)
    fields = [shown for place in whole["storeCard"].values() for shown in place]
    seen = {whole["description"], whole["logoText"], fields[-1]["value"]}
    seen |= {shown["label"] for shown in fields} | {fields[0]["changeMessage"]}
    texts = described().texts
    for language in ("ru", "en"):
        found = strings(files[f"{language}.lproj/pass.strings"])
        assert set(found) == seen
        assert set(found.values()) == set(texts[language].values())


@pytest.mark.parametrize(("default", "shown"), [("ru", "Карта лояльности"), ("en", "Loyalty card")])
def test_a_phone_in_a_third_language_sees_the_default_one(default: str, shown: str) -> None:
    """pass.json itself speaks the installation's language; raw keys are nowhere."""
    files = unpack(packed(language=default))
    assert document(files)["description"] == shown
    assert strings(files["en.lproj/pass.strings"])[shown] == "Loyalty card"
    assert strings(files["ru.lproj/pass.strings"])[shown] == "Карта лояльности"


def test_a_template_without_the_default_language_still_speaks() -> None:
    """Any language is better than keys."""
    description = described(texts={"en": dict(described().texts["en"])})
    assert document(unpack(packed(description)))["description"] == "Loyalty card"


def test_texts_that_are_equal_in_one_language_only_stay_apart() -> None:
    """Two labels with one Russian word and two English ones."""
    texts = {language: dict(found) for language, found in described().texts.items()}
    texts["ru"] |= {"points": "Баланс", "name": "Баланс"}
    files = unpack(packed(described(texts=texts)))
    english = strings(files["en.lproj/pass.strings"])
    card = document(files)["storeCard"]
    labels = [card["headerFields"][0]["label"], card["secondaryFields"][0]["label"]]
    assert [english[label] for label in labels] == ["Points", "Name"]
    assert [label.rstrip("\u200b") for label in labels] == ["Баланс", "Баланс"]
    assert set(strings(files["ru.lproj/pass.strings"]).values()) >= {"Баланс"}


def test_texts_are_utf_16_with_a_mark() -> None:
    """The encoding Apple documents, recognisable for every other reader."""
    files = unpack(packed())
    assert files["ru.lproj/pass.strings"].startswith(b"\xff\xfe")
    assert strings(files["ru.lproj/pass.strings"])["Баллы"] == "Баллы"


def test_content_and_its_stored_form_make_the_same_pass() -> None:
    """The database gives back plain JSON; nothing may depend on which one comes."""
    content = Content.model_validate(
        CONTENT
        | {
            "values": {"points": {"amount": 12345, "currency": "RUB"}, "name": "Анна"},
            "expires_at": datetime(2027, 1, 31, tzinfo=UTC),
        }
    )
    stored = json.loads(json.dumps(content.as_json()))
    assert (
        unpack(packed(content=content))["pass.json"] == unpack(packed(content=stored))["pass.json"]
    )


def test_the_same_content_gives_the_same_bytes() -> None:
    """But for the signature, which holds the time."""
    first, second = unpack(packed()), unpack(packed())
    del first["signature"], second["signature"]
    assert first == second
    assert list(first) == list(second)


def test_the_archive_is_what_zipfile_would_make_of_it() -> None:
    """Records are consistent, images stored as they are, names plain."""
    package = packed()
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
        assert archive.start_dir == sum(
            30 + len(entry.filename) + entry.compress_size for entry in entries
        )
    for entry in entries:
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert (entry.compress_type == zipfile.ZIP_STORED) != entry.filename.endswith(".strings")
        assert entry.external_attr >> 16 == 0o100644
    assert entries[-1].filename == "signature"


def test_a_pass_without_an_icon_is_refused() -> None:
    """Wallet would refuse it without a word."""
    with pytest.raises(ConfigurationError, match="icon"):
        prepare(described(), {"logo.png": b""})


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (UTC, "2026-11-20T09:30:00Z"),
        (timezone(timedelta(hours=3)), "2026-11-20T09:30:00+03:00"),
        (timezone(timedelta(hours=-3, minutes=-30)), "2026-11-20T09:30:00-03:30"),
    ],
)
def test_moments_are_written_as_wallet_reads_them(zone: timezone, text: str) -> None:
    """Whole seconds, and a zone of one of the two accepted forms."""
    assert apple_moment(datetime(2026, 11, 20, 9, 30, 0, 999, tzinfo=zone)) == text
