"""Certificates for development: shaped like Apple's, named so that nobody mistakes them.

The chain is root → "Worldwide Developer Relations" intermediate → one leaf per pass type,
with the names and extensions of the real ones (subject UID = pass type identifier, OU = team
identifier, Apple's extension 1.2.840.113635.100.6.1.16 repeating the pass type identifier),
so that everything that reads a certificate does the same work as in production. No phone
trusts the root, which is the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlmodel import Session

from walletsvc.apple.authorities import INTERMEDIATE
from walletsvc.apple.identity import (
    DEVELOPMENT,
    active_certificate,
    examine,
    is_development,
    is_nfc_capable,
    issuer_of,
    roots_dir,
    threshold,
    trust_anchors,
)
from walletsvc.apple.identity.keys import key_pem
from walletsvc.apple.identity.rules import (
    NFC_NAME,
    PASS_TYPE_EXTENSION,
    PLAIN_NAME,
    days_left,
    require_pass_type,
    require_team,
)
from walletsvc.apple.keyfiles import private_folder, write_private
from walletsvc.apple.models import SigningCertificate
from walletsvc.apple.renewal import (
    activate,
    certificate_pem,
    certificate_row,
    ensure_pass_type,
    fingerprint,
    lock,
)
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings

_YEAR = timedelta(days=365)

# Apple's object identifiers, as the real certificates carry them.
_PASS_SIGNING_USAGE = x509.ObjectIdentifier("1.2.840.113635.100.4.14")
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
    nfc: bool = False,
) -> list[PassType]:
    """Give each pass type a working development certificate; keep those that have one.

    Writes the keys into `settings.certs_dir` and the rows `pass_types` and
    `signing_certificates`; a development certificate that is unusable, runs out within the
    time of warnings, or is not for NFC when `nfc` asks for it, is renewed. Raises
    ConfigurationError for a malformed identifier, a pass type of another team, or one whose
    certificate comes from Apple but does not work: that one is not ours to replace.
    """
    for identifier in pass_type_identifiers:
        require_pass_type(identifier)
    require_team(team_identifier)
    lock(session)
    private_folder(settings.certs_dir)
    private_folder(roots_dir(settings))
    return [
        _ensure(session, settings, identifier, team_identifier, now, nfc=nfc)
        for identifier in dict.fromkeys(pass_type_identifiers)
    ]


def _ensure(
    session: Session, settings: Settings, identifier: str, team: str, now: datetime, *, nfc: bool
) -> PassType:
    pass_type = ensure_pass_type(session, identifier, team, now)
    if pass_type.team_identifier != team:
        raise ConfigurationError(
            f"{identifier} is set up for the team {pass_type.team_identifier}, not {team}."
        )
    present = active_certificate(session, pass_type.id)
    if present is not None:
        problems = examine(pass_type, present, settings, now)
        leaf = x509.load_pem_x509_certificate(present.certificate_pem.encode())
        if not is_development(leaf):
            if not problems:
                return pass_type
            raise ConfigurationError(
                f"{identifier} has a certificate from Apple that does not work: {problems[0]}"
            )
        lasts = threshold(days_left(leaf.not_valid_after_utc, now)) is None
        if not problems and lasts and (is_nfc_capable(leaf) or not nfc):
            return pass_type
    row = _issue(settings.certs_dir, pass_type, settings, now, nfc=nfc)
    activate(session, pass_type, row, actor=SYSTEM, now=now)
    return pass_type


def _issue(
    folder: Path, pass_type: PassType, settings: Settings, now: datetime, *, nfc: bool
) -> SigningCertificate:
    """A new leaf: its key in a file of its own, the rest as a row."""
    authority = _authority(settings, now)
    leaf, key = issue_leaf(authority, pass_type.identifier, pass_type.team_identifier, now, nfc=nfc)
    key_file = f"{pass_type.identifier}-{fingerprint(leaf)[:16]}.key"
    write_private(folder / key_file, key_pem(key))
    return certificate_row(pass_type, leaf, authority.certificate, key_file, now)


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
            and certificate.not_valid_before_utc <= now
            and now + _YEAR < certificate.not_valid_after_utc
            and issuer_of(certificate, trust_anchors(settings)) is not None
        ):
            return Authority(certificate, key)
    root, authority = new_authority(now)
    # Earlier roots stay, so that what they vouched for keeps verifying.
    name = f"development-{fingerprint(root)[:16]}.pem"
    write_private(roots_dir(settings) / name, certificate_pem(root))
    write_private(key_file, key_pem(authority.key))
    write_private(file, certificate_pem(authority.certificate))
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
    authority: Authority,
    identifier: str,
    team: str,
    now: datetime,
    *,
    nfc: bool = False,
    key: rsa.RSAPrivateKey | None = None,
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A Pass Type ID certificate and its key: signs packages and proves who pushes.

    Without a `key` a new one is made; a request brings its own.
    """
    issuer, key = authority.certificate, key or _new_key()
    name = _name(
        (NameOID.USER_ID, identifier),
        (NameOID.COMMON_NAME, f"{NFC_NAME if nfc else PLAIN_NAME}{identifier}"),
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
            x509.UnrecognizedExtension(PASS_TYPE_EXTENSION, asn1.encode_der(identifier)),
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
