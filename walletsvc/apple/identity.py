"""Do key, certificate, pass type, team and chain belong together, and is it their time?

Apple says nothing helpful when they do not: phones just refuse the pass. So start-up asks
here first, and each problem is told in words with what to do about it. What a Pass Type ID
certificate looks like: its subject's UID is the pass type identifier, its OU the team; it is
issued by a "Worldwide Developer Relations" intermediate, of which there are several
generations, so the right one is found by the leaf's issuer and proved by its signature.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import (
    X509,
    X509Store,
    X509StoreContext,
    X509StoreContextError,
    X509StoreFlags,
)
from sqlmodel import Session, col, select

from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings

SigningKey = RSAPrivateKey | EllipticCurvePrivateKey

# Public certificates that come with the project.
REPOSITORY_CERTS = Path(__file__).resolve().parents[2] / "certs"
DEVELOPMENT = "walletsvc development (not Apple)"

_NEW_FROM_APPLE = (
    "create a new Pass Type ID certificate at developer.apple.com and install it with its key"
)


@dataclass(frozen=True)
class Problem:
    """Why passes of one type cannot be signed, and what to do about it."""

    pass_type: str
    message: str

    def __str__(self) -> str:
        return f"{self.pass_type}: {self.message}"


@dataclass(frozen=True)
class SigningIdentity:
    """Everything needed to sign for one pass type, checked."""

    certificate_id: int
    pass_type_identifier: str
    team_identifier: str
    certificate: x509.Certificate
    key: SigningKey
    chain: tuple[x509.Certificate, ...]


def active_certificate(session: Session, pass_type_id: int) -> SigningCertificate | None:
    """The certificate that signs for a pass type now; the newest if there are several."""
    return session.exec(
        select(SigningCertificate)
        .where(
            SigningCertificate.pass_type_id == pass_type_id,
            SigningCertificate.state == CertificateState.ACTIVE,
        )
        .order_by(col(SigningCertificate.id).desc())
        .limit(1)
    ).first()


def trust_anchors(settings: Settings) -> list[x509.Certificate]:
    """Apple's root and the development roots of this installation.

    Raises ConfigurationError naming a file that is not a certificate.
    """
    files = [REPOSITORY_CERTS / "AppleRootCA.pem", *sorted(roots_dir(settings).glob("*.pem"))]
    return [certificate for file in files if file.exists() for certificate in _certificates(file)]


def roots_dir(settings: Settings) -> Path:
    """Where this installation keeps the development roots it trusts."""
    return settings.certs_dir / "roots"


def intermediates(settings: Settings) -> list[x509.Certificate]:
    """Intermediate certificates that come with the project or lie in the data directory."""
    files = [*sorted(REPOSITORY_CERTS.glob("*.pem")), *sorted(settings.certs_dir.glob("*.pem"))]
    found = [certificate for file in files for certificate in _certificates(file)]
    return [certificate for certificate in found if certificate.issuer != certificate.subject]


def issuer_of(
    leaf: x509.Certificate, candidates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    """The candidate whose name and signature say that it issued `leaf`."""
    for candidate in candidates:
        try:
            leaf.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return candidate
    return None


def check(session: Session, settings: Settings, now: datetime) -> list[Problem]:
    """Every reason why passes cannot be signed at `now`; an empty list is good news."""
    problems: list[Problem] = []
    for pass_type in session.exec(select(PassType).order_by(PassType.identifier)):
        row = active_certificate(session, pass_type.id)
        problems.extend(
            Problem(pass_type.identifier, message)
            for message in (
                [_no_certificate()] if row is None else examine(pass_type, row, settings, now)
            )
        )
    return problems


def load(session: Session, settings: Settings, pass_type_id: int, now: datetime) -> SigningIdentity:
    """Key, leaf and issuing intermediate of a pass type, checked for `now`.

    Raises ConfigurationError with every problem in words.
    """
    pass_type = session.get_one(PassType, pass_type_id)
    row = active_certificate(session, pass_type_id)
    if row is None:
        raise ConfigurationError(f"{pass_type.identifier}: {_no_certificate()}")
    messages = examine(pass_type, row, settings, now)
    if messages:
        raise ConfigurationError(" ".join(f"{pass_type.identifier}: {text}" for text in messages))
    leaf = x509.load_pem_x509_certificate(row.certificate_pem.encode())
    issuer = issuer_of(leaf, _candidates(row, settings))
    key = _read_key(settings.certs_dir / row.key_file)
    if issuer is None or isinstance(key, str):  # examine() has just found both in order
        raise ConfigurationError(f"{pass_type.identifier}: the files changed while being read.")
    return SigningIdentity(
        certificate_id=row.id,
        pass_type_identifier=pass_type.identifier,
        team_identifier=pass_type.team_identifier,
        certificate=leaf,
        key=key,
        chain=(issuer,),
    )


def examine(
    pass_type: PassType, row: SigningCertificate, settings: Settings, now: datetime
) -> list[str]:
    """What is wrong with one certificate row and its key, in words."""
    try:
        leaf = x509.load_pem_x509_certificate(row.certificate_pem.encode())
    except ValueError:
        return [f"The stored certificate cannot be read; {_NEW_FROM_APPLE}."]
    return [
        *_subject_problems(pass_type, leaf),
        *_date_problems(leaf, now),
        *_key_problems(settings.certs_dir / row.key_file, leaf),
        *_chain_problems(leaf, row, settings, now),
    ]


def _no_certificate() -> str:
    return (
        "There is no signing certificate for this pass type. For development run "
        f"'walletsvc certs dev'; otherwise {_NEW_FROM_APPLE}."
    )


def _subject_problems(pass_type: PassType, leaf: x509.Certificate) -> list[str]:
    problems = []
    named = _subject(leaf, NameOID.USER_ID)
    if named != pass_type.identifier:
        problems.append(
            f"The certificate was issued for the pass type {named or '(none)'}. "
            f"Install the certificate that Apple issued for {pass_type.identifier}."
        )
    team = _subject(leaf, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if team != pass_type.team_identifier:
        problems.append(
            f"The certificate belongs to the team {team or '(none)'}, but the pass type is set "
            f"up for the team {pass_type.team_identifier}. Use the certificate of that team."
        )
    return problems


def _date_problems(leaf: x509.Certificate, now: datetime) -> list[str]:
    if now < leaf.not_valid_before_utc:
        return [
            (
                f"The certificate is valid only from {_day(leaf.not_valid_before_utc)}, and the "
                f"clock says {_day(now)}. Check the clock of this machine."
            )
        ]
    if now > leaf.not_valid_after_utc:
        advice = "run 'walletsvc certs dev'" if is_development(leaf) else _NEW_FROM_APPLE
        return [
            (
                f"The certificate expired on {_day(leaf.not_valid_after_utc)}: passes can neither "
                f"be signed nor updated. To go on, {advice}."
            )
        ]
    return []


def is_development(leaf: x509.Certificate) -> bool:
    """Whether `walletsvc certs dev` made this certificate."""
    names = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(name.value == DEVELOPMENT for name in names)


def _key_problems(path: Path, leaf: x509.Certificate) -> list[str]:
    key = _read_key(path)
    if isinstance(key, str):
        return [key]
    problems = []
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        problems.append(
            f"The private key {path} is open to other users of this machine (mode {mode:04o}). "
            f"Run: chmod 600 {path}"
        )
    if key.public_key() != leaf.public_key():
        problems.append(
            f"The private key {path} does not belong to the certificate. "
            "Put the key there with which the certificate was requested."
        )
    return problems


def _read_key(path: Path) -> SigningKey | str:
    """The key, or why there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return f"The private key {path} is missing. Restore it from a backup, or {_NEW_FROM_APPLE}."
    except OSError as error:
        return (
            f"The private key {path} cannot be opened: {error.strerror}. "
            "Make it readable for the user that walletsvc runs as, and for nobody else."
        )
    except TypeError:
        return f"The private key {path} has a password. Store it without one, with mode 0600."
    except (ValueError, UnsupportedAlgorithm):
        return f"{path} is not a private key in PEM form. Restore it from a backup."
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        return f"The private key {path} is neither RSA nor EC; Apple issues certificates for those."
    return key


