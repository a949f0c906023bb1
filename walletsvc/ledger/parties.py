"""Which organisations a transaction is between: who issued the value, and who moved it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.errors import NotFound, Refused

# Whoever has a side in it. Who took or gave has the entry that is neither the holder's, nor
# between organisations, nor of what is to come.
_FIND: Final = text("""
SELECT t.id, t.organisation_id AS issuer_id,
       (SELECT a.organisation_id FROM ledger_entries e JOIN accounts a ON a.id = e.account_id
         WHERE e.transaction_id = t.id
           AND a.code IN ('redemption', 'issuance', 'cash-clearing') LIMIT 1) AS mover_id
  FROM ledger_transactions t
 WHERE t.public_id = :public_id AND EXISTS (
    SELECT FROM ledger_entries e JOIN accounts a ON a.id = e.account_id
     WHERE e.transaction_id = t.id AND a.organisation_id = :organisation_id)
""")


@dataclass(frozen=True, slots=True)
class Parties:
    """A transaction and its sides: `mover_id` took the value or gave it."""

    transaction_id: int
    issuer_id: int
    mover_id: int


def find(session: Session, public_id: str, organisation_id: int) -> Parties:
    """The transaction with this public id, if the organisation has a side in it; NotFound."""
    row = session.execute(
        _FIND, {"public_id": public_id, "organisation_id": organisation_id}
    ).first()
    if row is None:
        raise NotFound("There is no such transaction.")
    return Parties(row.id, row.issuer_id, row.issuer_id if row.mover_id is None else row.mover_id)


def require_undoable(mover_id: int, organisation_id: int) -> None:
    """Raises Refused unless this organisation took or gave the value itself.

    An issuer owes the one who took, maybe has paid it; if it could undo that, it would free
    itself of its debt.
    """
    if organisation_id != mover_id:
        raise Refused("Another organisation took or gave this value: only it can undo that.")
