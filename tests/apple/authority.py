"""A chain with Apple's names but not Apple's keys: what `certs import` is given in real life.

The root has to be put among the trusted ones of an installation, or nothing is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.apple.material import pem
from tests.conftest import NOW
from walletsvc.apple.bundles import Bundle
from walletsvc.apple.identity import SigningKey, roots_dir
from walletsvc.settings import Settings

PASS_TYPE = "pass.com.example.loyalty"
TEAM = "ABCDE12345"
_CN, _OU, _O = (
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.ORGANIZATION_NAME,
)
_WWDR = "Apple Worldwide Developer Relations Certification Authority"


@dataclass(frozen=True)
class Apple:
    """A root, and the intermediate of one generation that issues Pass Type ID certificates."""

    root: x509.Certificate
    wwdr: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def trusted_by(self, settings: Settings) -> None:
        """Let an installation trust this root as it trusts Apple's."""
        roots_dir(settings).mkdir(parents=True, exist_ok=True)
        serial = f"{self.root.serial_number:x}"
        (roots_dir(settings) / f"{serial}.pem").write_bytes(pem(self.root))

    def issue(
        self,
        public_key: CertificatePublicKeyTypes,
        *,
        pass_type: str = PASS_TYPE,
        team: str = TEAM,
        common: str = "Pass Type ID: ",
        at: datetime = NOW,
        life: timedelta = timedelta(days=365),
    ) -> x509.Certificate:
        """The certificate for a key, with the subject as Apple writes it."""
        name = _name((NameOID.USER_ID, pass_type), (_CN, common + pass_type), (_OU, team))
        builder = _builder(name, self.wwdr.subject, public_key, at - timedelta(hours=1), life)
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, x509.ObjectIdentifier("1.2.840.113635.100.4.14")]
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def answer(self, request: bytes, **options: Any) -> x509.Certificate:
        """The certificate for a signing request: Apple takes nothing from it but the key."""
        asked = x509.load_pem_x509_csr(request)
        assert asked.is_signature_valid
        return self.issue(asked.public_key(), **options)


@lru_cache
def apple(generation: str = "G4", number: int = 0) -> Apple:
    """Chains of the same `number` share their root; made once per test process."""
    root_key, root = _root(number)
    key = ec.generate_private_key(ec.SECP256R1())
    units = [] if generation == "G1" else [(_OU, generation)]
    name = _name((_CN, _WWDR), *units)
    start, life = NOW - timedelta(days=900), timedelta(days=3650)
    wwdr = (
        _builder(name, root.subject, key.public_key(), start, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    return Apple(root, wwdr, key)


@lru_cache
def some_key(number: int = 0) -> SigningKey:
    """An RSA key, as usual; the others are EC, which Apple certifies too and is quick to make."""
    if number == 0:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def with_key(issuer: Apple | None = None, number: int = 0, **options: Any) -> Bundle:
    """Certificate, key and intermediate as a `.p12` brings them."""
    issuer = issuer or apple()
    leaf = issuer.issue(some_key(number).public_key(), **options)
    return Bundle("pass.p12", (leaf, issuer.wwdr), some_key(number))


@lru_cache
def _root(number: int) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name((_CN, "Apple Root CA"))
    builder = _builder(name, name, key.public_key(), NOW - timedelta(days=900), timedelta(9000))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return key, builder.sign(key, hashes.SHA256())


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(o, v) for o, v in (*attributes, (_O, "Apple Inc."))])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: CertificatePublicKeyTypes,
    start: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.public_key(public_key).serial_number(x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + life)
