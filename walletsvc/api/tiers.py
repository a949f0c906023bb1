"""Who would change tier under other rules of a programme."""

from __future__ import annotations

from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, Operation
from walletsvc.api.rules import BOOK_EXAMPLE, PROGRAMME_PATH, no_cursor, own_programme
from walletsvc.api.rules_schemas import (
    NewTierPreview,
    TierCount,
    TierMove,
    TierMover,
    TierPreview,
)
from walletsvc.cards import queries as cards
from walletsvc.cards.tiers.preview import preview
from walletsvc.core.errors import Conflict
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.programmes import references, versions


def preview_tiers(call: Call) -> TierPreview:
    """Who would change tier."""
    body: NewTierPreview = call.body
    programme = own_programme(call)
    if body.rules is not None:
        book = body.rules
        with references.inside("rules"):
            references.require(call.session, programme, book)
    else:
        draft = versions.find_draft(call.session, programme.id)
        if draft is None:
            raise Conflict(f"The programme '{programme.slug}' has no draft: send the rules.")
        book = versions.book_of(draft)
    found = preview(
        call.session, programme, book, call.now, after=_card(call, body), limit=body.limit + 1
    )
    shown = found.movers[: body.limit]
    return TierPreview(
        moves=[
            TierMove(
                before=step.before, after=step.after, direction=step.direction,
                at_once=step.at_once, cards=count,
            )
            for step, count in sorted(
                found.moves.items(), key=lambda each: (each[0].before or "", each[0].after or "")
            )
        ],
        staying=found.staying,
        after=[
            TierCount(tier=tier, cards=found.after[tier])
            for tier in sorted(found.after, key=lambda tier: tier or "")
        ],
        items=[
            TierMover(
                id=mover.public_id, number=mover.number, before=mover.step.before,
                after=mover.step.after, direction=mover.step.direction,
                at_once=mover.step.at_once, turnover=mover.base,
            )
            for mover in shown
        ],
        next_cursor=shown[-1].public_id if len(found.movers) > body.limit else None,
    )  # fmt: skip


def _card(call: Call, body: NewTierPreview) -> int:
    if body.cursor is None:
        return 0
    view = None
    if PUBLIC_ID.fullmatch(body.cursor):
        view = cards.find(call.session, call.key.organisation_id, body.cursor)
    if view is None:
        raise no_cursor()
    return view.card.id


_MOVE: Final[dict[str, Any]] = {
    "before": "bronze",
    "after": "gold",
    "direction": "up",
    "at_once": True,
}

OPERATIONS: Final = (
    Operation(
        id="previewTiers",
        method="POST",
        path="/programmes/{slug}/tiers/preview",
        tag="Rules",
        scope=Scope.RULES_WRITE,
        summary="See who would change tier",
        description="What publishing the draft, or the rules sent along, would do to the tiers "
        "of all open cards: numbers of all, and the cards themselves piece by piece. Writes "
        "nothing.",
        handler=preview_tiers,
        body=NewTierPreview,
        body_example={"rules": BOOK_EXAMPLE, "limit": 50},
        answer=TierPreview,
        answer_example={
            "moves": [_MOVE | {"cards": 12}],
            "staying": 4312,
            "after": [{"tier": "bronze", "cards": 4101}, {"tier": "gold", "cards": 223}],
            "items": [
                {
                    "id": "3h7k9m2p5r8t0v4x6z1b",
                    "number": "9047182036514928",
                    **_MOVE,
                    "turnover": 5_120_000,
                }
            ],
            "next_cursor": "3h7k9m2p5r8t0v4x6z1b",
        },
        problems=(Conflict,),
        path_parameters=PROGRAMME_PATH,
    ),
)
