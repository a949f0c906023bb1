"""Undoing what was done with a certificate by mistake: its issue, a top-up, a payout.

Unlike points these have rules of their own and leave a trace in its events, so they are not
undone as any transaction is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.certificates.locking import lock, note
from walletsvc.certificates.models import Certificate, EventKind
from walletsvc.core.actor import Actor
from walletsvc.core.errors import CertificateBlocked, Conflict, NotFound, Refused
from walletsvc.ledger.accounts import LockedAccount
from walletsvc.ledger.lots import UNDONE_SQL
from walletsvc.ledger.models import Transaction
from walletsvc.ledger.service import reverse
from walletsvc.merchants.rules import check_text

# What was put on a certificate or paid out of it, with what of that still stands, oldest first.
# Undone on whatever account: after a transfer that is the successor's.
_STANDING: Final = text(f"""
SELECT t.id, t.public_id, t.type,
       abs(e.amount) - {UNDONE_SQL.format(transaction="t.id")} AS left_of_it
  FROM ledger_entries e
  JOIN ledger_transactions t ON t.id = e.transaction_id
 WHERE e.account_id = :account_id AND t.type IN ('credit', 'debit')
   AND NOT EXISTS (
        SELECT FROM ledger_entries x JOIN accounts a ON a.id = x.account_id
         WHERE x.transaction_id = t.id AND a.code = 'redemption')
 ORDER BY t.id
""")  # noqa: S608 - composed of constants
_CONCERNED: Final = text("""
SELECT c.public_id, t.type FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN certificates c ON c.account_id = e.account_id
 WHERE t.id = :transaction_id AND t.type IN ('credit', 'debit')
   AND NOT EXISTS (
        SELECT FROM ledger_entries x JOIN accounts a ON a.id = x.account_id
         WHERE x.transaction_id = t.id AND a.code = 'redemption')
""")


@dataclass(frozen=True, slots=True)
class _Movement:
    """One that was not a redemption; `left` is what of it is not undone yet."""

    id: int
    public_id: str
    paid_out: bool
    left: int


def require_not_certificates(session: Session, transaction_id: int) -> None:
    """Raises Refused, naming the call to use, when it issued, topped up or paid out one."""
    row = session.execute(_CONCERNED, {"transaction_id": transaction_id}).first()
    if row is None:
        return
    call = "payout/undo" if row.type == "debit" else "cancel"
    raise Refused(
        "This transaction is of a gift certificate, which has rules of its own: use "
        f"POST /certificates/{row.public_id}/{call}."
    )


def undo_payout(
    session: Session, certificate: Certificate, *, actor: Actor, reason: str, now: datetime,
    branch_id: int | None = None,
) -> Transaction:  # fmt: skip
    """The remainder was not paid out after all: it is on the certificate, which is open again.

    Of several payouts the last that stands is undone. If the certificate was transferred
    meanwhile, its successor has the value and it stays closed. Raises InputError and Refused
    (nothing was paid out).
    """
    reason = check_text("reason", reason, 200)
    found, account = lock(session, certificate, now)
    paid = [move for move in _standing(session, found) if move.paid_out and move.left]
    if not paid:
        raise Refused("Nothing was paid out of this certificate.")
    done = reverse(session, paid[-1].id, actor=actor, reason=reason, now=now, branch_id=branch_id)
    if account.id == found.account_id:
        found.closed_at = None
    note(session, found, EventKind.PAYOUT_UNDONE, actor=actor, reason=reason, now=now)
    return done


def cancel(
    session: Session,
    certificate: Certificate,
    *,
    top_up: str | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
) -> Transaction:
    """Undo the issue of an unused certificate, which closes it, or one `top_up` (public id).

    The money goes back to where it came from. Raises InputError, NotFound (no such top-up that
    stands), Refused (closed, used, transferred from another, topped up), CertificateBlocked,
    Conflict while a part is reserved, and InsufficientFunds (a top-up was spent).
    """
    reason = check_text("reason", reason, 200)
    found, account = lock(session, certificate, now)
    _require_open(found, account)
    put = [move for move in _standing(session, found) if not move.paid_out and move.left]
    first = None if found.transferred_from_id is not None else put[0] if put else None
    if top_up is not None:
        chosen = next((move for move in put if move.public_id == top_up and move != first), None)
        if chosen is None:
            raise NotFound("There is no such top-up of this certificate.")
        return reverse(session, chosen.id, actor=actor, reason=reason, now=now, branch_id=branch_id)
    if first is None:
        raise Refused("The certificate was made of another one: its remainder can be paid out.")
    if len(put) > 1:
        raise Refused("The certificate was topped up: undo each top-up first (`transaction_id`).")
    if account.standing.balance != first.left:
        raise Refused("A part of the certificate was spent: its remainder can be paid out.")
    done = reverse(session, first.id, actor=actor, reason=reason, now=now, branch_id=branch_id)
    found.closed_at = now
    note(session, found, EventKind.CANCELLED, actor=actor, reason=reason, now=now)
    return done


def _require_open(certificate: Certificate, account: LockedAccount) -> None:
    if certificate.closed_at is not None:
        raise Refused("The certificate is closed already.")
    if certificate.blocked_at is not None:
        raise CertificateBlocked("The certificate is blocked: unblock it first.")
    if account.standing.held:
        raise Conflict("A part of it is reserved: capture or release the reservation first.")


def _standing(session: Session, certificate: Certificate) -> list[_Movement]:
    rows = session.execute(_STANDING, {"account_id": certificate.account_id})
    return [
        _Movement(row.id, row.public_id, row.type == "debit", int(row.left_of_it)) for row in rows
    ]
