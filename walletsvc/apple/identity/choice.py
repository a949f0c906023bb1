"""Which certificate signs for a pass type on this machine now.

The active one, unless it does not work here: a key that has not been copied to this host yet,
a clock that is behind. Then the newest retired one that still works goes on signing, so that
a renewal never stops anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlmodel import Session, col, select

from walletsvc.apple.identity.chain import chain_problems, intermediates, issuer_of
from walletsvc.apple.identity.keys import SigningKey, key_problems, read_key
from walletsvc.apple.identity.rules import (
    NEW_FROM_APPLE,
    date_problems,
    is_development,
    subject_problems,
)
from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings


@dataclass(frozen=True)
class SigningIdentity:
    """Everything needed to sign for one pass type, checked."""

    certificate_id: int
    pass_type_identifier: str
    team_identifier: str
    certificate: x509.Certificate
    key: SigningKey
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class Choice:
    """The row that signs, None when none can, and what is wrong with the active one."""

    used: SigningCertificate | None
    problems: tuple[str, ...]


def active_certificate(session: Session, pass_type_id: int) -> SigningCertificate | None:
    """The certificate that should sign for a pass type."""
    return session.exec(
        select(SigningCertificate).where(
            SigningCertificate.pass_type_id == pass_type_id,
            SigningCertificate.state == CertificateState.ACTIVE,
        )
    ).first()


def choose(session: Session, pass_type: PassType, settings: Settings, now: datetime) -> Choice:
    """Which certificate signs for a pass type at `now` on this machine."""
    active = active_certificate(session, pass_type.id)
    if active is None:
        return Choice(None, (_no_certificate(),))
    problems = examine(pass_type, active, settings, now)
    if not problems:
        return Choice(active, ())
    retired = session.exec(
        select(SigningCertificate)
        .where(
            SigningCertificate.pass_type_id == pass_type.id,
            SigningCertificate.state == CertificateState.RETIRED,
            SigningCertificate.not_after >= now,
        )
        .order_by(col(SigningCertificate.not_before).desc(), col(SigningCertificate.id).desc())
    )
    for row in retired:
        # One made here would "work", and every phone would refuse its passes.
        alike = _made_here(row) == _made_here(active)
        if alike and not examine(pass_type, row, settings, now):
            return Choice(row, tuple(problems))
    return Choice(None, tuple(problems))


def load(session: Session, settings: Settings, pass_type_id: int, now: datetime) -> SigningIdentity:
    """Key, leaf and issuing intermediate with which a pass type is signed for at `now`.

    Raises ConfigurationError with every problem in words when nothing works.
    """
    pass_type = session.get_one(PassType, pass_type_id)
    choice = choose(session, pass_type, settings, now)
    row = choice.used
    if row is None:
        raise ConfigurationError(
            " ".join(f"{pass_type.identifier}: {text}" for text in choice.problems)
        )
    leaf = x509.load_pem_x509_certificate(row.certificate_pem.encode())
    issuer = issuer_of(leaf, _candidates(row, settings))
    key = read_key(settings.certs_dir / row.key_file)
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
    leaf = stored_leaf(row)
    if leaf is None:
        return [f"The stored certificate cannot be read; {NEW_FROM_APPLE}."]
    return [
        *subject_problems(pass_type.identifier, pass_type.team_identifier, leaf),
        *date_problems(leaf, now),
        *key_problems(settings.certs_dir / row.key_file, leaf),
        *chain_problems(leaf, _candidates(row, settings), settings, now),
    ]


def stored_leaf(row: SigningCertificate) -> x509.Certificate | None:
    """The certificate of a row; None when it cannot be read."""
    try:
        return x509.load_pem_x509_certificate(row.certificate_pem.encode())
    except ValueError:
        return None


def _made_here(row: SigningCertificate) -> bool:
    leaf = stored_leaf(row)
    return leaf is not None and is_development(leaf)


def _no_certificate() -> str:
    return (
        "There is no signing certificate for this pass type. For development run "
        f"'walletsvc certs dev'; otherwise {NEW_FROM_APPLE}."
    )


def _candidates(row: SigningCertificate, settings: Settings) -> list[x509.Certificate]:
    stored = row.chain_pem.encode()
    chain = x509.load_pem_x509_certificates(stored) if stored.strip() else []
    return [*chain, *intermediates(settings)]
