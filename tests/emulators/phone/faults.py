"""Packages that a phone must refuse, and what it says."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.emulators.phone import handmade
from tests.emulators.phone.handmade import Recipe, authority


def drop(contents: dict[str, bytes], name: str) -> None:
    """Leave a file out."""
    del contents[name]


PACKAGE_FAULTS: dict[str, tuple[Recipe, str]] = {
    "wrong hash": (
        Recipe(late=lambda f: f.update({"icon.png": f["icon@2x.png"]})),
        "manifest.json: the hash of 'icon.png' does not match",
    ),
    "extra file": (
        Recipe(late=lambda f: f.update({"logo.png": handmade.png(9)})),
        "does not list 'logo.png'",
    ),
    "missing file": (Recipe(late=lambda f: drop(f, "icon@2x.png")), "lists 'icon@2x.png'"),
    "manifest lists itself": (
        Recipe(manifest=lambda m: m.update({"manifest.json": "0" * 40})),
        "lists 'manifest.json'",
    ),
    "sha-256 in the manifest": (
        Recipe(manifest=lambda m: m.update({"icon.png": "0" * 64})),
        "is not SHA-1",
    ),
    "manifest changed after signing": (
        Recipe(sealed=lambda f: f.update({"manifest.json": f["manifest.json"] + b"\n"})),
        "message-digest is not that of manifest.json",
    ),
    "no signature": (Recipe(sealed=lambda f: drop(f, "signature")), "signature is missing"),
    "no manifest": (
        Recipe(sealed=lambda f: drop(f, "manifest.json")),
        "manifest.json is missing",
    ),
    "signature is rubbish": (Recipe(signature=lambda m: b"rubbish"), "is not a DER CMS"),
    "signature is text": (
        Recipe(signature=lambda m: _pem_signature(m)),
        "is not a DER CMS",
    ),
    "embedded content": (
        Recipe(options=(pkcs7.PKCS7Options.Binary,)),
        "must be detached",
    ),
    "line ends rewritten": (
        Recipe(options=(pkcs7.PKCS7Options.DetachedSignature,)),
        "message-digest",
    ),
    "no signing-time": (
        Recipe(
            options=(
                pkcs7.PKCS7Options.DetachedSignature,
                pkcs7.PKCS7Options.Binary,
                pkcs7.PKCS7Options.NoAttributes,
            )
        ),
        "signed attribute content-type is missing",
    ),
    "no certificates": (
        Recipe(
            options=(
                pkcs7.PKCS7Options.DetachedSignature,
                pkcs7.PKCS7Options.Binary,
                pkcs7.PKCS7Options.NoCerts,
            )
        ),
        "contains no certificates",
    ),
    "intermediate missing": (Recipe(chain=[]), "issued 'Example Pass' is not in it"),
    "wrong intermediate": (
        Recipe(chain=[authority("Other").intermediate.certificate]),
        "issued 'Example Pass' is not in it",
    ),
    "foreign chain": (
        Recipe(authority=authority("Other")),
        "ends at 'Other WWDR', which no trusted root issued",
    ),
    "foreign chain with its root": (
        Recipe(
            authority=authority("Other"),
            chain=[
                authority("Other").intermediate.certificate,
                authority("Other").root.certificate,
            ],
        ),
        "ends at 'Other Root', which no trusted root issued",
    ),
    "another pass type's certificate": (
        Recipe(
            leaf=handmade.certificate(
                authority().intermediate,
                ca=False,
                cn="Gift",
                uid="pass.example.gift",
                ou=handmade.TEAM,
            )
        ),
        "certificate's UID is 'pass.example.gift'",
    ),
    "another team's certificate": (
        Recipe(
            leaf=handmade.certificate(
                authority().intermediate,
                ca=False,
                cn="Gift",
                uid=handmade.PASS_TYPE,
                ou="ZZZZZ99999",
            )
        ),
        "certificate's OU is 'ZZZZZ99999'",
    ),
    "expired certificate": (
        Recipe(
            leaf=handmade.certificate(
                authority().intermediate,
                ca=False,
                days=(-400, -1),
                cn="Gift",
                uid=handmade.PASS_TYPE,
                ou=handmade.TEAM,
            )
        ),
        "'Gift' is not valid now",
    ),
    "leaf as authority": (
        Recipe(
            leaf=handmade.certificate(
                authority().leaf, ca=False, cn="Gift", uid=handmade.PASS_TYPE, ou=handmade.TEAM
            ),
            chain=[authority().leaf.certificate, authority().intermediate.certificate],
        ),
        "issued 'Gift' is not in it",
    ),
    "folder around it": (
        Recipe(sealed=lambda f: _rename(f, lambda n: f"Card/{n}")),
        "pass.json is missing (it is in a folder: Card/pass.json)",
    ),
    "escape upwards": (
        Recipe(sealed=lambda f: f.update({"../icon.png": b""})),
        "'../icon.png' is not a plain relative path",
    ),
    "absolute path": (
        Recipe(sealed=lambda f: f.update({"/icon.png": b""})),
        "'/icon.png' is not a plain relative path",
    ),
    "backslash": (
        Recipe(sealed=lambda f: f.update({"ru.lproj\\logo.png": b""})),
        "not a plain relative path",
    ),
    "finder's litter": (
        Recipe(sealed=lambda f: f.update({".DS_Store": b""})),
        "'.DS_Store' does not belong",
    ),
    "bomb": (
        Recipe(sealed=lambda f: f.update({"icon.png": b"\0" * (51 * 1024 * 1024)})),
        "unpacks to more than",
    ),
    "many files": (
        Recipe(sealed=lambda f: f.update({f"{n}.txt": b"" for n in range(501)})),
        "more than 500 files",
    ),
}


def _pem_signature(manifest: bytes) -> bytes:
    leaf = authority().leaf
    builder = pkcs7.PKCS7SignatureBuilder().set_data(manifest)
    builder = builder.add_signer(leaf.certificate, leaf.key, hashes.SHA256())
    return builder.sign(Encoding.PEM, [pkcs7.PKCS7Options.DetachedSignature])


def _rename(contents: dict[str, bytes], change: Callable[[str], str]) -> None:
    renamed = {change(name): data for name, data in contents.items()}
    contents.clear()
    contents.update(renamed)
