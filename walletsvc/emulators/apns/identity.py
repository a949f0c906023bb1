"""The emulator's own certificate: what a client must trust instead of Apple's public chain.

A small authority signs one server certificate for this machine and its key is thrown away
at once: nothing on disk can make a second certificate that clients of this emulator trust.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from walletsvc.core.errors import ConfigurationError

CA_FILE: Final = "ca.pem"
CHAIN_FILE: Final = "server.pem"
KEY_FILE: Final = "server-key.pem"

_VALID: Final = timedelta(days=800)
_RENEW_BEFORE: Final = timedelta(days=30)


def create_identity(folder: Path) -> None:
    """Make `ca.pem`, `server.pem` and `server-key.pem` in `folder`, unless good ones are there.

    Raises ConfigurationError when the folder cannot be written.
    """
    try:
        if _is_good(folder):
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, chain, key = _make()
        _write(folder / KEY_FILE, key, 0o600)
        _write(folder / CHAIN_FILE, chain, 0o644)
        _write(folder / CA_FILE, authority, 0o644)
    except OSError as error:
        raise ConfigurationError(
            f"The APNs emulator cannot keep its certificate in {folder}: {error.strerror}."
        ) from error


def _is_good(folder: Path) -> bool:
    """Whether the three files are there, belong together and stay valid for a while."""
    try:
        authority = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
        server = x509.load_pem_x509_certificate((folder / CHAIN_FILE).read_bytes())
        server.verify_directly_issued_by(authority)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            folder / CHAIN_FILE, folder / KEY_FILE
        )
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature, ssl.SSLError):
        return False
    return server.not_valid_after_utc - _RENEW_BEFORE > datetime.now(UTC)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file at once, so that nobody ever reads half of it."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode)
    fresh.write_bytes(content)
    fresh.replace(path)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> bytes:
    """A certificate in PEM; `extensions` are pairs of extension and whether it is critical."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
    )
    extensions += [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _make() -> tuple[bytes, bytes, bytes]:
    """A new authority, the chain of a server certificate, and its key, all in PEM."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("walletsvc APNs emulator authority")
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    authority = _signed(
        authority_name,
        authority_key,
        authority_name,
        authority_key,
        [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_usage(signs_certificates=True), True),
        ],
    )
    server = _signed(
        _name("localhost"),
        server_key,
        authority_name,
        authority_key,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectAlternativeName(names), False),
        ],
    )
    key = server_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return authority, server + authority, key
