"""Listing the certificates that an organisation issued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.states import State
from walletsvc.programmes.models import Programme

# `state` says in SQL what `states.state` says, and a test compares them. Holds that ran out hold
# nothing, noted or not.
_LIST: Final = text("""
WITH own AS (
    SELECT c.*, p.slug, p.currency,
           CASE WHEN c.closed_at IS NOT NULL THEN 'closed'
                WHEN c.blocked_at IS NOT NULL THEN 'blocked'
                WHEN c.expires_at <= :now THEN 'expired'
                ELSE 'active' END AS state
      FROM certificates c
      JOIN programmes p ON p.id = c.programme_id
     WHERE p.organisation_id = :organisation_id
       AND (CAST(:programme_id AS bigint) IS NULL OR c.programme_id = :programme_id)
       AND (CAST(:branch_id AS bigint) IS NULL OR c.branch_id = :branch_id)
       AND (CAST(:issued_from AS timestamptz) IS NULL OR c.issued_at >= :issued_from)
       AND (CAST(:issued_to AS timestamptz) IS NULL OR c.issued_at < :issued_to)
       AND (CAST(:before_id AS bigint) IS NULL OR c.id < :before_id)
)
SELECT own.public_id, own.slug AS programme, own.currency, own.state, own.face_value,
       a.balance, own.origin, own.recipient_name, own.language, own.issued_at, own.expires_at,
       b.public_id AS branch,
       CASE WHEN own.state = 'active' THEN greatest(a.balance - coalesce(active.held, 0), 0)
            ELSE 0 END::bigint AS available
  FROM own
  JOIN accounts a ON a.id = own.account_id
  LEFT JOIN branches b ON b.id = own.branch_id
  LEFT JOIN LATERAL (
    SELECT sum(h.amount) AS held FROM holds h
     WHERE a.held > 0 AND h.account_id = a.id AND h.state = 'active' AND h.expires_at > :now
  ) active ON true
 WHERE CAST(:state AS text) IS NULL OR own.state = :state
 ORDER BY own.id DESC
 LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which certificates: issued from `issued_from` until before `issued_to`; None for any."""

    state: State | None = None
    programme_id: int | None = None
    branch_id: int | None = None
    issued_from: datetime | None = None
    issued_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedCertificate:
    """A certificate in a list; sums in minor units of the currency, `branch` a public id."""

    public_id: str
    programme: str
    currency: str
    state: State
    face_value: int
    balance: int
    available: int
    origin: Origin
    recipient_name: str
    language: str
    branch: str | None
    issued_at: datetime
    expires_at: datetime | None


def place(session: Session, organisation_id: int, public_id: str) -> int | None:
    """Where the certificate with this public id stands among those the organisation issued."""
    return session.exec(
        select(Certificate.id)
        .join(Programme, col(Programme.id) == col(Certificate.programme_id))
        .where(Certificate.public_id == public_id, Programme.organisation_id == organisation_id)
    ).first()


def issued(
    session: Session,
    organisation_id: int,
    wanted: Wanted,
    *,
    now: datetime,
    before_id: int | None = None,
    limit: int,
) -> Sequence[ListedCertificate]:
    """The certificates that the organisation issued, newest first, as they are at `now`.

    `before_id` is the `place` of the last one of the piece before.
    """
    rows = session.execute(
        _LIST,
        {
            "organisation_id": organisation_id,
            "programme_id": wanted.programme_id,
            "branch_id": wanted.branch_id,
            "issued_from": wanted.issued_from,
            "issued_to": wanted.issued_to,
            "before_id": before_id,
            "state": wanted.state,
            "now": now,
            "limit": limit,
        },
    )
    return [
        ListedCertificate(**{**row, "state": State(row["state"]), "origin": Origin(row["origin"])})
        for row in rows.mappings()
    ]
