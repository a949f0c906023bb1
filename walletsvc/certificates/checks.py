"""What `ledger verify` asks of certificates: that each has an account of its own kind."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify import Check

CHECKS: Final = (
    Check(
        "Certificate {id} uses account {account}, {fault}.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id, a.public_id AS account,
               CASE WHEN a.kind <> 'certificate' THEN 'which is no certificate''s'
                    WHEN a.organisation_id <> p.organisation_id
                    THEN 'which is another organisation''s'
                    WHEN a.unit_id <> p.unit_id THEN 'which counts ' || u.code
                    ELSE 'which was merged into another' END AS fault
          FROM certificates c
          JOIN programmes p ON p.id = c.programme_id
          JOIN accounts a ON a.id = c.account_id
          JOIN ledger_units u ON u.id = a.unit_id
         WHERE a.kind <> 'certificate' OR a.organisation_id <> p.organisation_id
            OR a.unit_id <> p.unit_id OR a.merged_into_id IS NOT NULL AND c.closed_at IS NULL
         ORDER BY c.id
        """,
    ),
)
