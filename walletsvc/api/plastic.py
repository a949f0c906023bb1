"""Numbers of plastic cards."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api.cards import CARD_PATH, find_card
from walletsvc.api.imports_schemas import NewPlasticNumber, PlasticNumberOut, PlasticNumbers
from walletsvc.api.operations import Call, Operation
from walletsvc.cards.plastic import service
from walletsvc.cards.plastic.models import PlasticNumber
from walletsvc.core.errors import Conflict, wrong


def list_numbers(call: Call) -> PlasticNumbers:
    """A card's numbers."""
    numbers = service.numbers_of(call.session, find_card(call).card)
    return PlasticNumbers(items=[_shown(row) for row in numbers])


def add_number(call: Call) -> PlasticNumberOut:
    """Let a number stand for a card."""
    body: NewPlasticNumber = call.body
    if "\x00" in body.number:
        raise wrong("number", "must not hold control characters", "invalid_characters")
    return _shown(
        service.add(call.session, find_card(call, acting=True).card, body.number, call.now)
    )


def _shown(row: PlasticNumber) -> PlasticNumberOut:
    return PlasticNumberOut(
        number=row.number, claimed=row.claimed_at is not None, created_at=row.created_at
    )


_EXAMPLE: Final = {"number": "0001234567", "claimed": False, "created_at": "2026-11-20T09:30:00Z"}

OPERATIONS: Final = (
    Operation(
        id="listPlasticNumbers",
        method="GET",
        path="/cards/{card_id}/plastic-numbers",
        tag="Cards",
        scope=Scope.CARDS_READ,
        summary="List a card's plastic numbers",
        description="Numbers printed on plastic that scan as this card.",
        handler=list_numbers,
        answer=PlasticNumbers,
        answer_example={"items": [_EXAMPLE]},
        path_parameters=CARD_PATH,
    ),
    Operation(
        id="addPlasticNumber",
        method="POST",
        path="/cards/{card_id}/plastic-numbers",
        tag="Cards",
        scope=Scope.MEMBERS_WRITE,
        summary="Give a card a plastic number",
        description="From now on the number scans as this card. The same again changes nothing; "
        "a number that is another card's is a conflict.",
        handler=add_number,
        status=201,
        body=NewPlasticNumber,
        body_example={"number": "0001 234567"},
        answer=PlasticNumberOut,
        answer_example=_EXAMPLE,
        problems=(Conflict,),
        path_parameters=CARD_PATH,
    ),
)
