"""Everything a sale depends on: what does not change first, then what only a lock keeps still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlmodel import Session

from walletsvc.ledger.models import SystemCode
from walletsvc.ledger.together import (
    HOLDINGS,
    HeldLot,
    Known,
    Numbers,
    Reserved,
    holds_of,
    lots_of,
)
from walletsvc.programmes.models import Programme, RuleVersion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.queries import StoredTier, base_values, with_base
from walletsvc.programmes.versions import NO_RULES, book_of
from walletsvc.sales import known
from walletsvc.sales.sale import Caller, Reference, Sale, claim_of
from walletsvc.storage.statement import Answer, Statement

# The claim keeps a second report of the same sale, and a refund of it, waiting until this one is
# over: what they then ask, they ask after it. The card stays with its account meanwhile.
_GATHER: Final = Statement("""
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
), certificate AS MATERIALIZED (
    SELECT c.id, c.public_id, c.account_id, p.organisation_id, p.currency, p.unit_id,
           p.organisation_id = :organisation_id OR EXISTS (
               SELECT FROM acceptances a WHERE a.issuer_id = p.organisation_id
                  AND a.acceptor_id = :organisation_id AND a.certificates) AS accepted
      FROM certificates c JOIN programmes p ON p.id = c.programme_id
     WHERE c.public_id = ANY(CAST(:certificates AS text[]))
), value AS (
    SELECT organisation_id, unit_id FROM found
     UNION SELECT organisation_id, unit_id FROM certificate
)
SELECT o.slug AS organisation, o.name AS organisation_name, claim.held,
       (SELECT json_agg(b) FROM branch b) AS branches,
       (SELECT row_to_json(f) FROM found f) AS card,
       (SELECT json_agg(c) FROM certificate c) AS certificates,
       (SELECT json_agg(json_build_array(a.organisation_id, a.unit_id, a.code,
                                         coalesce(a.counterparty_id, 0), a.id))
          FROM accounts a JOIN value ON value.unit_id = a.unit_id
           AND a.organisation_id IN (value.organisation_id, :organisation_id)
         WHERE a.kind = 'system') AS system,
       (SELECT json_agg(json_build_array(h.public_id, h.id, h.account_id)) FROM holds h
         WHERE h.public_id = ANY(CAST(:holds AS text[]))
           AND h.acceptor_id = :organisation_id) AS holds,
       (SELECT id FROM purchases WHERE organisation_id = :organisation_id AND source = :source
           AND external_id = :external_id) AS former
  FROM organisations o, claim WHERE o.id = :organisation_id
""")

# The tier is that of the time of the sale, as far as the account's changes tell: what a purchase
# caused counts from when that was bought; nobody knows what a card was before it joined or left.
_STANDING: Final = Statement(
    with_base(
        """
SELECT <holdings>,
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
       (SELECT json_agg(c) FROM (
           SELECT id, account_id, closed_at, blocked_at, expires_at FROM certificates
            WHERE id = ANY(CAST(:certificate_ids AS bigint[]))) c) AS certificates,
       (SELECT id FROM purchases WHERE organisation_id = :organisation_id AND source = :source
           AND external_id = :external_id) AS former,
       (SELECT json_agg(id ORDER BY id) FROM refunds
         WHERE organisation_id = :organisation_id AND purchase_source = :source
           AND purchase_external_id = :external_id AND state = 'waiting') AS waiting,
       CASE WHEN :recorded THEN nextval('purchases_id_seq') END AS number
  FROM (SELECT 1) AS one
  LEFT JOIN account_tiers stored ON stored.account_id = CAST(:account_id AS bigint)
""".replace("<holdings>", HOLDINGS),
        "CAST(:account_id AS bigint)",
    )
)

_NO_NUMBERS: Final = Numbers()


class BranchFacts(NamedTuple):
    """Where it is sold; whether it was `open` at the time of the sale, as far as is known."""

    id: int
    public_id: str
    organisation_id: int
    name: str
    time_zone: str
    open: bool


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Whose card it is, and of which programme; `version` counts at the time of the sale: none does
    for a card that is not `verified`."""

    id: int
    public_id: str
    number: str
    account_id: int
    closed: bool
    verified: bool
    birthday: date | None
    language: str
    phone: str | None
    programme: Programme
    scale: int
    accepted: bool
    groups: tuple[str, ...]
    version: RuleVersion | None
    current: str | None

    @property
    def book(self) -> RuleBook:
        """The rules of the sale."""
        return NO_RULES if self.version is None else book_of(self.version)


