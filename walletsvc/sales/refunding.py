"""Returns: each takes its part of everything, by what was stored with the purchase.

Nothing is evaluated anew, so neither later rules nor a later tier change what comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound, Refused, WalletsvcError, wrong
from walletsvc.jobs.events import PurchaseRefunded, emit
from walletsvc.programmes.rulebook.basket import MILLI
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.reasons import Code, Reason
from walletsvc.programmes.rulebook.refunds import Returned, Share, share
from walletsvc.sales import undoing
from walletsvc.sales.models import Purchase, PurchaseState, Refund, RefundState
from walletsvc.sales.sale import Caller, Reference, Return, claim_of, require_same

CORRECTION: Final = "correction"  # the source of what a correction undoes: nobody else's

_CLAIM: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(key, 0))"
    " FROM unnest(CAST(:claims AS text[])) AS key"
)
_RETURNED: Final = text("""
UPDATE purchase_lines SET returned_quantity = returned_quantity + r.quantity,
       returned_sum = returned_sum + r.sum
  FROM unnest(CAST(:positions AS int[]), CAST(:quantities AS numeric[]), CAST(:sums AS bigint[]))
       AS r (position, quantity, sum)
 WHERE purchase_id = :purchase_id AND purchase_lines.position = r.position
""")


def refund(
    session: Session,
    caller: Caller,
    purchase_id: str,
    reference: Reference,
    back: Return,
    now: datetime,
) -> Refund:
    """Take a return of the caller's purchase with this public id.

    The same reference with the same content answers the same refund. Raises NotFound, Conflict
    (the reference with other content), InputError (an item that was not bought, a source that is
    kept), Refused (more
    than is left) and InsufficientFunds (points were spent, and the rules refuse such a return).
    """
    found = session.exec(
        select(Purchase).where(
            Purchase.public_id == purchase_id, Purchase.organisation_id == caller.organisation_id
        )
    ).first()
    if found is None:
        raise NotFound("There is no such purchase.")
    original = Reference(found.source, found.external_id)
    return refund_by_reference(session, caller, original, reference, back, now)


def refund_by_reference(
    session: Session,
    caller: Caller,
    original: Reference,
    reference: Reference,
    back: Return,
    now: datetime,
) -> Refund:
    """Take a return of the purchase that the sending system calls `original`.

    When that is not known yet the return waits for it. Raises as `refund` does.
    """
    if reference.source == CORRECTION:
        raise wrong("source", "is kept for corrections", "not_allowed")
    claim(session, claim_of(caller, reference, "refund"), claim_of(caller, original))
    content = back.content() | {"purchase": [original.source, original.external_id]}
    former = _former(session, caller, reference)
    if former is not None:
        require_same(former.request, content, "refund", former.public_id)
        return former
    row = Refund(
        organisation_id=caller.organisation_id,
        branch_id=caller.branch_id,
        source=reference.source,
        external_id=reference.external_id,
        purchase_source=original.source,
        purchase_external_id=original.external_id,
        at=min(back.at or now, now),
        recorded_at=now,
        state=RefundState.WAITING,
        request=content,
        actor=str(caller.actor),
    )
    purchase = _newest(session, caller, original)
    if purchase is not None:
        undo_part(session, purchase, row, back.returned, back.reason, now)
    session.add(row)
    session.flush()
    return row


def apply_waiting(
    session: Session, purchase_id: int, waiting: Sequence[int], now: datetime
) -> Purchase:
    """Returns that came before their purchase; one that asks for too much is noted as refused.

    The purchase must not fail for it: it has happened.
    """
    purchase = lock_purchase(session, purchase_id)
    for id_ in waiting:
        row = session.get_one(Refund, id_, populate_existing=True)
        returned = Returned.model_validate(
            {name: row.request[name] for name in Returned.model_fields}
        )
        attempt = session.begin_nested()
        try:
            undo_part(session, purchase, row, returned, row.request["reason"], now)
        except WalletsvcError as error:
            attempt.rollback()
            session.refresh(purchase)
            session.refresh(row)
            row.state, row.purchase_id = RefundState.REFUSED, purchase.id
            row.outcome = {"problem": {"code": error.code, "detail": error.detail}}
        else:
            attempt.commit()
        session.add(row)
        session.flush()
    return purchase


def undo_part(
    session: Session,
    purchase: Purchase,
    row: Refund,
    returned: Returned,
    reason: str,
    now: datetime,
    *,
    correction: bool = False,
) -> None:
    """Give and take what this return means, note it in `row` and on the purchase's lines, tell."""
    currency = row.request.get("currency")
    if currency not in (None, purchase.currency):
        raise wrong("amount.currency", f"must be {purchase.currency}", "not_allowed")
    outcome = Outcome.model_validate(purchase.outcome)
    before = _made(session, purchase)
    part = share(outcome, returned, before)
    if not part.total.net and not part.total.milli:
        raise Refused("Nothing is left of this purchase to return.", returnable=0)
    actor = Actor.parse(row.actor)
    done = undoing.undo(
        session,
        purchase,
        part,
        actor=actor,
        reason=reason,
        branch_id=row.branch_id,
        now=now,
        correction=correction,
    )
    row.purchase_id, row.state = purchase.id, RefundState.DONE
    row.outcome = {
        "share": part.model_dump(mode="json"),
        "recovered": done.recovered,
        "expired": done.expired,
        "explanation": [reason.model_dump(mode="json") for reason in done.explanation],
        **done.figures,
    }
    row.money = part.total.money
    row.points_returned = part.total.points
    row.certificates_returned = sum(part.total.certificates)
    row.taken_back, row.shortfall = done.taken_back, done.shortfall
    _note(session, purchase, outcome, before, part)
    emit(session, _told(purchase, row, correction, now))


