"""What a sale asks the database: what does not change first, then what only a lock keeps still.

Each is two statements. Most sales have neither certificates nor holds, and the server prepares
every part of a statement each time, also those that find nothing: a fifth of all this costs.
"""

from __future__ import annotations

from string import Template
from typing import Final

from walletsvc.ledger.together import HOLDINGS, HOLDINGS_WITHOUT_HOLDS
from walletsvc.programmes.tiers.queries import with_base
from walletsvc.storage.statement import Statement

# The claim keeps a second report of the same sale, and a refund of it, waiting until this one is
# over: what they then ask, they ask after it. The card stays with its account meanwhile.
_GATHER: Final = Template("""
WITH claim AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock(hashtextextended(key, 0))) AS held
      FROM unnest(CAST(:claims AS text[])) AS key
), card AS MATERIALIZED (
    SELECT * FROM cards
     WHERE id = (SELECT coalesce(merged_into_id, id) FROM cards WHERE public_id = :card) FOR SHARE
), branch AS MATERIALIZED (
    SELECT id, public_id, organisation_id, name, time_zone,
           active OR coalesce(switched_off_at > :at, false) AS open FROM branches
     WHERE id = CAST(:branch_id AS bigint) OR public_id = :branch
), found AS MATERIALIZED (
    SELECT c.id, c.public_id, c.number, c.account_id, c.closed_at, n.birthday, n.language,
           c.verified_at IS NOT NULL OR NOT p.verified_only AS verified,
           p.id AS programme_id, p.organisation_id, p.slug, p.name AS programme_name, p.kind,
           p.currency, p.unit_id, p.time_zone, p.closed_at AS programme_closed_at, p.code_policy,
           u.scale,
           p.organisation_id = :organisation_id OR EXISTS (
               SELECT FROM acceptances a WHERE a.issuer_id = p.organisation_id
                  AND a.acceptor_id = :organisation_id AND a.points) AS accepted,
           (SELECT h.e164 FROM person_phones pp JOIN phones h ON h.id = pp.phone_id
             WHERE pp.person_id = n.id ORDER BY pp.created_at, h.id LIMIT 1) AS phone,
           (SELECT json_agg(g.slug ORDER BY g.slug) FROM branch_groups g
              JOIN branch_group_members m ON m.group_id = g.id JOIN branch b ON b.id = m.branch_id
             WHERE g.organisation_id = p.organisation_id) AS groups,
           (SELECT row_to_json(v) FROM (
                SELECT id, public_id, number FROM rule_versions r
                 WHERE r.programme_id = p.id AND r.published_at IS NOT NULL
                 ORDER BY CASE WHEN r.published_at <= :at THEN r.number END DESC NULLS LAST,
                          r.number LIMIT 1) v) AS version,
           (SELECT r.public_id FROM rule_versions r
             WHERE r.programme_id = p.id AND r.state = 'published') AS current
      FROM card c
      JOIN programmes p ON p.id = c.programme_id
      JOIN ledger_units u ON u.id = p.unit_id
      JOIN persons n ON n.id = c.person_id
)$certificate, value AS (
    SELECT organisation_id, unit_id FROM found $more
)
SELECT o.slug AS organisation, o.name AS organisation_name, claim.held,
       (SELECT json_agg(b) FROM branch b) AS branches,
       (SELECT row_to_json(f) FROM found f) AS card,
       $certificates AS certificates,
       (SELECT json_agg(json_build_array(a.organisation_id, a.unit_id, a.code,
                                         coalesce(a.counterparty_id, 0), a.id))
          FROM accounts a JOIN value ON value.unit_id = a.unit_id
           AND a.organisation_id IN (value.organisation_id, :organisation_id)
         WHERE a.kind = 'system') AS system,
       $holds AS holds,
       (SELECT id FROM purchases WHERE organisation_id = :organisation_id AND source = :source
           AND external_id = :external_id) AS former
  FROM organisations o, claim WHERE o.id = :organisation_id
""")
_NAMED: Final = """, certificate AS MATERIALIZED (
    SELECT c.id, c.public_id, c.account_id, p.organisation_id, p.currency, p.unit_id,
           p.organisation_id = :organisation_id OR EXISTS (
               SELECT FROM acceptances a WHERE a.issuer_id = p.organisation_id
                  AND a.acceptor_id = :organisation_id AND a.certificates) AS accepted
      FROM certificates c JOIN programmes p ON p.id = c.programme_id
     WHERE c.public_id = ANY(CAST(:certificates AS text[]))
)"""
_HOLDS: Final = """
       (SELECT json_agg(json_build_array(h.public_id, h.id, h.account_id)) FROM holds h
         WHERE h.public_id = ANY(CAST(:holds AS text[]))
           AND h.acceptor_id = :organisation_id)"""

