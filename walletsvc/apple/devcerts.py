"""Certificates for development: shaped like Apple's, named so that nobody mistakes them.

The chain is root → "Worldwide Developer Relations" intermediate → one leaf per pass type,
with the names and extensions of the real ones (subject UID = pass type identifier, OU = team
identifier, Apple's extension 1.2.840.113635.100.6.1.16 repeating the pass type identifier),
so that everything that reads a certificate does the same work as in production. No phone
trusts the root, which is the point.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import func
from sqlmodel import Session, select

from walletsvc.apple.identity import (
    DEVELOPMENT,
    active_certificate,
    examine,
    is_development,
    issuer_of,
    roots_dir,
    trust_anchors,
)
from walletsvc.apple.keyfiles import private_folder, write_private
from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings

INTERMEDIATE = "development-wwdr"
_PASS_TYPE = re.compile(r"pass\.[A-Za-z0-9][A-Za-z0-9.-]{0,148}")
_TEAM = re.compile(r"[A-Z0-9]{10}")
_YEAR = timedelta(days=365)
# One certificate maker at a time: two would each write an intermediate over the other's.
_LOCK = 0x77616C6C6574

# Apple's object identifiers, as the real certificates carry them.
_PASS_SIGNING_USAGE = x509.ObjectIdentifier("1.2.840.113635.100.4.14")
_PASS_TYPE_EXTENSION = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
_WWDR_EXTENSION = x509.ObjectIdentifier("1.2.840.113635.100.6.2.1")
_DER_NULL = b"\x05\x00"


@dataclass(frozen=True)
class Authority:
    """The development intermediate and the key it issues with."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


def create(
    session: Session,
    settings: Settings,
    *,
    pass_type_identifiers: Sequence[str],
    team_identifier: str,
    now: datetime,
) -> list[PassType]:
    """Give each pass type a working development certificate; keep those that have one.

    Writes the keys into `settings.certs_dir` and the rows `pass_types` and
    `signing_certificates`; an unusable development certificate is retired. Raises
    ConfigurationError for a malformed identifier, a pass type of another team, or one whose
    certificate comes from Apple but does not work: that one is not ours to replace.
    """
    for identifier in pass_type_identifiers:
        if not _PASS_TYPE.fullmatch(identifier):
            raise ConfigurationError(
                f"'{identifier}' is not a pass type identifier; write pass.com.example.loyalty."
            )
    if not _TEAM.fullmatch(team_identifier):
        raise ConfigurationError(
            f"'{team_identifier}' is not a team identifier: ten capital letters and digits."
        )
    session.exec(select(func.pg_advisory_xact_lock(_LOCK)))
    private_folder(settings.certs_dir)
    private_folder(roots_dir(settings))
    return [
        _ensure(session, settings, identifier, team_identifier, now)
        for identifier in dict.fromkeys(pass_type_identifiers)
    ]


def _ensure(
    session: Session, settings: Settings, identifier: str, team: str, now: datetime
) -> PassType:
    pass_type = session.exec(select(PassType).where(PassType.identifier == identifier)).first()
    if pass_type is None:
        pass_type = PassType(
            identifier=identifier,
            team_identifier=team,
            epoch=int(now.timestamp()),
            created_at=now,
        )
        session.add(pass_type)
        session.flush()
    if pass_type.team_identifier != team:
        raise ConfigurationError(
            f"{identifier} is set up for the team {pass_type.team_identifier}, not {team}."
        )
    present = active_certificate(session, pass_type.id)
    if present is not None:
        problems = examine(pass_type, present, settings, now)
        if not problems:
            return pass_type
        leaf = x509.load_pem_x509_certificate(present.certificate_pem.encode())
        if not is_development(leaf):
            raise ConfigurationError(
                f"{identifier} has a certificate from Apple that does not work: {problems[0]}"
            )
        present.state = CertificateState.RETIRED
        session.flush()
    session.add(_issue(settings.certs_dir, pass_type, settings, now))
    session.flush()
    return pass_type


def _issue(
    folder: Path, pass_type: PassType, settings: Settings, now: datetime
) -> SigningCertificate:
    """A new leaf: its key in a file of its own, the rest as a row."""
    authority = _authority(settings, now)
    leaf, key = issue_leaf(authority, pass_type.identifier, pass_type.team_identifier, now)
    fingerprint = _fingerprint(leaf)
    key_file = f"{pass_type.identifier}-{fingerprint[:16]}.key"
    write_private(folder / key_file, _key_pem(key))
    return SigningCertificate(
        pass_type_id=pass_type.id,
        state=CertificateState.ACTIVE,
        fingerprint=fingerprint,
        certificate_pem=_certificate_pem(leaf).decode(),
        chain_pem=_certificate_pem(authority.certificate).decode(),
        key_file=key_file,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        created_at=now,
    )


