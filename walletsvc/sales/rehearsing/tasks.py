"""The job: some accounts at a time, each with its purchases in the order of their times.

An account's turnover decides only its own tiers, so nothing is kept of those that are done, and a
piece holds one account at a time, whatever the period. Cards are counted with the account they
have today: those that share one count together from the beginning. A card that moves to another
account meanwhile is left out from then on: the account may have been counted or be yet to come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session, select

from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Handler, Piece
from walletsvc.ledger.models import Unit
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook import tiers
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.sales.rehearsing.figures import Figures
from walletsvc.sales.rehearsing.models import Rehearsal
from walletsvc.sales.rehearsing.rules import Account, Sold, Trial
from walletsvc.sales.rehearsing.service import KIND

# A piece takes so many purchases per account, or at least so many: some accounts have hundreds.
_PER_ACCOUNT: Final = 2
_LEAST: Final = 250
_ROWS: Final = 100  # read at a time: a bill may have a thousand lines
_COUNTED: Final = ("purchases", "cards", "winners", "losers")

_ACCOUNTS: Final = text(
    "SELECT DISTINCT account_id FROM cards WHERE programme_id = :programme_id"
    " AND account_id > :cursor ORDER BY account_id LIMIT :limit"
)
# The keys first: what is sorted and cut off must not be whole purchases.
_PURCHASES_OF: Final = text("""
WITH page AS MATERIALIZED (
    SELECT p.id, c.account_id, c.public_id AS card, c.person_id
      FROM cards c JOIN purchases p ON p.card_id = c.id
     WHERE c.account_id = ANY(CAST(:accounts AS bigint[])) AND p.programme_id = :programme_id
       AND p.at >= CASE WHEN c.account_id = :account_id THEN CAST(:after_at AS timestamptz)
                   ELSE :since END
       AND (c.account_id <> :account_id
            OR (p.at, p.id) > (CAST(:after_at AS timestamptz), :after_id))
       AND p.at < :until AND p.id <= :last AND p.state IN ('recorded', 'partly_refunded')
       AND NOT EXISTS (SELECT FROM group_members m JOIN card_groups g ON g.id = m.group_id
                        WHERE m.card_id = c.id
                          AND (m.joined_at > :began AND m.proof <> 'founder'
                               OR m.left_at > :began AND g.account_id <> c.account_id))
       AND NOT EXISTS (SELECT FROM card_merges m
                        WHERE m.card_id = c.id AND (m.merged_at > :began OR m.undone_at > :began))
     ORDER BY c.account_id, p.at, p.id LIMIT :most
)
SELECT p.id, page.account_id, page.card, p.at, p.channel, p.request, p.earned, p.stamps,
       p.discount, p.paid_points, p.outcome -> 'paid_with_certificates' AS certificates,
       p.outcome -> 'explanation' AS explanation,
       CASE WHEN p.state = 'partly_refunded' THEN p.outcome -> 'lines' END AS lines,
       CASE WHEN p.state = 'partly_refunded' THEN (
           SELECT json_agg(json_build_array(l.returned_sum, (l.returned_quantity * 1000)::bigint)
                           ORDER BY l.position)
             FROM purchase_lines l WHERE l.purchase_id = p.id) END AS returned,
       o.slug AS organisation, b.public_id AS branch, b.time_zone, n.birthday,
       coalesce((v.book ->> 'point_value')::bigint, 0) AS point_value,
       cardinality(CAST(:branches AS text[])) = 0
           OR coalesce(b.public_id = ANY(CAST(:branches AS text[])), false) AS counts,
       NOT EXISTS (SELECT FROM cards m JOIN purchases e ON e.card_id = m.id
                    WHERE m.account_id = page.account_id AND e.id < p.id
                      AND e.state IN ('recorded', 'partly_refunded')) AS first_purchase,
       (SELECT array_agg(g.slug ORDER BY g.slug) FROM branch_groups g
          JOIN branch_group_members m ON m.group_id = g.id
         WHERE m.branch_id = p.branch_id AND g.organisation_id = :owner_id) AS groups
  FROM page
  JOIN purchases p ON p.id = page.id
  JOIN organisations o ON o.id = p.organisation_id
  JOIN persons n ON n.id = page.person_id
  LEFT JOIN branches b ON b.id = p.branch_id
  LEFT JOIN rule_versions v ON v.id = p.rule_version_id
 ORDER BY page.account_id, p.at, p.id
