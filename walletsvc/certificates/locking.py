"""Locking a certificate: by its account, as every movement of its money does."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.certificates.models import Certificate, CertificateEvent, EventKind
from walletsvc.core.actor import Actor
from walletsvc.jobs.changes import touch
from walletsvc.ledger.accounts import LockedAccount
from walletsvc.ledger.service import lock as lock_account


def lock(
    session: Session, certificate: Certificate, now: datetime
) -> tuple[Certificate, LockedAccount]:
    """The certificate as it is while this transaction holds its account, and that account.

    What the caller read before may have changed while it waited. The account of a certificate
    that was transferred is its successor's.
    """
    account = lock_account(session, [certificate.account_id], now=now)[certificate.account_id]
    return session.get_one(Certificate, certificate.id, populate_existing=True), account


def note(
    session: Session,
    certificate: Certificate,
    kind: EventKind,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """Write down that its state changed, and have its passes follow."""
    session.add(
        CertificateEvent(
            certificate_id=certificate.id, kind=kind, actor=str(actor), reason=reason, at=now
        )
    )
    session.flush()
    touch(session, "certificate", [certificate.id], at=now)
