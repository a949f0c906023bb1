"""Turnover is kept also where the rules of the time did not count it, for later rules may"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Purchases at organisations that their version of the rules did not count were kept with a turnover
# of zero. It is what money and certificates paid for the items that the same version did not exclude;
# their returns take their part of it. A merged account's turnover is with the one that stands in.
_BACKFILL = """
WITH RECURSIVE heir (id, heir) AS (
    SELECT id, merged_into_id FROM accounts WHERE merged_into_id IS NOT NULL
    UNION
    SELECT heir.id, a.merged_into_id FROM heir JOIN accounts a ON a.id = heir.heir
     WHERE a.merged_into_id IS NOT NULL
), last AS (
    SELECT heir.id, heir.heir FROM heir JOIN accounts a ON a.id = heir.heir
     WHERE a.merged_into_id IS NULL
), uncounted AS MATERIALIZED (
    SELECT p.id, p.outcome, coalesce(last.heir, p.account_id) AS account_id, p.organisation_id,
           (p.at AT TIME ZONE g.time_zone)::date AS day,
           v.book #> '{exclusions,items}' AS items,
           v.book #> '{exclusions,item_groups}' AS item_groups
      FROM rule_versions v
      JOIN purchases p ON p.rule_version_id = v.id
      JOIN organisations o ON o.id = p.organisation_id
      JOIN programmes g ON g.id = p.programme_id
      LEFT JOIN last ON last.id = p.account_id
     WHERE jsonb_typeof(v.book #> '{tier_base,organisations}') = 'array'
       AND NOT (v.book #> '{tier_base,organisations}') ? o.slug
       AND p.account_id IS NOT NULL AND p.tier_amount = 0
), bought_line AS MATERIALIZED (
    SELECT u.id, l.place, l.line,
           NOT (coalesce(u.items ? (l.line ->> 'item'), false)
                OR coalesce(u.item_groups ? (l.line ->> 'group'), false)) AS counts
      FROM uncounted u
     CROSS JOIN jsonb_array_elements(u.outcome -> 'lines') WITH ORDINALITY AS l (line, place)
), bought AS MATERIALIZED (
    SELECT b.id, sum(t.amount)::bigint AS amount,
           jsonb_agg(b.line || jsonb_build_object('turnover', t.amount) ORDER BY b.place) AS lines
      FROM bought_line b
     CROSS JOIN LATERAL (
        SELECT CASE WHEN b.counts THEN (b.line ->> 'money')::bigint + coalesce(
            (SELECT sum(c::bigint) FROM jsonb_array_elements_text(b.line -> 'certificates') c), 0
        )::bigint ELSE 0 END AS amount) t
     GROUP BY b.id
), back AS MATERIALIZED (
    SELECT r.id, r.purchase_id, sum(t.amount)::bigint AS amount,
           jsonb_agg(l.line || jsonb_build_object('turnover', t.amount) ORDER BY l.place) AS lines
      FROM uncounted u
      JOIN refunds r ON r.purchase_id = u.id AND r.state = 'done'
     CROSS JOIN jsonb_array_elements(r.outcome #> '{share,lines}')
           WITH ORDINALITY AS l (line, place)
      JOIN bought_line b ON b.id = u.id AND b.place = l.place
     CROSS JOIN LATERAL (
        SELECT CASE WHEN b.counts THEN (l.line ->> 'money')::bigint + coalesce(
            (SELECT sum(c::bigint) FROM jsonb_array_elements_text(l.line -> 'certificates') c), 0
        )::bigint ELSE 0 END AS amount) t
     GROUP BY r.id, r.purchase_id
), purchases_now AS (
    UPDATE purchases p
       SET tier_amount = bought.amount,
           outcome = p.outcome
                     || jsonb_build_object('turnover', bought.amount, 'lines', bought.lines)
      FROM bought WHERE p.id = bought.id AND bought.amount <> 0
), refunds_now AS (
    UPDATE refunds r
       SET outcome = jsonb_set(
           jsonb_set(r.outcome, '{share,lines}', back.lines),
           '{share,total,turnover}', to_jsonb(back.amount))
      FROM back WHERE r.id = back.id AND back.amount <> 0
)
INSERT INTO turnover (account_id, organisation_id, day, amount)
SELECT u.account_id, u.organisation_id, u.day,
       sum(bought.amount - coalesce(undone.amount, 0))::bigint
  FROM uncounted u
  JOIN bought ON bought.id = u.id
  LEFT JOIN (SELECT purchase_id, sum(amount) AS amount FROM back GROUP BY purchase_id) undone
         ON undone.purchase_id = u.id
 GROUP BY 1, 2, 3
HAVING sum(bought.amount - coalesce(undone.amount, 0)) <> 0
    ON CONFLICT (account_id, organisation_id, day)
    DO UPDATE SET amount = turnover.amount + excluded.amount
"""


def upgrade() -> None:
    op.execute(_BACKFILL)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
