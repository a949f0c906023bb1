"""Taking a certificate's money, giving it back, and paying out what is left."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.certificates.locking import lock, note
from walletsvc.certificates.models import Certificate, EventKind, Origin
from walletsvc.certificates.queries import find_redemption
from walletsvc.certificates.states import require_spendable
from walletsvc.core.actor import Actor
from walletsvc.core.errors import CertificateBlocked, Conflict, NotFound, Refused
from walletsvc.ledger.models import SystemCode, Transaction
from walletsvc.ledger.parties import require_undoable
from walletsvc.ledger.service import debit, reverse
from walletsvc.merchants.acceptance import require_accepted, require_open_branch
from walletsvc.merchants.rules import check_text


def redeem(
    session: Session,
    certificate: Certificate,
    amount: int,
    *,
    acceptor_id: int,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Transaction:
    """Pay `amount` minor units of a bill at an organisation that accepts the certificate.

    What is left stays on it. Raises InputError, NotAccepted (the organisation, or the branch is
    switched off), Refused (closed), CertificateBlocked, CertificateExpired, and
    InsufficientFunds, whose data holds `available`.
    """
    require_open_branch(session, branch_id)
    found, account = lock(session, certificate, now)
    require_accepted(
        session, issuer_id=account.organisation_id, acceptor_id=acceptor_id, points=False
    )
    require_spendable(found, now)
    return debit(
        session,
        account.id,
        amount,
        actor=actor,
        reason=reason,
        now=now,
        acceptor_id=acceptor_id,
        branch_id=branch_id,
    )


def refund(
    session: Session,
    certificate: Certificate,
    transaction_id: str,
    *,
    amount: int | None = None,
    organisation_id: int,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Transaction:
    """Give back `amount` of a redemption (public id): all that is left of it when None.

    The value goes back whatever became of the certificate; its state stays as it is. If it was
    transferred, its successor has the value. Only the organisation that took it can give it
    back: the issuer owes for it. Raises NotFound (no redemption of this certificate, or none
    that concerns the organisation), AlreadyReversed and Refused (the issuer's wish; or more
    than is left, then its data holds `reversible`).
    """
    found = find_redemption(session, certificate, transaction_id)
    if found is None or organisation_id not in (found.acceptor_id, found.issuer_id):
        raise NotFound("There is no such redemption.")
    require_undoable(found.acceptor_id, organisation_id)
    return reverse(
        session,
        found.transaction_id,
        amount=amount,
        actor=actor,
        reason=reason,
        now=now,
        branch_id=branch_id,
    )


def pay_out(
    session: Session,
    certificate: Certificate,
    *,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Transaction:
    """Pay all that is left to the bearer and close the certificate; also after its end.

    What was paid for a certificate is an advance: unused, it is the bearer's. Raises Refused (a
    given certificate, one that was transferred, nothing left), CertificateBlocked, and Conflict
    while a part is reserved.
    """
    reason = check_text("reason", reason, 200)
    found, account = lock(session, certificate, now)
    if found.origin is Origin.FREE:
        raise Refused("The certificate was given, not bought: there is nothing to pay back.")
    if account.id != found.account_id:
        raise Refused("The certificate was transferred: its value is on its successor.")
    if found.blocked_at is not None:
        raise CertificateBlocked("The certificate is blocked: unblock it first.")
    if account.standing.held:
        raise Conflict("A part of it is reserved: capture or release the reservation first.")
    if not account.standing.balance:
        raise Refused("There is nothing left on the certificate.")
    paid = debit(
        session,
        account.id,
        account.standing.balance,
        actor=actor,
        reason=reason,
        now=now,
        against=SystemCode.CASH_CLEARING,
        branch_id=branch_id,
    )
    # A redemption refunded after this puts value on a closed certificate: it is paid out again.
    found.closed_at = found.closed_at or now
    note(session, found, EventKind.PAID_OUT, actor=actor, reason=reason, now=now)
    return paid
