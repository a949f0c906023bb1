"""A purchase: one transaction from the check of the first fact to the last row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from walletsvc.jobs.changes import touch
from walletsvc.jobs.events import PurchaseRecorded, emit
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.programmes.tiers.service import (
    Planned,
    Seen,
    follow,
    plan,
    reconsider,
    store,
)
from walletsvc.sales import presence
from walletsvc.sales.models import Purchase
from walletsvc.sales.preparing import Prepared, prepare
from walletsvc.sales.queries import public_id_of
from walletsvc.sales.recording import record
from walletsvc.sales.refunding import apply_waiting
from walletsvc.sales.sale import Caller, Reference, Sale, require_same


@dataclass(frozen=True, slots=True)
class Recorded:
    """The purchase, and whether it was recorded before: then it is as it is now.

    `outcome` is that of a purchase which is nothing but new: no return had been waiting for it.
    """

    purchase: Purchase
    repeated: bool = False
    outcome: Outcome | None = None


def purchase(
    session: Session, caller: Caller, sale: Sale, reference: Reference, now: datetime
) -> Recorded:
    """Record a sale: take points and certificates, give what it earns, count it for the tier.

    The same reference with the same content finds the purchase that was recorded; with other
    content it is a Conflict, whose data names the purchase and the fields that differ. Refunds
    that came before it are applied at once. Raises what `prepare` raises.
    """
    prepared = prepare(session, caller, sale, reference, now)
    if isinstance(prepared, int):
        return Recorded(_same(session, prepared, sale), repeated=True)
    made = post(session, caller, prepared, reference)
    return Recorded(made, outcome=None if prepared.standing.waiting else prepared.outcome)


def post(
    session: Session,
    caller: Caller,
    prepared: Prepared,
    reference: Reference,
    corrects_id: int | None = None,
) -> Purchase:
    """Write what was prepared, and tell it: before the returns that waited for it."""
    now = prepared.together.now
    seen = _seen(prepared) if corrects_id is None else None
    planned = _planned(session, prepared, seen) if seen else None
    made = record(session, caller, prepared, reference, corrects_id)
    presence.use_up(session, caller, prepared.shown, f"purchase {made.public_id}", now)
    if planned is not None:
        store(session, planned)
        if not prepared.moves_points:  # else its posting has told of the account
            touch(session, "account", [planned.found.account_id], at=now)
        follow(session, planned, TierCause.PURCHASE, made.id)
    elif seen is None:
        _reconsider(session, prepared, made)
    emit(session, _told(session, prepared, made))
    if prepared.standing.waiting:
        made = apply_waiting(session, made.id, prepared.standing.waiting, now)
    return made


def _seen(prepared: Prepared) -> Seen | None:
    """The account's tier and base as this purchase leaves it; None when it does not count, or when
    what was read under the lock says nothing about today and the rules of today."""
    card, standing, turnover = prepared.facts.card, prepared.standing, prepared.outcome.turnover
    if card is None or card.version is None or not turnover:
        return None
    if not card.current == standing.published == card.version.public_id:
        return None
    zone = ZoneInfo(card.programme.time_zone)
    if prepared.at.astimezone(zone).date() != prepared.together.now.astimezone(zone).date():
        return None
    counts = card.book.tier_base.counts(prepared.facts.organisation)
    return Seen(standing.stored, standing.base + counts * turnover, standing.published)


def _planned(session: Session, prepared: Prepared, seen: Seen) -> Planned | None:
    card, account = prepared.facts.card, prepared.account
    if card is None or account is None:
        return None
    return plan(session, account.id, card.programme, card.version, prepared.together.now, seen)


def _reconsider(session: Session, prepared: Prepared, made: Purchase) -> None:
    """Look at the account anew, now that the purchase counts."""
    card, account = prepared.facts.card, prepared.account
    if card is None or account is None or not made.tier_amount:
        return
    version = card.version if card.version and card.version.public_id == card.current else None
    reconsider(
        session,
        account.id,
        card.programme,
        prepared.together.now,
        TierCause.PURCHASE,
        version=version,
        purchase_id=made.id,
        touched=prepared.moves_points,
    )


def _told(session: Session, prepared: Prepared, made: Purchase) -> PurchaseRecorded:
    card = prepared.facts.card
    return PurchaseRecorded(
        at=made.recorded_at,
        purchase=made.public_id,
        organisation_id=made.organisation_id,
        programme_id=made.programme_id,
        card=card.public_id if card else None,
        branch=prepared.branch.public_id if prepared.branch else None,
        corrects=public_id_of(session, made.corrects_id),
        sold_at=made.at,
        currency=made.currency,
        total=made.total,
        discount=made.discount,
        paid_points=made.paid_points,
        paid_certificates=made.paid_certificates,
        paid_money=made.paid_money,
        earned=made.earned,
        stamps=made.stamps,
        tier_before=made.tier_before,
        tier_after=made.tier_after,
    )


def _same(session: Session, purchase_id: int, sale: Sale) -> Purchase:
    found = session.get_one(Purchase, purchase_id, populate_existing=True)
    require_same(found.request, sale.content(), "purchase", found.public_id)
    return found
