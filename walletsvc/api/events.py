"""Named events of the rules: a review, a quiz, a friend brought along."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.cards import CARD_PATH, TRANSACTION_EXAMPLE, find_card
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import Adjustment, DryRun, Input
from walletsvc.core.errors import Conflict, NotAccepted, NotVerified, Refused
from walletsvc.enrolment import gifts
from walletsvc.ledger.queries import balance, posted
from walletsvc.merchants.acceptance import require_open_branch


class NewEvent(Input):
    """Something that the rules give points for."""

    event: str = Field(
        min_length=1, max_length=40, description="Its name under `events.manual` of the rules."
    )


def record_event(call: Call) -> Adjustment:
    """Give what the rules give for a named event."""
    body: NewEvent = call.body
    query: DryRun = call.query
    require_open_branch(call.session, call.key.branch_id)
    view = find_card(call, acting=True)
    done = gifts.named(
        call.session, view.card, view.programme, body.event, view.person.language, call.actor,
        call.now, call.key.branch_id,
    )  # fmt: skip
    row = posted(call.session, done.id)
    left = row.balance_after
    if left is None:
        left = balance(call.session, view.card.account_id)
    transaction = present.transaction(row, dry_run=query.dry_run)
    return Adjustment(transaction=transaction, balance=left, dry_run=query.dry_run)


OPERATIONS: Final = (
    Operation(
        id="recordEvent",
        method="POST",
        path="/cards/{card_id}/events",
        tag="Cards",
        summary="Give points for a named event",
        description="What the rules' `events.manual` gives for it, with its end. Each call gives "
        "anew: whether it is the first time is the caller's to know.",
        scope=Scope.ADJUSTMENTS_WRITE,
        handler=record_event,
        path_parameters=CARD_PATH,
        query=DryRun,
        body=NewEvent,
        answer=Adjustment,
        key=KeyRule.REQUIRED,
        body_example={"event": "review"},
        answer_example={"transaction": TRANSACTION_EXAMPLE, "balance": 250, "dry_run": False},
        problems=(NotAccepted, NotVerified, Refused, Conflict),
    ),
)
