"""What `ledger verify` asks of purchases: that the ledger and the tiers tell of the same sales."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify import Check
from walletsvc.ledger.verify.reversals import HEIRS

# What of a transaction is its holder's: an accrual waits in `pending`.
_MOVED: Final = """
SELECT x.purchase_id, x.position, x.kind, <transaction> AS transaction_id,
       coalesce(sum(e.amount) FILTER (WHERE a.kind <> 'system' OR a.code = 'pending'), 0) AS moved,
       max(e.account_id) FILTER (WHERE a.kind <> 'system') AS account_id
  FROM purchase_parts x
  <join>
  LEFT JOIN ledger_entries e ON e.transaction_id = <transaction>
  LEFT JOIN accounts a ON a.id = e.account_id
 GROUP BY x.purchase_id, x.position, <transaction>
"""
_OF_PARTS: Final = _MOVED.replace("<join>", "").replace("<transaction>", "x.transaction_id")
_OF_REVERSALS: Final = _MOVED.replace(
    "<join>", "JOIN ledger_transactions r ON r.undoes_id = x.transaction_id"
).replace("<transaction>", "r.id")

CHECKS: Final = (
    # Merging moves the turnover to the account that stands in, a refund counts on its purchase's
    # day; whoever leaves a group leaves what was bought there. What an import brought counts too.
    Check(
        "Account {id} bought for {stored} on {day} at {shop}, by its purchases and refunds"
        " for {told}.",
        f"""
        WITH RECURSIVE {HEIRS}, back AS (
            SELECT purchase_id, sum((outcome #>> '{{share,total,turnover}}')::bigint) AS amount
              FROM refunds WHERE state = 'done' GROUP BY purchase_id
        ), counted AS (
            SELECT p.account_id, p.organisation_id, (p.at AT TIME ZONE g.time_zone)::date AS day,
                   p.tier_amount - coalesce(back.amount, 0) AS amount
              FROM purchases p
              JOIN programmes g ON g.id = p.programme_id
              LEFT JOIN back ON back.purchase_id = p.id
             WHERE p.account_id IS NOT NULL
             UNION ALL
            SELECT account_id, organisation_id, day, amount FROM brought_turnover
        ), bought AS (
            SELECT coalesce(last.heir, c.account_id) AS account_id, c.organisation_id, c.day,
                   sum(c.amount) AS amount
              FROM counted c
              LEFT JOIN last ON last.id = c.account_id
             GROUP BY 1, 2, 3
        )
        SELECT a.organisation_id AS owner, a.public_id AS id, o.slug AS shop, bad.day,
               bad.stored, bad.told
          FROM (
            SELECT account_id, organisation_id, day, coalesce(t.amount, 0) AS stored,
                   coalesce(b.amount, 0) AS told
              FROM turnover t FULL JOIN bought b USING (account_id, organisation_id, day)
             WHERE coalesce(t.amount, 0) <> coalesce(b.amount, 0)
          ) bad
          JOIN accounts a ON a.id = bad.account_id
          JOIN organisations o ON o.id = bad.organisation_id
         ORDER BY a.id, bad.day, o.id
        """,  # noqa: S608 - composed of constants
    ),
    Check(
        "Purchase {id}: {what} is {stored}, its transactions are for {told}.",
        """
        WITH part AS (
            SELECT purchase_id,
                   coalesce(sum(amount) FILTER (WHERE kind = 'points'), 0) AS points,
                   coalesce(sum(amount) FILTER (WHERE kind = 'certificate'), 0) AS certificates,
                   coalesce(sum(amount) FILTER (WHERE kind = 'earn'), 0) AS earned,
                   coalesce(sum(amount) FILTER (WHERE kind = 'stamps'), 0) AS stamps
              FROM purchase_parts GROUP BY purchase_id
        )
        SELECT p.organisation_id AS owner, p.public_id AS id, w.what, w.stored, w.told
          FROM purchases p
          LEFT JOIN programmes g ON g.id = p.programme_id
          LEFT JOIN part ON part.purchase_id = p.id
          CROSS JOIN LATERAL (VALUES
            ('what points paid', p.paid_points, coalesce(part.points, 0)),
            ('what certificates paid', p.paid_certificates, coalesce(part.certificates, 0)),
            ('what it earned', CASE g.kind WHEN 'points' THEN p.earned ELSE 0 END,
             coalesce(part.earned, 0)),
            ('its stamps', CASE g.kind WHEN 'stamps' THEN p.stamps ELSE 0 END,
             coalesce(part.stamps, 0))
          ) AS w (what, stored, told)
         WHERE w.stored <> w.told
         ORDER BY p.id, w.what
        """,
    ),
    Check(
        "Purchase {id}: transaction {transaction} {fault}.",
        f"""
        WITH moved AS ({_OF_PARTS}), part AS (
            SELECT x.purchase_id, x.transaction_id, m.moved, m.account_id,
                   x.kind IN ('earn', 'stamps') AS gives,
                   CASE WHEN x.kind IN ('earn', 'stamps') THEN x.amount ELSE -x.amount END AS told,
                   CASE WHEN x.kind = 'certificate' THEN c.account_id ELSE p.account_id END AS own,
                   CASE WHEN x.kind = 'certificate' THEN NULL ELSE p.card_id END AS card_id,
                   p.organisation_id, p.public_id
              FROM moved m
              JOIN purchase_parts x ON x.purchase_id = m.purchase_id AND x.position = m.position
              JOIN purchases p ON p.id = x.purchase_id
              LEFT JOIN certificates c ON c.id = x.certificate_id
        )
        SELECT part.organisation_id AS owner, part.public_id AS id, t.public_id AS transaction,
               CASE WHEN part.moved <> part.told
                    THEN 'moved ' || part.moved || ', the purchase says ' || part.told
                    WHEN t.card_id IS DISTINCT FROM part.card_id THEN 'is another card''s'
                    WHEN part.account_id <> part.own THEN 'is on another account'
                    ELSE 'is of type ' || t.type END AS fault
          FROM part JOIN ledger_transactions t ON t.id = part.transaction_id
         WHERE part.moved <> part.told OR part.account_id <> part.own
            OR t.card_id IS DISTINCT FROM part.card_id
            OR CASE WHEN part.gives THEN t.type NOT IN ('credit', 'accrual')
               ELSE t.type NOT IN ('debit', 'capture') END
         ORDER BY t.id
        """,  # noqa: S608 - composed of constants
    ),
    # Staff may undo a transaction of a purchase by itself: then more is undone than refunds say.
    Check(
        "Purchase {id}: refunds say that {told} {what}, its transactions were undone by {undone}.",
        f"""
        WITH said AS (
            SELECT purchase_id, sum(points_returned) AS points, sum(taken_back) AS taken,
                   sum(certificates_returned) AS certificates
              FROM refunds WHERE state = 'done' GROUP BY purchase_id
        ), undone AS (
            SELECT purchase_id,
                   coalesce(sum(moved) FILTER (WHERE kind = 'points'), 0) AS points,
                   coalesce(sum(moved) FILTER (WHERE kind = 'certificate'), 0) AS certificates,
                   coalesce(-sum(moved) FILTER (WHERE kind IN ('earn', 'stamps')), 0) AS taken
              FROM ({_OF_REVERSALS}) reversal GROUP BY purchase_id
        )
        SELECT p.organisation_id AS owner, p.public_id AS id, w.what, w.told, w.undone
          FROM said
          JOIN purchases p ON p.id = said.purchase_id
          LEFT JOIN undone ON undone.purchase_id = said.purchase_id
          CROSS JOIN LATERAL (VALUES
            ('points came back', said.points, coalesce(undone.points, 0)),
            ('of certificates came back', said.certificates, coalesce(undone.certificates, 0)),
            ('of the earnings was taken back', said.taken, coalesce(undone.taken, 0))
          ) AS w (what, told, undone)
         WHERE w.told > w.undone
         ORDER BY p.id, w.what
        """,  # noqa: S608 - composed of constants
    ),
    Check(
        "Purchase {id}: {what} is {stored}, {told} by its {by}.",
        """
        WITH line AS (
            SELECT purchase_id, sum(sum) AS total, sum(discount) AS discount,
                   sum(earned) AS earned, sum(returned_sum) AS returned
              FROM purchase_lines GROUP BY purchase_id
        ), back AS (
            SELECT purchase_id, sum((outcome #>> '{share,total,net}')::bigint) AS net
              FROM refunds WHERE state = 'done' GROUP BY purchase_id
        )
        SELECT p.organisation_id AS owner, p.public_id AS id, w.what, w.stored, w.told, w.by
          FROM purchases p
          LEFT JOIN line ON line.purchase_id = p.id
          LEFT JOIN back ON back.purchase_id = p.id
          CROSS JOIN LATERAL (VALUES
            ('the total', p.total, coalesce(line.total, 0), 'lines'),
            ('the discount', p.discount, coalesce(line.discount, 0), 'lines'),
            ('what it earned', p.earned, coalesce(line.earned, 0), 'lines'),
            ('what came back of its lines', coalesce(line.returned, 0), coalesce(back.net, 0),
             'refunds')
          ) AS w (what, stored, told, by)
         WHERE w.stored <> w.told
         ORDER BY p.id, w.what
        """,
    ),
    Check(
        "Purchase {id} is {state}, but {fault}.",
        """
        WITH back AS (
            SELECT purchase_id, sum((outcome #>> '{share,total,net}')::bigint) AS net
              FROM refunds WHERE state = 'done' GROUP BY purchase_id
        )
        SELECT p.organisation_id AS owner, p.public_id AS id, p.state,
               CASE WHEN p.state = 'corrected' THEN 'no other counts in its place'
                    WHEN later.id IS NOT NULL THEN 'another counts in its place'
                    WHEN back.purchase_id IS NULL THEN 'nothing came back of it'
                    ELSE back.net || ' of ' || p.total - p.discount || ' came back' END AS fault
          FROM purchases p
          LEFT JOIN purchases later ON later.corrects_id = p.id
          LEFT JOIN back ON back.purchase_id = p.id
         WHERE CASE p.state
               WHEN 'corrected' THEN later.id IS NULL
               WHEN 'recorded' THEN back.purchase_id IS NOT NULL OR later.id IS NOT NULL
               WHEN 'refunded' THEN later.id IS NOT NULL OR back.purchase_id IS NULL
                    OR back.net <> p.total - p.discount
               ELSE later.id IS NOT NULL OR back.purchase_id IS NULL
                    OR (back.net = p.total - p.discount AND p.total > p.discount) END
         ORDER BY p.id
        """,
    ),
)
