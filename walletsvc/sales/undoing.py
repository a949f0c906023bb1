"""Undoing a share of a purchase in the ledger and in the turnover, all accounts locked first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, InsufficientFunds
from walletsvc.ledger.queries import expired_again, explain, reversible
from walletsvc.ledger.service import lock, reverse
from walletsvc.programmes.models import Programme, ProgrammeKind, RuleVersion
from walletsvc.programmes.rulebook.reasons import Code, Reason, Unit
from walletsvc.programmes.rulebook.refunds import Share
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.programmes.tiers.service import add_turnover, reconsider
from walletsvc.programmes.versions import book_of
from walletsvc.sales.models import PartKind, Purchase, Refund

_MOST_TRIES: Final = 5
EARNINGS: Final = (PartKind.EARN, PartKind.STAMPS)

# Whose value each part is now: accounts may have been merged since. An accrual has no holder's
# entry, its lot tells.
_PARTS: Final = text("""
WITH RECURSIVE part AS (
    SELECT p.position, p.kind, p.transaction_id, c.public_id AS certificate,
           c.expires_at AS certificate_ends, a.id AS account_id
      FROM purchase_parts p
      LEFT JOIN certificates c ON c.id = p.certificate_id
      CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT e.account_id FROM ledger_entries e JOIN accounts h ON h.id = e.account_id
              WHERE e.transaction_id = p.transaction_id AND h.kind <> 'system' LIMIT 1),
            (SELECT l.account_id FROM lots l WHERE l.transaction_id = p.transaction_id)) AS id) a
     WHERE p.purchase_id = :purchase_id
    UNION ALL
    SELECT -1, NULL, NULL, NULL, NULL, account_id FROM purchases
     WHERE id = :purchase_id AND account_id IS NOT NULL
), heir AS (
    SELECT part.*, a.merged_into_id FROM part JOIN accounts a ON a.id = part.account_id
    UNION ALL
    SELECT heir.position, heir.kind, heir.transaction_id, heir.certificate,
           heir.certificate_ends, a.id, a.merged_into_id
      FROM heir JOIN accounts a ON a.id = heir.merged_into_id
)
SELECT position, kind, transaction_id, certificate, certificate_ends, account_id FROM heir
 WHERE merged_into_id IS NULL ORDER BY position
""")
# Shortfalls of returns of what the account bought. Lots follow value when accounts merge, spent
# ones too; said in two halves, each of which has its index.
_OPEN: Final = text("""
WITH earned AS (
    SELECT transaction_id FROM lots WHERE account_id = :account_id AND remaining > 0
    UNION
    SELECT transaction_id FROM lots WHERE account_id = :account_id AND remaining = 0
)
SELECT f.id AS refund_id, x.transaction_id, CAST(:account_id AS bigint) AS account_id
  FROM earned
  JOIN purchase_parts x
    ON x.transaction_id = earned.transaction_id AND x.kind IN ('earn', 'stamps')
  JOIN refunds f ON f.purchase_id = x.purchase_id AND f.state = 'done' AND f.shortfall > 0
 ORDER BY f.id, x.position
