"""Files with certificates and keys, as operators get them: `.cer`, `.pem`, `.p12`.

What a file is, is seen from its content; its name is only for messages. Passphrases and keys
never appear in one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from walletsvc.apple.identity import SigningKey
from walletsvc.core.errors import ConfigurationError

LARGEST: Final = 1_000_000  # bytes; certificates and keys have a few thousand
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
# PKCS#12 begins with a sequence, the version 3, and soon the object identifier of its content.
_PKCS12_VERSION: Final = b"\x02\x01\x03"
_NEEDS: Final = (
    "needs its passphrase: set WALLETSVC_CERT_PASSPHRASE or WALLETSVC_CERT_PASSPHRASE_FILE, or "
    "use --passphrase-file"
)


@dataclass(frozen=True)
class Bundle:
    """What a file held. The key is a secret."""

    name: str
    certificates: tuple[x509.Certificate, ...]
    key: SigningKey | None = field(repr=False)


def read(data: bytes, name: str, passphrase: str | None) -> Bundle:
    """Certificates and key of a file's content.

    Raises ConfigurationError naming the file when it is none of these forms, or when its
    passphrase is missing or wrong.
    """
    if len(data) > LARGEST:
        raise ConfigurationError(f"{name} is too large for a certificate.")
    secret = passphrase.encode() if passphrase is not None else None
    if b"-----BEGIN " in data:
        return _pem(data, name, secret)
    try:
        return Bundle(name, (x509.load_der_x509_certificate(data),), None)
    except ValueError:
        return _pkcs12(data, name, secret)


def with_key(bundle: Bundle, beside: Bundle) -> Bundle:
    """A certificate's file together with the key from another one.

    Raises ConfigurationError when the other one has no key, or both have.
    """
    if beside.key is None:
        raise ConfigurationError(f"{beside.name} holds no private key.")
    if bundle.key is not None:
        raise ConfigurationError(f"{bundle.name} has a private key already; leave --key out.")
    return Bundle(bundle.name, (*bundle.certificates, *beside.certificates), beside.key)


def _pem(data: bytes, name: str, secret: bytes | None) -> Bundle:
    certificates: list[x509.Certificate] = []
    keys: list[SigningKey] = []
    requests = 0
    for block in _BLOCK.finditer(data):
        label = block[1].decode()
        if label == "CERTIFICATE":
            try:
                certificates.append(x509.load_pem_x509_certificate(block[0]))
            except ValueError as error:
                raise ConfigurationError(
                    f"{name} holds a certificate that cannot be read."
                ) from error
        elif label.endswith("PRIVATE KEY"):
            keys.append(_key(block[0] + b"\n", name, secret))
        elif label.endswith("CERTIFICATE REQUEST"):
            requests += 1
    if len(keys) > 1:
        raise ConfigurationError(f"{name} holds {len(keys)} private keys; leave one.")
    if not certificates and requests:
        raise ConfigurationError(
            f"{name} is a signing request, not a certificate: upload it at developer.apple.com "
            "and import the .cer that Apple gives for it."
        )
    if not certificates and not keys:
        raise ConfigurationError(f"{name} holds no certificate.")
    return Bundle(name, tuple(certificates), keys[0] if keys else None)


def _key(block: bytes, name: str, secret: bytes | None) -> SigningKey:
    encrypted = b"ENCRYPTED" in block  # in the label, or in the header of the older form
    if encrypted and not secret:
        raise ConfigurationError(f"The private key in {name} {_NEEDS}.")
    try:
        key = load_pem_private_key(block, password=secret if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        words = "cannot be opened with this passphrase" if encrypted else "cannot be read"
        # Without the cause: what a library says about a secret is not for logs.
        raise ConfigurationError(f"The private key in {name} {words}.") from None
    return _signing_key(key, name)


def _pkcs12(data: bytes, name: str, secret: bytes | None) -> Bundle:
    if _PKCS12_VERSION not in data[:16]:
        raise ConfigurationError(
            f"{name} is no certificate: neither .cer (DER or PEM) nor .p12 (PKCS#12)."
        )
    try:
        found = pkcs12.load_pkcs12(data, secret)
    except UnsupportedAlgorithm:
        raise ConfigurationError(
            f"{name} is encrypted in an outdated way that cannot be read here. Export it anew, or "
            "convert it with 'openssl pkcs12 -legacy'."
        ) from None
    except ValueError:
        if secret is None:
            raise ConfigurationError(f"{name} {_NEEDS}.") from None
        raise ConfigurationError(
            f"{name} cannot be opened with this passphrase, or it is damaged."
        ) from None
    certificates = [found.cert, *found.additional_certs]
    return Bundle(
        name,
        tuple(entry.certificate for entry in certificates if entry is not None),
        _signing_key(found.key, name) if found.key is not None else None,
    )


def _signing_key(key: object, name: str) -> SigningKey:
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise ConfigurationError(
            f"The private key in {name} is neither RSA nor EC; Apple issues certificates for those."
        )
    return key
