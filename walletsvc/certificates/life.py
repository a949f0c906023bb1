"""A certificate's states beside its money: blocked, expired, handed on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.certificates.issuing import create
from walletsvc.certificates.locking import lock, note
from walletsvc.certificates.models import Certificate, EventKind
from walletsvc.certificates.states import State, require_spendable, state
from walletsvc.core.actor import SYSTEM, Actor
from walletsvc.core.errors import Refused
from walletsvc.jobs.changes import Lane, touch
from walletsvc.ledger.merging import merge
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.models import Programme

# Rows that somebody is changing are found again the next time.
_EXPIRE: Final = text("""
WITH ended AS (
    SELECT id FROM certificates
     WHERE expires_at <= :now AND expired_at IS NULL AND closed_at IS NULL
     ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), noted AS (
    UPDATE certificates SET expired_at = :now FROM ended WHERE certificates.id = ended.id
    RETURNING certificates.id
)
INSERT INTO certificate_events (certificate_id, kind, actor, reason, at)
SELECT id, 'expired', :actor, '', :now FROM noted
RETURNING certificate_id
""")


def block(
    session: Session, certificate: Certificate, *, actor: Actor, reason: str, now: datetime
) -> Certificate:
    """Stop a certificate; its money stays owed. Blocking a blocked one changes nothing.

    Whoever is about to redeem it has either done so before or finds it blocked. Raises
    InputError (no reason) and Refused (closed).
    """
    reason = check_text("reason", reason, 200)
    found = _open(session, certificate, now)
    if found.blocked_at is None:
        found.blocked_at, found.block_reason = now, reason
        note(session, found, EventKind.BLOCKED, actor=actor, reason=reason, now=now)
    return found


def unblock(
    session: Session, certificate: Certificate, *, actor: Actor, reason: str, now: datetime
) -> Certificate:
    """Let a blocked certificate be spent again; one that is not blocked stays as it is.

    Raises InputError (no reason) and Refused (closed).
    """
    reason = check_text("reason", reason, 200)
    found = _open(session, certificate, now)
    if found.blocked_at is not None:
        found.blocked_at, found.block_reason = None, ""
        note(session, found, EventKind.UNBLOCKED, actor=actor, reason=reason, now=now)
    return found


def hand_over(
    session: Session,
    certificate: Certificate,
    *,
    recipient_name: str = "",
    language: str = "ru",
    actor: Actor,
    reason: str,
    now: datetime,
) -> tuple[Certificate, str]:
    """A new certificate for another person with all that is left of this one, and its code.

    The old one is closed and its code dead; what is refunded of its past goes to the new one. A
    blocked one can be handed over too: that is how a lost or stolen code is replaced. Raises
    InputError, Refused (closed, or nothing left), CertificateExpired, and Conflict while a part
    is reserved.
    """
    reason = check_text("reason", reason, 200)
    old, account = lock(session, certificate, now)
    if state(old, now) is not State.BLOCKED:
        require_spendable(old, now)
    if not account.standing.balance:
        raise Refused("There is nothing left on the certificate to transfer.")
    new, code = create(
        session,
        programme=session.get_one(Programme, old.programme_id),
        face_value=account.standing.balance,
        origin=old.origin,
        recipient_name=recipient_name,
        language=language,
        expires_at=old.expires_at,
        branch_id=old.branch_id,
        now=now,
        transferred_from_id=old.id,
    )
    merge(session, account.id, new.account_id, actor=actor, reason=reason, now=now)
    old.closed_at = now
    note(session, old, EventKind.TRANSFERRED, actor=actor, reason=reason, now=now)
    return new, code


def note_expired(session: Session, now: datetime, limit: int = 500) -> int:
    """Note which certificates have ended, at most `limit`, so that their passes say so.

    Nothing is written off. Spending refuses from the very end on, whether this ran or not.
    """
    values = {"now": now, "limit": limit, "actor": str(SYSTEM)}
    ended = [row[0] for row in session.execute(_EXPIRE, values)]
    touch(session, "certificate", ended, at=now, lane=Lane.BULK)
    return len(ended)


def _open(session: Session, certificate: Certificate, now: datetime) -> Certificate:
    found, _ = lock(session, certificate, now)
    if found.closed_at is not None:
        raise Refused("The certificate is closed: it was transferred, paid out or cancelled.")
    return found
