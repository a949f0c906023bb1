"""What all calls about holds share: finding one, showing some, examples."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlalchemy import select as rows_of
from sqlmodel import Session, col, select

from walletsvc.api.holds_schemas import HoldOut
from walletsvc.api.operations import Call
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger.holds import state_at
from walletsvc.ledger.models import Hold, HoldState, Transaction
from walletsvc.merchants.models import Branch

TAG: Final = "Holds"
PATH: Final = {"hold_id": "The hold's id, as reserving answered it."}


def find(call: Call, public_id: str) -> Hold | None:
    """A hold of the caller's organisation: whoever reserved it takes or releases it."""
    if not PUBLIC_ID.fullmatch(public_id):
        return None
    return call.session.exec(
        select(Hold).where(
            col(Hold.public_id) == public_id,
            col(Hold.acceptor_id) == call.key.organisation_id,
        )
    ).first()


def of_path(call: Call) -> Hold:
    """The hold in the path; raises NotFound."""
    found = find(call, call.path["hold_id"])
    if found is None:
        raise NotFound("There is no such hold.")
    return found


def shown(call: Call, hold: Hold, *, dry_run: bool = False) -> HoldOut:
    """A hold as it is at this moment."""
    return listed(call.session, [col(Hold.id) == hold.id], 1, call.now, dry_run=dry_run)[0]


def listed(
    session: Session,
    conditions: Sequence[ColumnElement[bool]],
    limit: int,
    now: datetime,
    *,
    dry_run: bool = False,
) -> list[HoldOut]:
    """The holds of which these hold true, newest first, each with the ids of what it names."""
    rows = session.execute(
        rows_of(
            Hold,
            col(Card.public_id),
            col(Certificate.public_id),
            col(Branch.public_id),
            col(Transaction.public_id),
        )
        .outerjoin(Card, col(Card.id) == col(Hold.card_id))
        .outerjoin(Certificate, col(Certificate.account_id) == col(Hold.account_id))
        .outerjoin(Branch, col(Branch.id) == col(Hold.branch_id))
        .outerjoin(Transaction, col(Transaction.id) == col(Hold.transaction_id))
        .where(*conditions)
        .order_by(col(Hold.id).desc())
        .limit(limit)
    )
    return [_out(*row, now=now, dry_run=dry_run) for row in rows]


def _out(
    hold: Hold,
    card: str | None,
    certificate: str | None,
    branch: str | None,
    transaction: str | None,
    *,
    now: datetime,
    dry_run: bool,
) -> HoldOut:
    state = state_at(hold, now)
    made_now = dry_run and state is HoldState.ACTIVE
    return HoldOut(
        id=None if made_now else hold.public_id,
        state=state,
        amount=hold.amount,
        captured=hold.captured,
        card=card,
        certificate=certificate,
        branch=branch,
        transaction=None if dry_run else transaction,
        reason=hold.reason,
        actor=hold.actor,
        created_at=hold.created_at,
        expires_at=hold.expires_at,
        closed_at=hold.expires_at if state is HoldState.EXPIRED else hold.closed_at,
    )


EXAMPLE: Final[dict[str, Any]] = {
    "id": "6d9f1h4k7m0p3r5t8v2x",
    "state": "active",
    "amount": 300,
    "captured": 0,
    "card": "3h7k9m2p5r8t0v4x6z1b",
    "certificate": None,
    "branch": "1z3b5d7f9h2k4m6p8r0t",
    "transaction": None,
    "reason": "Receipt 4711",
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "created_at": "2026-11-20T10:15:00Z",
    "expires_at": "2026-11-20T10:30:00Z",
    "closed_at": None,
}
