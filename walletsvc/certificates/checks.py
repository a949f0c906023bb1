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
    # Also of one that was handed over, whose worth is what was left, and of one that was given.
    Check(
        "Certificate {id} is worth {face}, but {began}.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id, c.face_value AS face,
               CASE WHEN e.id IS NULL THEN 'nothing ever came'
                    WHEN e.amount <> c.face_value THEN e.amount || ' came first'
                    ELSE 'that came at another time than it was issued' END AS began
          FROM certificates c
          JOIN programmes p ON p.id = c.programme_id
          LEFT JOIN (
            SELECT e.account_id, min(e.id) AS id
              FROM ledger_entries e JOIN accounts a ON a.id = e.account_id
               AND a.kind = 'certificate'
             GROUP BY e.account_id
          ) first ON first.account_id = c.account_id
          LEFT JOIN ledger_entries e ON e.id = first.id
          LEFT JOIN ledger_transactions t ON t.id = e.transaction_id
         WHERE e.id IS NULL OR e.amount <> c.face_value OR t.at <> c.issued_at
         ORDER BY c.id
        """,
    ),
    Check(
        "Certificate {id} is {state}, {told}.",
        """
        SELECT p.organisation_id AS owner, c.public_id AS id,
               CASE WHEN c.closed_at IS NULL THEN 'open' ELSE 'closed' END AS state,
               CASE WHEN ended.certificate_id IS NULL
                    THEN 'but was neither paid out, transferred nor cancelled'
                    ELSE 'but was paid out, transferred or cancelled' END AS told
          FROM certificates c
          JOIN programmes p ON p.id = c.programme_id
          LEFT JOIN (
            SELECT certificate_id FROM (
                SELECT DISTINCT ON (certificate_id) certificate_id, kind FROM certificate_events
                 WHERE kind IN ('paid_out', 'payout_undone')
                 ORDER BY certificate_id, id DESC
            ) latest WHERE kind = 'paid_out'
             UNION
            SELECT certificate_id FROM certificate_events
             WHERE kind IN ('transferred', 'cancelled')
          ) ended ON ended.certificate_id = c.id
         WHERE (c.closed_at IS NULL) = (ended.certificate_id IS NOT NULL)
         ORDER BY c.id
        """,
    ),
)
