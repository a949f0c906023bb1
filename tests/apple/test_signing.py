"""The signature over a manifest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7

from tests.apple.material import chain, openssl_verifies
from walletsvc.apple.signing import Signer
from walletsvc.core.errors import ConfigurationError


@pytest.mark.parametrize(
    "manifest",
    [b'{"pass.json":"00"}', b'{\n  "pass.json": "00"\n}\n', b"{\r\n}\r\n\n", b""],
    ids=["one line", "newlines", "mixed newlines", "empty"],
)
def test_any_manifest_verifies_byte_for_byte(manifest: bytes, tmp_path: Path) -> None:
    """Newlines must not be rewritten before signing."""
    signature = chain().signer.sign(manifest)
    assert openssl_verifies(manifest, signature, chain().root, tmp_path)


def test_another_manifest_does_not_verify(tmp_path: Path) -> None:
    """The signature covers the manifest's bytes, and no manifest is hidden in it."""
    signature = chain().signer.sign(b'{"pass.json":"00"}')
    assert b"pass.json" not in signature
    assert not openssl_verifies(b'{"pass.json":"01"}', signature, chain().root, tmp_path)


def test_another_root_does_not_verify(tmp_path: Path) -> None:
    """A look-alike chain of the same names is still another chain."""
    signature = chain().signer.sign(b"{}")
    assert not openssl_verifies(b"{}", signature, chain(1).root, tmp_path)


def test_leaf_and_its_own_intermediate_are_included_and_nothing_else() -> None:
    """The right one of several intermediates that carry the same name."""
    mine, other = chain(), chain(1)
    crowd = [other.authority.certificate, mine.root, mine.authority.certificate, other.leaf]
    signature = Signer(mine.leaf, mine.key, crowd).sign(b"{}")
    included = pkcs7.load_der_pkcs7_certificates(signature)
    assert set(included) == {mine.leaf, mine.authority.certificate}


def test_a_missing_intermediate_is_refused() -> None:
    """Without it phones cannot build the chain, so nothing is signed at all."""
    with pytest.raises(ConfigurationError, match="intermediate"):
        Signer(chain().leaf, chain().key, [chain(1).authority.certificate])


def test_the_signed_attributes_are_the_three_that_wallet_reads(tmp_path: Path) -> None:
    """Content type, digest and the time of signing; SHA-256 throughout."""
    (tmp_path / "s").write_bytes(chain().signer.sign(b"{}"))
    printed = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", "s"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    attributes = printed.partition("signedAttrs:")[2].partition("signatureAlgorithm:")[0]
    names = [
        line.split()[1] for line in attributes.splitlines() if line.strip().startswith("object:")
    ]
    assert sorted(names) == ["contentType", "messageDigest", "signingTime"]
    assert "UTCTIME" in attributes
    assert "algorithm: sha256 " in printed
    assert "sha1" not in printed.partition("signerInfos:")[2]
