"""What `ledger verify` asks of cards: that each points at the account it should."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify import Check

CHECKS: Final = (
    Check(
        "Card {id} uses account {account}, {fault}.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id, a.public_id AS account,
               CASE WHEN a.kind <> 'customer' THEN 'which is no points account'
                    WHEN a.organisation_id <> p.organisation_id
                    THEN 'which is another organisation''s'
                    WHEN a.unit_id <> p.unit_id THEN 'which counts ' || u.code
                    ELSE 'which was merged into another' END AS fault
          FROM cards c
          JOIN programmes p ON p.id = c.programme_id
          JOIN accounts a ON a.id = c.account_id
          JOIN ledger_units u ON u.id = a.unit_id
         WHERE a.kind <> 'customer' OR a.organisation_id <> p.organisation_id
            OR a.unit_id <> p.unit_id OR a.merged_into_id IS NOT NULL AND c.closed_at IS NULL
         ORDER BY c.id
        """,
    ),
    Check(
        "Card {id} is in group {group}, whose account it does not use.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id, g.public_id AS group
          FROM cards c
          JOIN card_groups g ON g.id = c.group_id AND g.account_id <> c.account_id
          JOIN programmes p ON p.id = c.programme_id
         WHERE c.closed_at IS NULL
         ORDER BY c.id
        """,
    ),
)
