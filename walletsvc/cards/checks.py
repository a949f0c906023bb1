"""What `ledger verify` asks of cards: that each uses the account it should, or shares by right."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify import Check
from walletsvc.ledger.verify.reversals import HEIRS

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
    Check(
        "Card {id} uses account {account} of another card, without being in one group with it.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id, a.public_id AS account
          FROM (
            SELECT account_id FROM cards WHERE closed_at IS NULL GROUP BY account_id
            HAVING count(*) > 1 AND (count(*) > count(group_id) OR min(group_id) < max(group_id))
          ) shared
          JOIN cards c ON c.account_id = shared.account_id AND c.closed_at IS NULL
          JOIN accounts a ON a.id = c.account_id
          JOIN programmes p ON p.id = c.programme_id
         ORDER BY c.id
        """,
    ),
    Check(
        "Card {id} is in {stored}, but by its members it is in {told}.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id,
               coalesce('group ' || g.public_id, 'no group') AS stored,
               coalesce('group ' || mg.public_id, 'no group') AS told
          FROM cards c
          LEFT JOIN group_members m ON m.card_id = c.id AND m.left_at IS NULL
          LEFT JOIN card_groups g ON g.id = c.group_id
          LEFT JOIN card_groups mg ON mg.id = m.group_id
          JOIN programmes p ON p.id = c.programme_id
         WHERE c.group_id IS DISTINCT FROM m.group_id
         ORDER BY c.id
        """,
    ),
    Check(
        "Card {id} is in group {group}, which {fault}.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id, g.public_id AS group,
               CASE WHEN g.closed_at IS NOT NULL THEN 'has ended'
                    ELSE 'is of another programme' END AS fault
          FROM cards c
          JOIN card_groups g ON g.id = c.group_id
          JOIN programmes p ON p.id = c.programme_id
         WHERE g.closed_at IS NOT NULL OR g.programme_id <> c.programme_id
         ORDER BY c.id
        """,
    ),
    # A card that never shared has had one account only, or the one that stands in for it.
    Check(
        "Transaction {id} of card {card} is on account {account}, which the card does not use.",
        f"""
        WITH RECURSIVE {HEIRS}
        SELECT p.organisation_id AS owner, t.public_id AS id, c.public_id AS card,
               a.public_id AS account
          FROM ledger_transactions t
          JOIN cards c ON c.id = t.card_id
          JOIN ledger_entries e ON e.transaction_id = t.id AND e.balance_after IS NOT NULL
           AND e.account_id <> c.account_id
          JOIN accounts a ON a.id = e.account_id
          JOIN programmes p ON p.id = c.programme_id
          LEFT JOIN last theirs ON theirs.id = c.account_id
          LEFT JOIN last its ON its.id = e.account_id
         WHERE NOT EXISTS (SELECT FROM group_members m WHERE m.card_id = c.id)
           AND coalesce(its.heir, e.account_id) <> coalesce(theirs.heir, c.account_id)
         ORDER BY t.id
        """,  # noqa: S608 - composed of constants
    ),
)
