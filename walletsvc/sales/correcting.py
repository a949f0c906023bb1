"""A purchase that was reported wrongly is undone as a whole, and another one counts instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel import Session, select

from walletsvc.core.errors import Conflict, InsufficientFunds, NotFound, Refused
from walletsvc.merchants.models import Branch
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.programmes.tiers.service import withdraw
from walletsvc.sales import undoing
from walletsvc.sales.models import PartKind, Purchase, PurchaseState, Refund, RefundState
from walletsvc.sales.preparing import prepare
from walletsvc.sales.presence import card_now, was_present
from walletsvc.sales.purchasing import Recorded, post
from walletsvc.sales.refunding import CORRECTION, claim, lock_purchase, undo_part
from walletsvc.sales.retiering import fair_tier
from walletsvc.sales.sale import Caller, Mistake, Reference, Sale, claim_of, require_same

# The card, or the one that it is part of by now, stays with its account from here on; its lock
# comes before those of accounts.
_ACCOUNTS: Final = text("""
WITH card AS (
    SELECT account_id FROM cards
     WHERE id = (SELECT coalesce(merged_into_id, id) FROM cards WHERE public_id = :card)
       FOR SHARE
)
SELECT account_id FROM card
UNION SELECT account_id FROM certificates WHERE public_id = ANY(CAST(:certificates AS text[]))
""")


def correct(
    session: Session,
    caller: Caller,
    purchase_id: str,
    sale: Sale,
    reference: Reference,
    reason: str,
    now: datetime,
) -> Recorded:
    """Undo the caller's purchase with this public id and record `sale` in its place.

    A sale without `at`, branch or channel was when and where the old one was. It earns by the tier
    of its time without the old one, and a tier that only the old one reached is taken back at once.
    What of the old earnings was spent is taken from the new ones; points that came back and are not
    needed again make up for earlier returns. Raises NotFound, Conflict (it was corrected before:
    the data names by which), Refused (something of it came back), and what a purchase and a refund
    raise; then nothing changes.
    """
    named = _claimed(session, caller, purchase_id, reference)
    old = lock_purchase(session, named.id)
    sale = _as_before(session, caller, old, sale)
    later = session.exec(select(Purchase).where(Purchase.corrects_id == old.id)).first()
    if later is not None:
        if (later.source, later.external_id) != (reference.source, reference.external_id):
            raise Conflict("The purchase was corrected before.", purchase=later.public_id)
        at = later.request["at"] or later.at.isoformat()
        require_same(later.request | {"at": at}, sale.content(), "purchase", later.public_id)
        return Recorded(later, repeated=True)
    if old.state is not PurchaseState.RECORDED:
        raise Refused("Something of this purchase came back: it cannot be corrected any more.")
    values = {"card": sale.card, "certificates": [each.id for each in sale.certificates]}
    accounts = set(session.execute(_ACCOUNTS, values).scalars())
    rows = undoing.lock_parts(session, old, now, accounts)
    undone = _undo(session, caller, old, reference, reason, now)
    holder = next((row.account_id for row in rows if row.position < 0), None)
    programme = session.get_one(Programme, old.programme_id) if old.programme_id else None
    fair = fair_tier(session, holder, programme, old) if holder and programme else None
    mistake = Mistake(old.id, was_present(old), card_now(session, old), old.paid_points)
    if fair:
        mistake = replace(mistake, account_id=holder, tier=fair.tier)
    prepared = prepare(session, caller, sale, reference, now, mistake)
    if isinstance(prepared, int):
        raise Conflict("Another purchase was recorded under this external_id.")
    made = post(session, caller, prepared, reference, corrects_id=old.id)
    if holder and programme and fair:
        withdraw(session, holder, programme, now, fair.tier, purchase_id=fair.purchase_id)
    _settle_up(session, caller, old, rows, undone, made, reason, now)
    session.flush()
    return Recorded(made)


def _as_before(session: Session, caller: Caller, old: Purchase, sale: Sale) -> Sale:
    """The sale with what it does not state of the old one's circumstances: rules and books depend
    on them. A key that is bound to a branch states its own."""
    branch = sale.branch
    if branch is None and caller.branch_id is None and old.branch_id is not None:
        branch = session.get_one(Branch, old.branch_id).public_id
    return replace(sale, at=sale.at or old.at, branch=branch, channel=sale.channel or old.channel)


def _settle_up(
    session: Session,
    caller: Caller,
    old: Purchase,
    rows: Sequence[Row[Any]],
    undone: Refund,
    made: Purchase,
    reason: str,
    now: datetime,
) -> None:
    """Take what of the old earnings was spent from the new ones, and let points that came back
    and are not needed again make up for earlier returns. Raises InsufficientFunds when the rules
    refuse to leave a shortfall, and the new purchase earns less."""
    for row in rows:
        if undone.shortfall and row.position >= 0 and PartKind(row.kind) in undoing.EARNINGS:
            got = undoing.take_back(
                session, old, row, undone.shortfall,
                gently=True, actor=caller.actor, reason=reason, now=now,
            )  # fmt: skip
            undone.taken_back, undone.shortfall = undone.taken_back + got, undone.shortfall - got
    least = old.earned + old.stamps
    for holder in (row.account_id for row in rows if row.position < 0):
        least -= made.earned + made.stamps if made.account_id == holder else 0
        needed = made.paid_points if made.account_id == holder else 0
        most = undone.points_returned - needed
        found = undoing.recover(session, holder, most, caller.actor, reason, now)
        undone.outcome = undone.outcome | {"recovered": found}
    # One that earns no less takes nothing away: what is missing is only not there yet.
    if undone.shortfall and least > 0 and undoing.policy_of(session, old) == "refuse":
        raise InsufficientFunds("What it earned was spent.", available=undone.taken_back)


def _undo(
    session: Session,
    caller: Caller,
    old: Purchase,
    reference: Reference,
    reason: str,
    now: datetime,
) -> Refund:
    row = Refund(
        organisation_id=caller.organisation_id,
        branch_id=caller.branch_id,
        source=CORRECTION,
        external_id=old.public_id,
        purchase_source=old.source,
        purchase_external_id=old.external_id,
        at=now,
        recorded_at=now,
        state=RefundState.WAITING,
        request={"corrected_by": [reference.source, reference.external_id], "reason": reason},
        actor=str(caller.actor),
    )
    if old.total or old.earned:
        undo_part(session, old, row, Returned(), reason, now, correction=True)
        session.add(row)
    old.state = PurchaseState.CORRECTED
    session.add(old)
    session.flush()
    return row


def _claimed(session: Session, caller: Caller, purchase_id: str, reference: Reference) -> Purchase:
    """The purchase that is meant; nobody reports it or the new one at the same time."""
    named = session.exec(
        select(Purchase).where(
            Purchase.public_id == purchase_id, Purchase.organisation_id == caller.organisation_id
        )
    ).first()
    if named is None:
        raise NotFound("There is no such purchase.")
    claim(
        session,
        claim_of(caller, Reference(named.source, named.external_id)),
        claim_of(caller, reference),
    )
    return named
