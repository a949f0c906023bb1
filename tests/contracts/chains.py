"""Look-alikes of Apple's certificates: root, WWDR intermediate, Pass Type ID leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

TEAM = "A1B2C3D4E5"
_PEM = serialization.Encoding.PEM
# Apple's own: the extended key usage and the marker extension of a Pass Type ID certificate.
_PASS_USAGE = ObjectIdentifier("1.2.840.113635.100.4.14")
_PASS_MARKER = ObjectIdentifier("1.2.840.113635.100.6.1.16")


@dataclass(frozen=True)
class Credential:
    """Files of a client's certificate and key."""

    certificate: Path
    key: Path


class Chain:
    """A root and an intermediate in files; issues leaves as Apple writes them."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._wwdr_key = ec.generate_private_key(ec.SECP256R1())
        self._root_name = _name((NameOID.COMMON_NAME, f"{name} Root CA"))
        self._wwdr_name = _name((NameOID.COMMON_NAME, f"{name} Developer Relations"))
        self.root = folder / "root.pem"
        self.wwdr = folder / "wwdr.pem"
        root = _builder(self._root_name, self._root_name, self._root_key)
        wwdr = _builder(self._wwdr_name, self._root_name, self._wwdr_key)
        _write(self.root, _authority(root).sign(self._root_key, hashes.SHA256()))
        _write(self.wwdr, _authority(wwdr).sign(self._root_key, hashes.SHA256()))

    def issue(
        self, topic: str | None, *, days: int = 365, critical_marker: bool = False
    ) -> Credential:
        """A leaf whose subject's UID is `topic`; `days` below zero make it an expired one."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [(NameOID.COMMON_NAME, f"Pass Type ID: {topic}")]
        names.append((NameOID.ORGANIZATIONAL_UNIT_NAME, TEAM))
        if topic is not None:
            names.insert(0, (NameOID.USER_ID, topic))
        leaf = (
            _builder(_name(*names), self._wwdr_name, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, _PASS_USAGE]),
                critical=True,
            )
            .add_extension(
                x509.UnrecognizedExtension(_PASS_MARKER, b"\x05\x00"), critical=critical_marker
            )
            .sign(self._wwdr_key, hashes.SHA256())
        )
        number = len(list(self.folder.iterdir()))
        credential = Credential(
            self.folder / f"leaf-{number}.pem", self.folder / f"leaf-{number}-key.pem"
        )
        _write(credential.certificate, leaf)
        credential.key.write_bytes(
            key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return credential


def _name(*parts: tuple[ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int = 3650
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
    )


def _authority(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(_PEM))