def _chain_problems(
    leaf: x509.Certificate, row: SigningCertificate, settings: Settings, now: datetime
) -> list[str]:
    issuer = issuer_of(leaf, _candidates(row, settings))
    if issuer is None:
        return [
            (
                f"The certificate was issued by '{leaf.issuer.rfc4514_string()}', and no matching "
                "intermediate certificate is at hand. Download that generation of Apple's "
                "Worldwide Developer Relations certificate and put it, in PEM form, into "
                f"{settings.certs_dir}."
            )
        ]
    # Dates of the leaf are told apart already; here only the rest of the chain counts.
    moment = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    failure = verify_chain(leaf, [issuer], trust_anchors(settings), moment)
    if failure is None:
        return []
    return [
        (
            f"The chain of the certificate does not lead to Apple's root certificate ({failure}). "
            "Use a certificate issued by Apple, or, for development, run 'walletsvc certs dev'."
        )
    ]


def verify_chain(
    leaf: x509.Certificate,
    untrusted: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    moment: datetime,
) -> str | None:
    """Build and verify the chain as of `moment`; None when it holds, else OpenSSL's reason."""
    store = X509Store()
    for anchor in anchors:
        store.add_cert(X509.from_cryptography(anchor))
    store.set_time(moment.astimezone(UTC))
    # Apple's private extensions may be marked critical; OpenSSL does not know them.
    store.set_flags(X509StoreFlags.IGNORE_CRITICAL)
    context = X509StoreContext(
        store,
        X509.from_cryptography(leaf),
        [X509.from_cryptography(certificate) for certificate in untrusted],
    )
    try:
        context.verify_certificate()
    except X509StoreContextError as error:
        return str(error)
    return None


def _candidates(row: SigningCertificate, settings: Settings) -> list[x509.Certificate]:
    stored = row.chain_pem.encode()
    chain = x509.load_pem_x509_certificates(stored) if stored.strip() else []
    return [*chain, *intermediates(settings)]


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{file} is not a certificate in PEM form. Replace or remove it."
        ) from error


def _subject(leaf: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    for attribute in leaf.subject.get_attributes_for_oid(oid):
        return str(attribute.value)
    return ""


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