def _told(purchase: Purchase, row: Refund, correction: bool, now: datetime) -> PurchaseRefunded:
    return PurchaseRefunded(
        at=now,
        refund=row.public_id,
        purchase=purchase.public_id,
        organisation_id=purchase.organisation_id,
        programme_id=purchase.programme_id,
        card=purchase.receipt["card"],
        currency=purchase.currency,
        money=row.money,
        points_returned=row.points_returned,
        certificates_returned=row.certificates_returned,
        taken_back=row.taken_back,
        shortfall=row.shortfall,
        recovered=recovered(row.outcome),
        whole=purchase.state is PurchaseState.REFUNDED,
        correction=correction,
    )


def _note(
    session: Session, purchase: Purchase, outcome: Outcome, before: list[Share], part: Share
) -> None:
    session.execute(
        _RETURNED,
        {
            "purchase_id": purchase.id,
            "positions": list(range(len(part.lines))),
            "quantities": [Decimal(line.milli) / MILLI for line in part.lines],
            "sums": [line.net for line in part.lines],
        },
    )
    made = [*before, part]
    value_left = outcome.payable - sum(one.total.net for one in made)
    pieces = sum(line.milli for line in outcome.lines) - sum(one.total.milli for one in made)
    over = value_left == 0 if outcome.payable else pieces <= 0
    purchase.state = PurchaseState.REFUNDED if over else PurchaseState.PARTLY_REFUNDED
    session.add(purchase)


def claim(session: Session, *claims: str) -> None:
    """Wait until whoever reports the same is over, in the order given; held until the end."""
    session.execute(_CLAIM, {"claims": list(claims)})


def lock_purchase(session: Session, purchase_id: int) -> Purchase:
    """The purchase as it is while this transaction holds it."""
    return session.exec(
        select(Purchase)
        .where(Purchase.id == purchase_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()


def _newest(session: Session, caller: Caller, original: Reference) -> Purchase | None:
    """The purchase of this name, or the one that corrects it, locked."""
    wanted = select(Purchase.id).where(
        Purchase.organisation_id == caller.organisation_id,
        Purchase.source == original.source,
        Purchase.external_id == original.external_id,
    )
    found = session.exec(wanted).first()
    if found is None:
        return None
    purchase = lock_purchase(session, found)
    while purchase.state is PurchaseState.CORRECTED:
        later = session.exec(select(Purchase.id).where(Purchase.corrects_id == purchase.id)).one()
        purchase = lock_purchase(session, later)
    return purchase


def _former(session: Session, caller: Caller, reference: Reference) -> Refund | None:
    return session.exec(
        select(Refund).where(
            Refund.organisation_id == caller.organisation_id,
            Refund.source == reference.source,
            Refund.external_id == reference.external_id,
        )
    ).first()


def _made(session: Session, purchase: Purchase) -> list[Share]:
    rows = session.exec(
        select(Refund)
        .where(Refund.purchase_id == purchase.id, Refund.state == RefundState.DONE)
        .order_by(col(Refund.id))
    )
    return [shared(row.outcome) for row in rows]


def recovered(outcome: dict[str, Any]) -> int:
    """What a refund took of what earlier ones could not take, in minor units of points."""
    return sum(each["amount"] for each in outcome.get("recovered", ()))


def shared(outcome: dict[str, Any]) -> Share:
    """The share that a refund was."""
    return Share.model_validate(outcome["share"])


def explained(refund: Refund) -> list[Reason]:
    """What whoever takes the return should know of it; finished ones of earlier releases have none.

    That it waits is true only as long as it does, so that is never stored.
    """
    if refund.state is RefundState.WAITING:
        return [Reason(code=Code.PURCHASE_AWAITED)]
    return [Reason.model_validate(each) for each in refund.outcome.get("explanation", ())]
