"""Reading plastic numbers: whose card a till may take for one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.cards.plastic.rules import normalise
from walletsvc.core.errors import InputError

# Two organisations may have printed the same number: one's own goes first, then a card that can
# be used, then that of whoever was here first.
_ACCEPTED: Final = text("""
SELECT c.public_id FROM plastic_numbers n
  JOIN cards c ON c.id = n.card_id
 WHERE n.number = :number
   AND (n.organisation_id = :organisation_id OR EXISTS (
        SELECT FROM acceptances a WHERE a.issuer_id = n.organisation_id
           AND a.acceptor_id = :organisation_id AND a.points))
 ORDER BY n.organisation_id <> :organisation_id, c.closed_at IS NOT NULL, n.organisation_id
 LIMIT 1
""")


def accepted(session: Session, organisation_id: int, written: str) -> str | None:
    """The public id of the card that a plastic number stands for at this organisation: its own,
    or one of those whose points it takes."""
    try:
        number = normalise(written)
    except InputError:
        return None
    found: str | None = session.execute(
        _ACCEPTED, {"number": number, "organisation_id": organisation_id}
    ).scalar()
    return found
