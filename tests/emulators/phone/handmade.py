"""A pass made by hand for the emulated phone: valid unless a test spoils it."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

PASS_TYPE = "pass.example.loyalty"
TEAM = "ABCDE12345"
TOKEN = "token-of-at-least-16"

_ATTRIBUTES = {
    "cn": NameOID.COMMON_NAME,
    "uid": NameOID.USER_ID,
    "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
}


@dataclass(frozen=True)
class Signer:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A key by name: making one is slow, so each is made once."""
    return rsa.generate_private_key(65537, 2048)


def certificate(
    issuer: Signer | None,
    *,
    ca: bool,
    days: tuple[int, int] = (-100, 200),
    key_name: str | None = None,
    **names: str,
) -> Signer:
    """A certificate from `days[0]` to `days[1]` from today; without issuer signed by itself."""
    own = key(key_name or names["cn"])
    subject = x509.Name([x509.NameAttribute(_ATTRIBUTES[k], v) for k, v in names.items()])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today + timedelta(days=days[0]))
        .not_valid_after(today + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer.key if issuer else own, hashes.SHA256())
    )
    return Signer(certificate, own)


@dataclass(frozen=True)
class Authority:
    """Root, intermediate and leaf, as Apple issues them."""

    root: Signer
    intermediate: Signer
    leaf: Signer


@cache
def authority(name: str = "Example") -> Authority:
    """A chain of its own for each name."""
    root = certificate(None, ca=True, cn=f"{name} Root")
    intermediate = certificate(root, ca=True, cn=f"{name} WWDR")
    leaf = certificate(intermediate, ca=False, cn=f"{name} Pass", uid=PASS_TYPE, ou=TEAM)
    return Authority(root, intermediate, leaf)


def png(size: int) -> bytes:
    """A grey square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * size) * size)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def document(points: int = 100, **changes: Any) -> dict[str, Any]:
    """A pass.json that Wallet takes."""
    return {
        "formatVersion": 1,
        "passTypeIdentifier": PASS_TYPE,
        "serialNumber": "card-1",
        "teamIdentifier": TEAM,
        "organizationName": "Пекарня",
        "description": "Карта",
        "backgroundColor": "rgb(10, 20, 30)",
        "barcodes": [
            {
                "format": "PKBarcodeFormatQR",
                "message": "Карта 1",
                "messageEncoding": "utf-8",
                "altText": "1",
            }
        ],
        "storeCard": {
            "headerFields": [
                {
                    "key": "points",
                    "label": "points_label",
                    "value": points,
                    "changeMessage": "points_changed",
                }
            ],
            "secondaryFields": [{"key": "name", "label": "Имя", "value": "Анна"}],
            "backFields": [
                {
                    "key": "since",
                    "value": "2026-01-31T10:00:00+03:00",
                    "dateStyle": "PKDateStyleLong",
                }
            ],
        },
        **changes,
    }


def strings(changed: str = "Баллов: %@", **more: str) -> str:
    """The text of a pass.strings."""
    texts = {"points_label": "Баллы", "points_changed": changed, **more}
    return "/* тексты */\n" + "".join(f'"{k}" = "{v}";\n' for k, v in texts.items())


def files(doc: dict[str, Any] | None = None) -> dict[str, bytes]:
    """The files of a pass without manifest and signature."""
    return {
        "pass.json": json.dumps(doc or document(), ensure_ascii=False).encode(),
        "icon.png": png(38),
        "icon@2x.png": png(76),
        "icon@3x.png": png(114),
        "ru.lproj/pass.strings": strings().encode("utf-16"),
        "en.lproj/pass.strings": strings("Points: %@").encode(),
    }


Spoil = Callable[[dict[str, bytes]], None]


@dataclass
class Recipe:
    """How to make a package, and where to go wrong.

    `late` changes the files after the manifest was made, `sealed` after the signature was.
    """

    contents: dict[str, bytes] = field(default_factory=files)
    authority: Authority = field(default_factory=authority)
    leaf: Signer | None = None
    chain: list[x509.Certificate] | None = None
    options: tuple[pkcs7.PKCS7Options, ...] = (
        pkcs7.PKCS7Options.DetachedSignature,
        pkcs7.PKCS7Options.Binary,
    )
    manifest: Callable[[dict[str, str]], None] = lambda manifest: None
    late: Spoil = lambda contents: None
    sealed: Spoil = lambda contents: None
    signature: Callable[[bytes], bytes] | None = None

    def build(self) -> bytes:
        """The .pkpass."""
        contents = dict(self.contents)
        hashes_ = {name: hashlib.sha1(data).hexdigest() for name, data in contents.items()}
        self.manifest(hashes_)
        self.late(contents)
        manifest = json.dumps(hashes_, indent=1).encode()
        contents["manifest.json"] = manifest
        contents["signature"] = self.signature(manifest) if self.signature else self.sign(manifest)
        self.sealed(contents)
        return archive(contents)

    def sign(self, manifest: bytes) -> bytes:
        """The signature of a manifest."""
        leaf = self.leaf or self.authority.leaf
        builder = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(manifest)
            .add_signer(leaf.certificate, leaf.key, hashes.SHA256())
        )
        chain = [self.authority.intermediate.certificate] if self.chain is None else self.chain
        for certificate in chain:
            builder = builder.add_certificate(certificate)
        return builder.sign(Encoding.DER, list(self.options))


def archive(contents: dict[str, bytes]) -> bytes:
    """A ZIP of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in contents.items():
            target.writestr(name, data)
    return buffer.getvalue()


def package(doc: dict[str, Any] | None = None) -> bytes:
    """A valid package, of this pass.json if given."""
    return Recipe(contents=files(doc)).build()