# The tier is that of the time of the sale, as far as the account's changes tell: what a purchase
# caused counts from when that was bought; nobody knows what a card was before it joined or left.
_STANDING: Final = Template("""
SELECT $holdings,
       coalesce(
         (SELECT CASE WHEN c.cause NOT IN ('merge', 'leave') THEN c.from_tier END
            FROM tier_changes c LEFT JOIN purchases p ON p.id = c.purchase_id
           WHERE c.account_id = CAST(:account_id AS bigint)
             AND (coalesce(p.at, c.at) > :at OR (p.id = :instead AND p.at = :at))
           ORDER BY coalesce(p.at, c.at), c.id LIMIT 1),
         stored.tier) AS tier,
       <base> AS base,
       stored.account_id IS NOT NULL AS stored, stored.tier AS stored_tier,
       coalesce(stored.base, 0) AS stored_base,
       (SELECT public_id FROM rule_versions
         WHERE programme_id = CAST(:programme_id AS bigint) AND state = 'published') AS published,
       NOT EXISTS (SELECT FROM cards c JOIN purchases p ON p.card_id = c.id
                    WHERE c.account_id = CAST(:account_id AS bigint)
                      AND p.state IN ('recorded', 'partly_refunded')) AS first_purchase,
       $certificates AS certificates,
       (SELECT id FROM purchases WHERE organisation_id = :organisation_id AND source = :source
           AND external_id = :external_id) AS former,
       (SELECT json_agg(id ORDER BY id) FROM refunds
         WHERE organisation_id = :organisation_id AND purchase_source = :source
           AND purchase_external_id = :external_id AND state = 'waiting') AS waiting,
       CASE WHEN :recorded THEN nextval('purchases_id_seq') END AS number
  FROM (SELECT 1) AS one
  LEFT JOIN account_tiers stored ON stored.account_id = CAST(:account_id AS bigint)
""")
_FRESH: Final = """
       (SELECT json_agg(c) FROM (
           SELECT id, account_id, closed_at, blocked_at, expires_at FROM certificates
            WHERE id = ANY(CAST(:certificate_ids AS bigint[]))) c)"""

_NONE: Final = "CAST(NULL AS json)"


def _standing(**parts: str) -> Statement:
    sql = with_base(_STANDING.substitute(parts), "CAST(:account_id AS bigint)")
    return Statement(sql)


# By whether the sale names certificates or holds.
GATHER: Final = {
    False: Statement(_GATHER.substitute(certificate="", more="", certificates=_NONE, holds=_NONE)),
    True: Statement(
        _GATHER.substitute(
            certificate=_NAMED,
            more="UNION SELECT organisation_id, unit_id FROM certificate",
            certificates="(SELECT json_agg(c) FROM certificate c)",
            holds=_HOLDS,
        )
    ),
}
STANDING: Final = {
    False: _standing(holdings=HOLDINGS_WITHOUT_HOLDS, certificates=_NONE),
    True: _standing(holdings=HOLDINGS, certificates=_FRESH),
}