""")
# Days matter only to a rolling window; otherwise all of the past is the day before.
_TURNOVER: Final = text("""
SELECT t.account_id, sum(t.amount)::bigint AS amount,
       CASE WHEN CAST(:window AS date) IS NULL THEN CAST(:before AS date) ELSE t.day END AS day
  FROM turnover t JOIN organisations o ON o.id = t.organisation_id
 WHERE t.account_id = ANY(CAST(:accounts AS bigint[])) AND t.day <= :before
   AND (CAST(:window AS date) IS NULL OR t.day >= CAST(:window AS date))
   AND (CAST(:organisations AS text[]) IS NULL OR o.slug = ANY(CAST(:organisations AS text[])))
 GROUP BY 1, 3
""")


def handlers(least: int = _LEAST) -> dict[str, Handler]:
    """What the runner needs to do these jobs; a piece may take `least` purchases at any rate."""

    def piece(session: Session, job: BulkJob, limit: int, _now: datetime) -> Piece:
        return _piece(session, job, limit, max(limit * _PER_ACCOUNT, least))

    return {KIND: piece}


def _piece(session: Session, job: BulkJob, limit: int, most: int) -> Piece:
    rehearsal = session.exec(select(Rehearsal).where(Rehearsal.job_id == job.id)).one()
    programme = session.get_one(Programme, rehearsal.programme_id)
    values = {"programme_id": programme.id, "cursor": job.cursor, "limit": limit}
    accounts = list(session.execute(_ACCOUNTS, values).scalars())
    figures = Figures.load(rehearsal.figures)
    before = {name: figures.totals[name] for name in _COUNTED}
    left = _replay(session, programme, rehearsal, accounts, figures, most)
    rehearsal.place = left.dump() if left else None
    rehearsal.figures = figures.dump()
    session.add(rehearsal)
    over = [each for each in accounts if left is None or each < left.id]
    return Piece(
        cursor=over[-1] if over else job.cursor,
        done=len(over),
        finished=left is None and len(accounts) < limit,
        counted={name: figures.totals[name] - before[name] for name in _COUNTED},
    )


def _replay(
    session: Session,
    programme: Programme,
    rehearsal: Rehearsal,
    accounts: Sequence[int],
    figures: Figures,
    most: int,
) -> Account | None:
    """Count at most so many purchases of these accounts; the account that may have more."""
    book = RuleBook.model_validate(rehearsal.book)
    scale = session.get_one(Unit, programme.unit_id).scale
    trial = Trial(book, programme.kind, ZoneInfo(programme.time_zone), scale)
    day_before = rehearsal.first_day - timedelta(days=1)
    bought = _turnover(session, book, accounts, day_before)
    account = Account.load(rehearsal.place) if rehearsal.place else None
    number = 0
    for row in _purchases(session, programme, rehearsal, accounts, account, most):
        number += 1
        if account is None or account.id != row.account_id:
            if account is not None:
                figures.finish(account.cards)
            account = trial.begin(row.account_id, bought.get(row.account_id, {}), day_before)
        trial.replay(account, row, figures)
    if number == most:
        return account
    if account is not None:
        figures.finish(account.cards)
    return None


def _purchases(
    session: Session,
    programme: Programme,
    rehearsal: Rehearsal,
    accounts: Sequence[int],
    open_: Account | None,
    most: int,
) -> Iterator[Sold]:
    """The next purchases of these accounts, of the open one those that are left."""
    zone = ZoneInfo(programme.time_zone)
    since = _midnight(rehearsal.first_day, zone)
    values = {
        "programme_id": programme.id,
        "owner_id": programme.organisation_id,
        "accounts": list(accounts),
        "since": since,
        "until": _midnight(rehearsal.last_day + timedelta(days=1), zone),
        "last": rehearsal.last_purchase_id,
        "began": rehearsal.created_at,
        "account_id": open_.id if open_ else 0,
        "after_at": datetime.fromisoformat(open_.at) if open_ else since,
        "after_id": open_.purchase if open_ else 0,
        "branches": rehearsal.branches,
        "most": most,
    }
    rows = session.execute(_PURCHASES_OF, values, execution_options={"yield_per": _ROWS})
    for row in rows.mappings():
        yield Sold(**row)


def _turnover(
    session: Session, book: RuleBook, accounts: Sequence[int], before: date
) -> Mapping[int, Mapping[str, int]]:
    """What each account bought by day, as far as it can still count after the day `before`."""
    chosen = book.tier_base.organisations
    values = {
        "accounts": list(accounts),
        "before": before,
        "window": tiers.counts_since(book, before),
        "organisations": None if chosen is None else list(chosen),
    }
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for account_id, amount, day in session.execute(_TURNOVER, values):
        found[account_id][day.isoformat()] = amount
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
