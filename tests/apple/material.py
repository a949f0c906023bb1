"""Signing material and a reader of packages that trusts only outside tools."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conftest import NOW
from walletsvc.apple.devcerts import Authority, issue_leaf, new_authority
from walletsvc.apple.signing import Signer

PASS_TYPE = "pass.test.signed"
TEAM = "TEST000001"


@dataclass(frozen=True)
class Chain:
    """A root, the authority it vouches for, and one leaf with its key."""

    root: x509.Certificate
    authority: Authority
    leaf: x509.Certificate
    key: RSAPrivateKey

    @property
    def signer(self) -> Signer:
        return Signer(self.leaf, self.key, [self.authority.certificate])


@lru_cache
def chain(number: int = 0) -> Chain:
    """One of several chains of the same names; made once per test process."""
    # An authority is older than what it issues, also when a test issues an expired leaf.
    root, authority = new_authority(NOW - timedelta(days=800))
    leaf, key = issue_leaf(authority, PASS_TYPE, TEAM, NOW)
    return Chain(root, authority, leaf, key)


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as text."""
    return certificate.public_bytes(Encoding.PEM)


def openssl_verifies(
    manifest: bytes, signature: bytes, root: x509.Certificate, folder: Path, at: datetime = NOW
) -> bool:
    """Whether openssl accepts the detached signature, knowing nothing but the root."""
    for name, data in (("m", manifest), ("s", signature), ("root.pem", pem(root))):
        (folder / name).write_bytes(data)
    command = "openssl cms -verify -binary -inform DER -content m -in s -CAfile root.pem"
    options = ["-purpose", "any", "-attime", str(int(at.timestamp())), "-out", "out"]
    done = subprocess.run([*command.split(), *options], cwd=folder, capture_output=True)
    return done.returncode == 0 and (folder / "out").read_bytes() == manifest


def unpack(package: bytes) -> dict[str, bytes]:
    """The files of a package, each checked against its checksum."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names))
        return {name: archive.read(name) for name in names}


def verified(
    package: bytes, root: x509.Certificate, folder: Path, at: datetime = NOW
) -> dict[str, bytes]:
    """The files of a package whose manifest and signature hold."""
    files = unpack(package)
    signature, manifest = files["signature"], files["manifest.json"]
    hashes = {
        name: hashlib.sha1(data).hexdigest()
        for name, data in files.items()
        if name not in ("signature", "manifest.json")
    }
    assert json.loads(manifest) == hashes
    assert openssl_verifies(manifest, signature, root, folder, at)
    return files


def document(files: Mapping[str, bytes]) -> dict[str, Any]:
    """pass.json, read as strictly as JSON is."""
    found: dict[str, Any] = json.loads(files["pass.json"].decode("utf-8"))
    return found
