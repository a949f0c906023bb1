"""Reading holds: one, and those that are open."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, false
from sqlmodel import col, select

from walletsvc.access.rules import Scope
from walletsvc.api.holds.common import EXAMPLE, PATH, TAG, find, listed, of_path, shown
from walletsvc.api.holds_schemas import HoldList, HoldOut, OpenHolds
from walletsvc.api.operations import Call, Operation
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger.models import Hold, HoldState


def read_hold(call: Call) -> HoldOut:
    """A hold as it is now."""
    return shown(call, of_path(call))


def list_holds(call: Call) -> HoldList:
    """The open holds of the caller's organisation, newest first."""
    query: OpenHolds = call.query
    wanted = [
        col(Hold.acceptor_id) == call.key.organisation_id,
        col(Hold.state) == HoldState.ACTIVE,
        col(Hold.expires_at) > call.now,
        *_whose(query),
    ]
    if query.cursor is not None:
        last = find(call, query.cursor)
        if last is None:
            raise wrong("cursor", "is not a cursor of this list")
        wanted.append(col(Hold.id) < last.id)
    found = listed(call.session, wanted, query.limit + 1, call.now)
    part = found[: query.limit]
    return HoldList(items=part, next_cursor=part[-1].id if len(found) > query.limit else None)


def _whose(query: OpenHolds) -> list[ColumnElement[bool]]:
    if query.card_id is not None and query.certificate_id is not None:
        raise wrong("certificate_id", "cannot be given together with `card_id`", "not_allowed")
    public_id = query.certificate_id if query.card_id is None else query.card_id
    if public_id is None:
        return []
    if not PUBLIC_ID.fullmatch(public_id):
        return [false()]
    if query.card_id is not None:
        return [col(Hold.card_id).in_(select(Card.id).where(Card.public_id == public_id))]
    account = select(Certificate.account_id).where(Certificate.public_id == public_id)
    return [col(Hold.account_id).in_(account)]


OPERATIONS: Final = (
    Operation(
        id="listHolds",
        method="GET",
        path="/holds",
        tag=TAG,
        scope=Scope.HOLDS_WRITE,
        summary="List open holds",
        description="What your organisation has reserved and neither taken nor released yet, "
        "newest first: all of it, or that of one card or certificate. What ran out is not among "
        "it. A till that lost its memory finds here what to capture or to void.",
        handler=list_holds,
        query=OpenHolds,
        answer=HoldList,
        answer_example={"items": [EXAMPLE], "next_cursor": None},
    ),
    Operation(
        id="readHold",
        method="GET",
        path="/holds/{hold_id}",
        tag=TAG,
        scope=Scope.HOLDS_WRITE,
        summary="Read a hold",
        description="A hold that your organisation made. Ask it when you do not know what became "
        "of a capture.",
        handler=read_hold,
        answer=HoldOut,
        answer_example=EXAMPLE,
        path_parameters=PATH,
    ),
)