""")
_PENDING: Final = text("SELECT matured_id IS NULL FROM lots WHERE transaction_id = :id")
_ACCOUNT: Final = text("SELECT balance - held FROM accounts WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Undone:
    """What was taken back of the earnings, what could not be, and how the holder stands now.

    `recovered` says of which earlier returns what could not be taken then: refunds and amounts.
    `expired` is what of the points came back past its time, in minor units, and `explanation` says
    that, and the same of certificates.
    """

    taken_back: int
    shortfall: int
    recovered: list[dict[str, Any]]
    expired: int
    explanation: list[Reason]
    figures: dict[str, Any]


def lock_parts(
    session: Session, purchase: Purchase, now: datetime, also: Iterable[int] = ()
) -> list[Row[Any]]:
    """Lock everything a purchase touched (and `also`), where its value is now, in one order.

    An account that is merged in between lets all locks go: taking one more would break the order.
    """
    for _ in range(_MOST_TRIES):
        attempt = session.begin_nested()
        parts = list(session.execute(_PARTS, {"purchase_id": purchase.id}))
        accounts = {part.account_id for part in parts} | set(also)
        try:
            locked = lock(session, accounts, now=now) if accounts else {}
        except Conflict:
            attempt.rollback()
            continue
        # One that is alone does not fail: its heir is locked in its place.
        if any(account.id != named for named, account in locked.items()):
            attempt.rollback()
            continue
        attempt.commit()
        return parts
    raise Conflict("The account is changing at this moment; please try again.")


def undo(
    session: Session,
    purchase: Purchase,
    part: Share,
    *,
    actor: Actor,
    reason: str,
    branch_id: int | None,
    now: datetime,
    correction: bool = False,
) -> Undone:
    """Give points and certificates back, then take the earnings back, and count it all off.

    Points that came back make up for what earlier returns could not take, unless this is for a
    correction: the purchase in its place may need them.
    """
    rows = lock_parts(session, purchase, now)
    common: dict[str, Any] = {"actor": actor, "reason": reason, "branch_id": branch_id, "now": now}
    taken = shortfall = expired = 0
    explanation: list[Reason] = []
    for row in [row for row in rows if row.position >= 0]:
        kind = PartKind(row.kind)
        if kind is PartKind.POINTS and part.total.points:
            expired = _return_points(session, row, part.total.points, common)
            explanation += _over(purchase, expired)
        elif kind is PartKind.CERTIFICATE:
            explanation += _return_to_certificate(session, row, part, common)
        elif kind in EARNINGS:
            wanted = part.total.earned if kind is PartKind.EARN else part.total.stamps
            got = take_back(session, purchase, row, wanted, gently=correction, **common)
            taken, shortfall = taken + got, shortfall + wanted - got
    holder = next((row.account_id for row in rows if row.position < 0), None)
    figures: dict[str, Any] = {"balance": None, "valid": None}
    recovered: list[dict[str, Any]] = []
    if holder is not None:
        if not correction:
            recovered = recover(session, holder, part.total.points, actor, reason, now)
        _count_off(session, purchase, holder, part.total.turnover, now)
        explained = explain(session, holder)
        figures = {"balance": explained.balance, "valid": explained.available(now)}
    return Undone(taken, shortfall, recovered, expired, explanation, figures)


def _return_points(session: Session, row: Row[Any], amount: int, common: dict[str, Any]) -> int:
    """Give so many points back; answers how many of them cannot be spent, for their time is
    over."""
    made = reverse(session, row.transaction_id, amount=amount, **common)
    return expired_again(session, made.id, common["now"])


def _over(purchase: Purchase, amount: int) -> list[Reason]:
    """That so much came back past its time; nothing when nothing did."""
    if not amount:
        return []
    stamps = purchase.receipt.get("kind") == ProgrammeKind.STAMPS
    unit = Unit.STAMPS if stamps else Unit.POINTS
    return [Reason(code=Code.RETURNED_EXPIRED, unit=unit, amount=Fraction(amount))]


def _return_to_certificate(
    session: Session, row: Row[Any], part: Share, common: dict[str, Any]
) -> list[Reason]:
    """Give a certificate its part back; says so where that cannot pay any more."""
    amount = sum(each.amount for each in part.certificates if each.id == row.certificate)
    if not amount:
        return []
    reverse(session, row.transaction_id, amount=amount, **common)
    if row.certificate_ends is None or row.certificate_ends > common["now"]:
        return []
    code = Code.RETURNED_TO_EXPIRED_CERTIFICATE
    return [Reason(code=code, unit=Unit.MONEY, amount=Fraction(amount))]


def recover(
    session: Session, account_id: int, most: int, actor: Actor, reason: str, now: datetime
) -> list[dict[str, Any]]:
    """Take up to `most`, the points that just came back to this locked account, for shortfalls.

    The order of returns must not decide what the customer keeps. The oldest first; what is taken
    is noted in those refunds, so nothing is taken twice. Answers their ids and the amounts.
    """
    found: list[dict[str, Any]] = []
    rows = session.execute(_OPEN, {"account_id": account_id}).all() if most > 0 else []
    for row in rows:
        # Only who holds the account's lock changes these.
        old = session.get_one(Refund, row.refund_id, populate_existing=True)
        purchase = session.get_one(Purchase, old.purchase_id)
        wanted = min(most, old.shortfall)
        got = take_back(
            session, purchase, row, wanted,
            actor=actor, reason=reason, branch_id=old.branch_id, now=now,
        ) if wanted else 0  # fmt: skip
        if got:
            old.taken_back, old.shortfall = old.taken_back + got, old.shortfall - got
            session.add(old)
            session.flush()
            found.append({"refund": old.public_id, "amount": got})
            most -= got
    return found


def policy_of(session: Session, purchase: Purchase) -> str:
    """What the rules of the purchase say about earnings that were spent (`RuleBook.take_back`)."""
    if purchase.rule_version_id is None:
        return "within_balance"
    return book_of(session.get_one(RuleVersion, purchase.rule_version_id)).take_back


def take_back(
    session: Session,
    purchase: Purchase,
    row: Row[Any],
    wanted: int,
    *,
    gently: bool = False,
    **common: Any,
) -> int:
    """Take so much of what was earned back, or as much as the rules of the purchase let one.

    Raises InsufficientFunds when they refuse a return of points that were spent, unless `gently`.
    """
    policy = policy_of(session, purchase)
    if policy == "refuse" and gently:
        policy = "within_balance"
    most = min(wanted, reversible(session, row.transaction_id))
    pending = session.execute(_PENDING, {"id": row.transaction_id}).scalar()
    if policy == "within_balance" and not pending:
        free: int = session.execute(_ACCOUNT, {"id": row.account_id}).scalar_one()
        most = min(most, max(free, 0))
    if not most:
        return 0
    try:
        reverse(session, row.transaction_id, amount=most, **common)
    except InsufficientFunds as error:
        most = error.data["available"]
        if policy == "refuse" or not most:
            if policy == "refuse":
                raise
            return 0
        reverse(session, row.transaction_id, amount=most, **common)
    return most


def _count_off(
    session: Session, purchase: Purchase, account_id: int, amount: int, now: datetime
) -> None:
    """The turnover of the purchase's own day; a tier that was reached stays until the schedule."""
    if not amount or purchase.programme_id is None:
        return
    programme = session.get_one(Programme, purchase.programme_id)
    day = purchase.at.astimezone(ZoneInfo(programme.time_zone)).date()
    add_turnover(session, account_id, purchase.organisation_id, day, -amount)
    reconsider(session, account_id, programme, now, TierCause.PURCHASE, purchase_id=purchase.id)
