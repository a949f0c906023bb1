"""Reading plastic numbers: whose card a till may take for one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.cards.plastic.rules import normalise
from walletsvc.core.errors import InputError

_ACCEPTED: Final = text("""
SELECT c.public_id, n.organisation_id = :organisation_id AS own, c.closed_at IS NULL AS open
  FROM plastic_numbers n
  JOIN cards shown ON shown.id = n.card_id
  JOIN cards c ON c.id = coalesce(shown.merged_into_id, shown.id)
 WHERE n.number = :number
   AND (n.organisation_id = :organisation_id OR EXISTS (
        SELECT FROM acceptances a WHERE a.issuer_id = n.organisation_id
           AND a.acceptor_id = :organisation_id AND a.points))
 ORDER BY n.organisation_id <> :organisation_id, c.closed_at IS NOT NULL, n.organisation_id
""")


def accepted(session: Session, organisation_id: int, written: str) -> str | None:
    """The public id of the card that a plastic number stands for at this organisation: its own,
    or one of those whose points it takes. A card that was merged means the one it is part of.

    Two organisations may have printed the same number: one's own goes first, and of others whose
    points are both taken it is nobody's, for nothing tells whose card was shown.
    """
    try:
        number = normalise(written)
    except InputError:
        return None
    wanted = {"number": number, "organisation_id": organisation_id}
    found = session.execute(_ACCEPTED, wanted).all()
    if not found:
        return None
    first: str = found[0].public_id
    others = {row.public_id for row in found if row.open}
    return first if found[0].own or len(others) <= 1 else None
