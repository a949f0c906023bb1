"""Whether somebody has used a card, or moved what is on it, since an import."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.enrolment.importing.models import Import

# In the order in which claims and registrations lock them: phones, numbers, cards.
_LOCKS: Final = (
    text("""
SELECT f.id FROM phones f
 WHERE f.id IN (SELECT phone_id FROM person_phones
                 WHERE person_id = ANY(CAST(:people AS bigint[])))
 ORDER BY f.e164 FOR UPDATE
"""),
    text(
        "SELECT id FROM plastic_numbers WHERE card_id = ANY(CAST(:cards AS bigint[]))"
        " ORDER BY id FOR UPDATE"
    ),
    text(
        "SELECT id FROM cards WHERE id = ANY(CAST(:cards AS bigint[]))"
        " ORDER BY id FOR NO KEY UPDATE"
    ),
)
# Its account has entries of the import's rows only, and of those that came in and went before.
_USED: Final = """
SELECT c.id, CASE
    WHEN c.closed_at IS NOT NULL THEN 'the card was closed'
    WHEN c.group_id IS NOT NULL THEN 'the card is in a group'
    WHEN EXISTS (SELECT FROM plastic_numbers n WHERE n.card_id = c.id
                    AND n.claimed_at IS NOT NULL) THEN 'the card was claimed'
    WHEN EXISTS (SELECT FROM plastic_numbers n WHERE n.card_id = c.id
                    AND n.import_id IS DISTINCT FROM :import_id)
    THEN 'the card got another number'
    WHEN EXISTS (SELECT FROM passes p WHERE p.card_id = c.id
                    AND (p.published_at IS NOT NULL OR p.downloaded_at IS NOT NULL
                         OR p.wallet <> 'apple')) THEN 'the card is in a wallet'
    WHEN EXISTS (SELECT FROM purchases b WHERE b.card_id = c.id) THEN 'the card bought something'
    WHEN EXISTS (SELECT FROM import_rows r WHERE r.card_id = c.id AND r.import_id <> :import_id
                    AND r.outcome IN ('created', 'joined', 'kept'))
    THEN 'another import brought something onto the card'
    WHEN EXISTS (SELECT FROM holds h WHERE h.account_id = c.account_id)
      OR (SELECT count(*) FROM ledger_entries e WHERE e.account_id = c.account_id) <>
         (SELECT count(r.transaction_id) + count(r.reversal_id) FROM import_rows r
           WHERE r.card_id = c.id)
    THEN 'its points moved'
    WHEN EXISTS (SELECT FROM import_rows r JOIN lots l ON l.transaction_id = r.transaction_id
                  WHERE r.card_id = c.id AND r.outcome <> 'undone'
                    AND (l.remaining < l.original OR l.held > 0 OR l.expires_at <= :now))
    THEN 'its points have ended'
    WHEN n.closed_at IS NOT NULL THEN 'its holder was closed'
    WHEN EXISTS (SELECT FROM person_phones h WHERE h.person_id = n.id
                    AND h.verified_at IS NOT NULL) THEN 'its holder proved their phone'
    <references>
    END AS why
  FROM cards c JOIN persons n ON n.id = c.person_id
 WHERE c.id = ANY(CAST(:cards AS bigint[]))
"""
# Turnover knows the account that it came onto. A tier alone does not: its card must have been in
# no other since.
_MOVED: Final = text("""
SELECT r.row, CASE
    WHEN c.merged_into_id IS NOT NULL THEN 'the card was merged'
    WHEN c.closed_at IS NOT NULL THEN 'the card was closed'
    ELSE 'the card has another account'
    END AS why
  FROM import_rows r JOIN cards c ON c.id = r.card_id
  JOIN unnest(CAST(:rows AS bigint[]), CAST(:accounts AS bigint[])) AS held (row, account_id)
    ON held.row = r.row
  LEFT JOIN brought_turnover b ON b.id = r.brought_id
 WHERE r.import_id = :import_id
   AND (c.closed_at IS NOT NULL OR c.account_id <> held.account_id
        OR b.account_id <> c.account_id
        OR (r.tier_set AND r.brought_id IS NULL AND (
            EXISTS (SELECT FROM group_members m WHERE m.card_id = c.id
                       AND (m.left_at >= :run_at
                            OR (m.joined_at >= :run_at AND m.proof <> 'founder')))
            OR EXISTS (SELECT FROM card_merges g WHERE g.card_id = c.id
                          AND g.merged_at >= :run_at AND g.account_id <> c.account_id))))
""")
# What refers to a card or person of which the statement above knows what it means.
_KNOWN: Final = frozenset(
    {"passes", "plastic_numbers", "import_rows", "purchases", "cards", "person_phones",
     "card_secrets", "card_registrations"}
)  # fmt: skip
# Whatever other feature refers to it, has used it. Only by what has an index: without one the
# account's entries tell, and looking would read all of a table for each card.
_REFERENCES: Final = text("""
SELECT f.conrelid::regclass::text AS name, a.attname AS column, f.confrelid::regclass::text AS of
  FROM pg_constraint f
  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
 WHERE f.contype = 'f' AND f.confrelid IN ('cards'::regclass, 'persons'::regclass)
   AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = f.conrelid AND i.indkey[0] = a.attnum)
 ORDER BY 1, 2
""")


def lock_cards(session: Session, cards: Collection[int], people: Collection[int]) -> None:
    """Nobody claims, groups or sells with these cards until the transaction ends, and nobody
    registers with their holders' phones."""
    wanted = {"cards": sorted(cards), "people": sorted(people)}
    for lock in _LOCKS:
        session.execute(lock, wanted)


def uses(session: Session, found: Import, cards: Collection[int], now: datetime) -> dict[int, str]:
    """Which of the cards, made by this import, are in use, and by what in words. The caller holds
    their locks."""
    if not cards:
        return {}
    references = [
        f"WHEN EXISTS (SELECT FROM {row.name} x WHERE x.{row.column} = "
        f"{'c' if row.of == 'cards' else 'n'}.id) THEN 'it is known to {row.name}'"
        for row in session.execute(_REFERENCES)
        if row.name not in _KNOWN
    ]
    statement = text(_USED.replace("<references>", "\n    ".join(references)))
    wanted = {"cards": sorted(cards), "import_id": found.id, "now": now}
    return {row.id: row.why for row in session.execute(statement, wanted) if row.why}


def moved(session: Session, found: Import, rows: Mapping[int, int]) -> dict[int, str]:
    """What of the rows, told with the account that is locked for each, came onto a card that is
    closed or has another account by now, and why in words: taking it back there would be wrong.
    The caller holds the locks of the cards."""
    wanted = {
        "rows": list(rows),
        "accounts": list(rows.values()),
        "import_id": found.id,
        "run_at": found.run_at,
    }
    return {row.row: row.why for row in session.execute(_MOVED, wanted)} if rows else {}
