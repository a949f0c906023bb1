"""Files as operators get them: what is in them is found, what is wrong is one line."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from tests.apple.authority import apple, some_key
from tests.apple.material import pem
from walletsvc.apple.bundles import LARGEST, Bundle, read, with_key
from walletsvc.core.errors import ConfigurationError

PASSPHRASE = "correct horse"


def leaf_pem() -> bytes:
    return pem(apple().issue(some_key().public_key()))


def key_pem(passphrase: str | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return some_key().private_bytes(Encoding.PEM, form, encryption)


def p12(passphrase: str | None) -> bytes:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    leaf = apple().issue(some_key().public_key())
    return pkcs12.serialize_key_and_certificates(
        b"pass", some_key(), leaf, [apple().wwdr], encryption
    )


def found(bundle: Bundle) -> tuple[int, bool]:
    key = bundle.key
    assert key is None or key.public_key() == some_key().public_key()
    return len(bundle.certificates), key is not None


def test_every_form_is_read() -> None:
    """DER and PEM, with key and without, encrypted and not."""
    der = apple().issue(some_key().public_key()).public_bytes(Encoding.DER)
    assert found(read(der, "pass.cer", None)) == (1, False)
    assert found(read(leaf_pem(), "pass.cer", None)) == (1, False)
    assert found(read(leaf_pem(), "pass.cer", "needless")) == (1, False)
    assert found(read(leaf_pem() + key_pem(), "pass.pem", None)) == (1, True)
    assert found(read(key_pem() + leaf_pem(), "pass.pem", "needless")) == (1, True)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        data = leaf_pem() + key_pem(PASSPHRASE, form)
        assert found(read(data, "pass.pem", PASSPHRASE)) == (1, True)
    assert found(read(p12(PASSPHRASE), "pass.p12", PASSPHRASE)) == (2, True)
    assert found(read(p12(None), "pass.p12", None)) == (2, True)


def test_what_openssl_and_the_keychain_export_is_read(tmp_path: Path, now: datetime) -> None:
    """Also in the old encryption of macOS, and with the attributes around PEM blocks."""
    (tmp_path / "leaf.pem").write_bytes(leaf_pem())
    (tmp_path / "key.pem").write_bytes(key_pem())

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    make = ("pkcs12", "-export", "-inkey", "key.pem", "-in", "leaf.pem")
    openssl(*make, "-legacy", "-out", "old.p12", "-passout", f"pass:{PASSPHRASE}")
    assert found(read((tmp_path / "old.p12").read_bytes(), "old.p12", PASSPHRASE)) == (1, True)
    openssl("pkcs12", "-legacy", "-in", "old.p12", "-out", "all.pem",
            "-passin", f"pass:{PASSPHRASE}", "-passout", f"pass:{PASSPHRASE}")  # fmt: skip
    whole = (tmp_path / "all.pem").read_bytes()
    assert b"Bag Attributes" in whole
    assert found(read(whole, "all.pem", PASSPHRASE)) == (1, True)


REFUSED: dict[str, tuple[bytes, str | None, str]] = {
    "not a certificate": (b"hello", None, "f is no certificate"),
    "nothing": (b"", None, "f is no certificate"),
    "a broken certificate": (leaf_pem().replace(b"MII", b"AAA", 1), None, "cannot be read"),
    "a request": (
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        None,
        "f is a signing request, not a certificate",
    ),
    "something else": (
        some_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        None,
        "f holds no certificate",
    ),
    "two keys": (leaf_pem() + key_pem() * 2, None, "holds 2 private keys"),
    "a locked key": (leaf_pem() + key_pem(PASSPHRASE), None, "needs its passphrase"),
    "an empty passphrase": (leaf_pem() + key_pem(PASSPHRASE), "", "needs its passphrase"),
    "a wrong passphrase": (
        leaf_pem() + key_pem(PASSPHRASE),
        "tr0ub4dor",
        "cannot be opened with this passphrase",
    ),
    "a locked p12": (p12(PASSPHRASE), None, "WALLETSVC_CERT_PASSPHRASE"),
    "a wrong passphrase for a p12": (p12(PASSPHRASE), "tr0ub4dor", "cannot be opened with this"),
    "a cut p12": (p12(None)[:-40], None, "needs its passphrase"),
    "another kind of key": (
        leaf_pem()
        + ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
        None,
        "neither RSA nor EC",
    ),
    "a film": (b"-" * (LARGEST + 1), None, "too large"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_told_in_one_line(name: str) -> None:
    """It names the file, and neither passphrase nor key."""
    data, passphrase, words = REFUSED[name]
    with pytest.raises(ConfigurationError, match=words) as refused:
        read(data, "f", passphrase)
    said = refused.value.detail
    assert said.startswith(("f ", "The private key in f "))
    assert "\n" not in said
    assert "tr0ub4dor" not in said
    assert refused.value.__cause__ is None or "tr0ub4dor" not in str(refused.value.__cause__)


def test_a_key_may_come_in_a_file_of_its_own() -> None:
    """One key, not none and not two."""
    leaf, key = read(leaf_pem(), "leaf", None), read(key_pem(), "key", None)
    assert found(with_key(leaf, key)) == (1, True)
    with pytest.raises(ConfigurationError, match="leaf holds no private key"):
        with_key(leaf, leaf)
    with pytest.raises(ConfigurationError, match="has a private key already"):
        with_key(with_key(leaf, key), key)


def test_a_bundle_does_not_show_its_key() -> None:
    """It may end up in a traceback."""
    assert "key" not in repr(read(p12(None), "pass.p12", None))
