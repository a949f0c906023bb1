"""Packages: what is in pass.json and in the archive, and that it all verifies."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import wallet.models

from tests.apple.material import PASS_TYPE, TEAM, chain, document, unpack, verified
from tests.apple.samples import CONTENT, IDENTITY, IMAGES, described, packed
from walletsvc.apple.package import WalletPass, build, compose, prepare
from walletsvc.apple.package.model import WalletBarcode
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes import images, templates
from walletsvc.passes.schemas import BarcodeFormat, Content

ROOT = Path(__file__).resolve().parents[2]


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