class CertificateFacts(NamedTuple):
    """A certificate, as far as nothing can change it."""

    id: int
    public_id: str
    account_id: int
    organisation_id: int
    currency: str
    unit_id: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sale depends on; `former` is the purchase that was recorded under its reference."""

    organisation: str
    organisation_name: str
    branches: tuple[BranchFacts, ...]
    card: CardFacts | None
    certificates: Mapping[str, CertificateFacts]
    holds: Mapping[str, tuple[int, int]]  # id and account, by public id
    known: Known
    former: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What only holds while the accounts are locked."""

    lots: Sequence[HeldLot] = ()
    holds: Mapping[int, Reserved] = field(default_factory=dict)
    tier: str | None = None
    base: int = 0
    first_purchase: bool = False
    certificates: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    former: int | None = None
    waiting: tuple[int, ...] = ()
    stored: StoredTier | None = None
    published: str | None = None  # the version of the programme's rules, at this moment
    number: int | None = None  # the id of the purchase, if it is to be recorded
    numbers: Numbers = _NO_NUMBERS


def gather(
    session: Session, caller: Caller, sale: Sale, reference: Reference | None, at: datetime
) -> Facts:
    """Read what a sale at `at` depends on; the card stays with its account from now on."""
    holds = [sale.hold, *(each.hold for each in sale.certificates)]
    row = _GATHER.first(
        session,
        {
            "claims": [claim_of(caller, reference)] if reference else [],
            "organisation_id": caller.organisation_id,
            "branch_id": caller.branch_id,
            "branch": sale.branch,
            "card": sale.card,
            "certificates": [each.id for each in sale.certificates],
            "holds": [hold for hold in holds if hold],
            "at": at,
            **_named(reference),
        },
    )
    return Facts(
        organisation=row.organisation,
        organisation_name=row.organisation_name,
        branches=tuple(BranchFacts(**found) for found in row.branches or ()),
        card=_card(session, row.card) if row.card else None,
        certificates={it["public_id"]: CertificateFacts(**it) for it in row.certificates or ()},
        holds={public_id: (id_, account) for public_id, id_, account in row.holds or ()},
        known={
            (organisation, unit, SystemCode(code), counterparty): id_
            for organisation, unit, code, counterparty, id_ in row.system or ()
        },
        former=row.former,
    )


def ask_standing(
    session: Session,
    caller: Caller,
    facts: Facts,
    sale: Sale,
    reference: Reference | None,
    account_id: int | None,
    at: datetime,
    instead: int | None = None,
) -> Answer:
    """Ask for what the locks keep still, which must have been asked for before; `account_id` is the
    card's, as it is locked.

    `instead` is the id of the purchase that this one corrects. Without a reference nothing is
    recorded.
    """
    card = facts.card
    book = NO_RULES if card is None else card.book
    zone = ZoneInfo(card.programme.time_zone) if card else ZoneInfo("UTC")
    recorded = reference is not None
    return _STANDING.ask(
        session,
        {
            "account_id": account_id,
            "programme_id": card.programme.id if card else None,
            "hold_ids": [id_ for id_, _ in facts.holds.values()],
            "certificate_ids": [found.id for found in facts.certificates.values()],
            "organisation_id": caller.organisation_id,
            "at": at,
            "instead": instead or 0,
            "recorded": recorded,
            # At most: points that pay, each certificate, what is earned.
            "postings": recorded * (len(sale.certificates) + 2),
            "new_lots": int(recorded),
            **base_values(book, at.astimezone(zone).date()),
            **_named(reference),
        },
    )


def standing_of(asked: Answer, facts: Facts) -> Standing:
    """What was asked for."""
    row = asked.first()
    return Standing(
        lots=lots_of(row.lots),
        holds=holds_of(row.holds),
        tier=row.tier,
        base=row.base,
        first_purchase=facts.card is not None and row.first_purchase,
        certificates={found["id"]: found for found in row.certificates or ()},
        former=row.former,
        waiting=tuple(row.waiting or ()),
        stored=StoredTier(row.stored_tier, row.stored_base) if row.stored else None,
        published=row.published,
        number=row.number,
        numbers=Numbers(row.transaction_numbers, row.lot_numbers),
    )


def _named(reference: Reference | None) -> dict[str, str]:
    source, external_id = (reference.source, reference.external_id) if reference else ("", "")
    return {"source": source, "external_id": external_id}


def _card(session: Session, row: Mapping[str, Any]) -> CardFacts:
    programme = known.programme(
        row["programme_id"], row["organisation_id"], row["slug"], row["kind"], row["code_policy"],
        row["programme_name"], row["currency"], row["unit_id"], row["time_zone"],
        row["programme_closed_at"],
    )  # fmt: skip
    return CardFacts(
        id=row["id"],
        public_id=row["public_id"],
        number=row["number"],
        account_id=row["account_id"],
        closed=row["closed_at"] is not None,
        verified=row["verified"],
        birthday=date.fromisoformat(row["birthday"]) if row["birthday"] else None,
        language="en" if row["language"] == "en" else "ru",
        phone=row["phone"],
        programme=programme,
        scale=row["scale"],
        accepted=row["accepted"],
        groups=tuple(row["groups"] or ()),
        version=known.version(session, row["programme_id"], row["version"], row["current"])
        if row["verified"]
        else None,
        current=row["current"],
    )
