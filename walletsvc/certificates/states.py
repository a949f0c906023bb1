"""What may be done with a certificate in which state: pure functions of its row and the time."""

from __future__ import annotations

import enum
from datetime import datetime

from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import CertificateBlocked, CertificateExpired, Refused


class State(enum.StrEnum):
    """Whether a certificate can be spent, and if not, why; what comes first decides."""

    CLOSED = "closed"  # transferred, paid out, or its issue was undone
    BLOCKED = "blocked"
    EXPIRED = "expired"
    ACTIVE = "active"


def state(certificate: Certificate, now: datetime) -> State:
    """The state at this moment, whatever the nightly job has noted so far."""
    if certificate.closed_at is not None:
        return State.CLOSED
    if certificate.blocked_at is not None:
        return State.BLOCKED
    if certificate.expires_at is not None and certificate.expires_at <= now:
        return State.EXPIRED
    return State.ACTIVE


def require_spendable(certificate: Certificate, now: datetime) -> None:
    """Raises Refused (closed), CertificateBlocked or CertificateExpired."""
    match state(certificate, now):
        case State.CLOSED:
            raise Refused("The certificate is closed: it was transferred, paid out or cancelled.")
        case State.BLOCKED:
            raise CertificateBlocked("The certificate is blocked; staff can say why.")
        case State.EXPIRED:
            raise CertificateExpired(
                "The certificate has expired: it cannot be spent, its remainder can be paid out."
            )
        case State.ACTIVE:
            pass
