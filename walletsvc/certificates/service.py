"""Issuing gift certificates and finding them by code."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, select

from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.rules import new_code, normalise_code
from walletsvc.core.actor import Actor
from walletsvc.core.errors import (
    CertificateBlocked,
    CertificateExpired,
    FieldError,
    InputError,
    Refused,
)
from walletsvc.core.ids import secret_token, token_hash
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.models import AccountKind, SystemCode
from walletsvc.ledger.service import credit, open_account
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.storage.columns import keyring


def issue(
    session: Session,
    *,
    programme: Programme,
    face_value: int,
    recipient_name: str = "",
    language: str = "ru",
    expires_at: datetime | None = None,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> tuple[Certificate, str]:
    """A certificate worth `face_value` minor units, and its code.

    The money comes from cash clearing: what was paid for it is from now on owed. Raises
    InputError naming the field, and Refused when the programme is closed or issues cards.
    """
    _check(programme, face_value, expires_at, now)
    account = open_account(
        session,
        organisation_id=programme.organisation_id,
        unit_id=programme.unit_id,
        kind=AccountKind.CERTIFICATE,
        now=now,
    )
    code, token = new_code(), secret_token()
    certificate = Certificate(
        programme_id=programme.id,
        branch_id=branch_id,
        account_id=account.id,
        code=code,
        code_hash=keyring().lookup_hash(code),
        origin=Origin.PAID,
        face_value=face_value,
        recipient_name=check_text("recipient_name", recipient_name, 120, required=False),
        language=language,
        link_token=token,
        link_hash=token_hash(token),
        issued_at=now,
        expires_at=expires_at,
    )
    session.add(certificate)
    session.flush()
    _fund(session, certificate, actor, reason)
    return certificate, code


def find_by_code(session: Session, text: str) -> Certificate | None:
    """The certificate with this code as typed; raises InputError when it cannot be a code."""
    code_hash = keyring().lookup_hash(normalise_code(text))
    return session.exec(select(Certificate).where(Certificate.code_hash == code_hash)).first()


def require_spendable(certificate: Certificate, now: datetime) -> None:
    """Raises CertificateBlocked, CertificateExpired, or Refused when it is closed."""
    if certificate.closed_at is not None:
        raise Refused("The certificate is closed.")
    if certificate.blocked_at is not None:
        raise CertificateBlocked("The certificate is blocked.")
    if certificate.expires_at is not None and certificate.expires_at <= now:
        raise CertificateExpired("The certificate has expired.")


def _fund(session: Session, certificate: Certificate, actor: Actor, reason: str) -> None:
    credit(
        session,
        certificate.account_id,
        certificate.face_value,
        source="certificate",
        actor=actor,
        reason=reason,
        now=certificate.issued_at,
        against=SystemCode.CASH_CLEARING,
        branch_id=certificate.branch_id,
    )


def _check(
    programme: Programme, face_value: int, expires_at: datetime | None, now: datetime
) -> None:
    if programme.kind is not ProgrammeKind.GIFT:
        raise Refused(f"The programme '{programme.slug}' issues cards, not certificates.")
    if programme.closed_at is not None:
        raise Refused(f"The programme '{programme.slug}' is closed.")
    if not 0 < face_value <= MAX_AMOUNT:
        message = "must be more than nothing and not absurdly much"
        raise InputError(
            f"face_value: {message}.", (FieldError("face_value", message, "out_of_range"),)
        )
    if expires_at is not None and expires_at <= now:
        message = "must lie in the future"
        raise InputError(
            f"expires_at: {message}.", (FieldError("expires_at", message, "out_of_range"),)
        )