def _authority(settings: Settings, now: datetime) -> Authority:
    """The installation's own authority, made anew with its root when it is of no use."""
    file = settings.certs_dir / f"{INTERMEDIATE}.pem"
    key_file = settings.certs_dir / f"{INTERMEDIATE}.key"
    if file.exists() and key_file.exists():
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        if (
            isinstance(key, rsa.RSAPrivateKey)
            and key.public_key() == certificate.public_key()
            and now + _YEAR < certificate.not_valid_after_utc
            and issuer_of(certificate, trust_anchors(settings)) is not None
        ):
            return Authority(certificate, key)
    root, authority = new_authority(now)
    # Earlier roots stay, so that what they vouched for keeps verifying.
    name = f"development-{_fingerprint(root)[:16]}.pem"
    write_private(roots_dir(settings) / name, _certificate_pem(root))
    write_private(key_file, _key_pem(authority.key))
    write_private(file, _certificate_pem(authority.certificate))
    return authority


def new_authority(now: datetime) -> tuple[x509.Certificate, Authority]:
    """A development root and the intermediate it issued, in memory only.

    The root's key is not kept: nothing else is ever issued by it.
    """
    root_key, key = _new_key(), _new_key()
    root = _issuing(_root_name(), root_key, None, root_key, now, years=20)
    return root, Authority(_issuing(_intermediate_name(), key, root, root_key, now, years=10), key)


def _root_name() -> x509.Name:
    return _name(
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.ORGANIZATION_NAME, DEVELOPMENT),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "walletsvc development certification"),
        (NameOID.COMMON_NAME, "walletsvc development root"),
    )


def _intermediate_name() -> x509.Name:
    return _name(
        (
            NameOID.COMMON_NAME,
            "Apple Worldwide Developer Relations Certification Authority",
        ),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "G4"),
        (NameOID.ORGANIZATION_NAME, DEVELOPMENT),
        (NameOID.COUNTRY_NAME, "US"),
    )


def _issuing(
    name: x509.Name,
    key: rsa.RSAPrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: rsa.RSAPrivateKey,
    now: datetime,
    *,
    years: int,
) -> x509.Certificate:
    """A certificate that may issue others; without an issuer it is a root."""
    builder = _builder(name, key, issuer.subject if issuer else name, now, years * _YEAR)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=0 if issuer else None), critical=True
    ).add_extension(_usage(issues=True), critical=True)
    if issuer is not None:
        builder = builder.add_extension(_authority_id(issuer), critical=False).add_extension(
            x509.UnrecognizedExtension(_WWDR_EXTENSION, _DER_NULL), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def issue_leaf(
    authority: Authority, identifier: str, team: str, now: datetime
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A Pass Type ID certificate and its key: signs packages and proves who pushes."""
    issuer, key = authority.certificate, _new_key()
    name = _name(
        (NameOID.USER_ID, identifier),
        (NameOID.COMMON_NAME, f"Pass Type ID: {identifier}"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, team),
        (NameOID.ORGANIZATION_NAME, DEVELOPMENT),
        (NameOID.COUNTRY_NAME, "US"),
    )
    leaf = (
        _builder(name, key, issuer.subject, now, _YEAR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_authority_id(issuer), critical=False)
        .add_extension(_usage(issues=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, _PASS_SIGNING_USAGE]),
            critical=False,
        )
        .add_extension(
            x509.UnrecognizedExtension(_PASS_TYPE_EXTENSION, asn1.encode_der(identifier)),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return leaf, key


def _builder(
    subject: x509.Name,
    key: rsa.RSAPrivateKey,
    issuer: x509.Name,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    # Certificates count whole seconds; an hour back forgives a clock that is behind ours.
    start = now.astimezone(UTC).replace(microsecond=0) - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _authority_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _usage(*, issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issues,
        key_cert_sign=issues,
        crl_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name(
        # X.509 limits a common name to 64 characters; Apple's exceed that for long pass types.
        x509.NameAttribute(oid, value, _validate=False)
        for oid, value in attributes
    )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()
