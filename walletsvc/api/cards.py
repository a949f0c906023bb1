"""Cards: reading them, adjusting their balance, explaining it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.members import LINKS_EXAMPLE, PERSON_EXAMPLE
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import (
    Adjustment,
    CardOut,
    DryRun,
    NewAdjustment,
    Page,
    TransactionList,
)
from walletsvc.cards import queries
from walletsvc.cards.queries import CardView
from walletsvc.core.errors import (
    Conflict,
    InsufficientFunds,
    NotAccepted,
    NotFound,
    Refused,
    wrong,
)
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger import service as ledger
from walletsvc.ledger.queries import balance, explain, history, place_in_history, posted
from walletsvc.merchants.acceptance import require_open_branch
from walletsvc.programmes.calendar import LAST_YEAR, end_of_day
from walletsvc.programmes.models import Programme
from walletsvc.programmes.tiers import queries as tiers

_SOURCE: Final = "adjustment"
_OF_CREDITS: Final = ("available_from", "expires_on", "expires_at", "promotional")


def read_card(call: Call) -> CardOut:
    """A card as it is now."""
    view = find_card(call)
    stands = tiers.standing(call.session, view.programme.id, view.card.account_id)
    balance = explain(call.session, view.account.id).settled(call.now).balance
    return present.card(
        call.deps.settings,
        view,
        stands.tier if stands else None,
        balance,
        linked=present.for_reader(call.key, view),
    )


def create_adjustment(call: Call) -> Adjustment:
    """Credit or debit a card by hand."""
    body: NewAdjustment = call.body
    query: DryRun = call.query
    require_open_branch(call.session, call.key.branch_id)
    view = find_card(call, acting=True)
    if view.card.closed_at is not None:
        raise Refused("The card is closed.")
    terms = _terms(body, view.programme, call.now)
    common: dict[str, Any] = {
        "actor": call.actor,
        "reason": body.reason,
        "now": call.now,
        "branch_id": call.key.branch_id,
        "card_id": view.card.id,
    }
    account_id = view.card.account_id
    if body.amount > 0:
        done = ledger.credit(
            call.session, account_id, body.amount, source=_SOURCE, **terms, **common
        )
    else:
        done = ledger.debit(call.session, account_id, -body.amount, **common)
    row = posted(call.session, done.id)
    # An accrual leaves the balance as it is; the account is locked.
    left = balance(call.session, account_id) if row.balance_after is None else row.balance_after
    return Adjustment(
        transaction=present.transaction(row, dry_run=query.dry_run),
        balance=left,
        dry_run=query.dry_run,
    )


def _terms(body: NewAdjustment, programme: Programme, now: datetime) -> dict[str, Any]:
    """When a credit begins and ends and what it counts as; raises InputError naming the field."""
    given = {name: getattr(body, name) for name in _OF_CREDITS if getattr(body, name)}
    if given and body.amount < 0:
        raise wrong(
            next(iter(given)), "is for credits: a debit takes what ends soonest", "not_allowed"
        )
    if "expires_on" in given and "expires_at" in given:
        raise wrong("expires_at", "says the same as `expires_on`: give one of them", "not_allowed")
    for name in ("available_from", "expires_at"):
        if name in given and given[name].year > LAST_YEAR:
            raise wrong(name, f"must not be after {LAST_YEAR}", "not_allowed")
    if "expires_on" in given:
        ends = end_of_day(programme, given.pop("expires_on"), now)
        if ends <= max(given.get("available_from", now), now):
            raise wrong("expires_on", "must not be before `available_from`", "not_allowed")
        given["expires_at"] = ends
    return given


def list_transactions(call: Call) -> TransactionList:
    """A card's history, newest first."""
    query: Page = call.query
    view = find_card(call)
    before = None
    if query.cursor is not None:
        before = _place(call, view, query.cursor)
    rows = history(call.session, view.card.account_id, before_id=before, limit=query.limit + 1)
    shown = rows[: query.limit]
    return TransactionList(
        items=[present.transaction(row) for row in shown],
        next_cursor=shown[-1].public_id if len(rows) > query.limit else None,
    )


def find_card(call: Call, *, acting: bool = False) -> CardView:
    """The card in the path; `acting` keeps it with its account until the call ends."""
    card_id = call.path["card_id"]
    view = None
    if PUBLIC_ID.fullmatch(card_id):
        view = queries.find(call.session, call.key.organisation_id, card_id, acting=acting)
    if view is None:
        raise NotFound("There is no such card.")
    return view


def _place(call: Call, view: CardView, cursor: str) -> int:
    place = None
    if PUBLIC_ID.fullmatch(cursor):
        place = place_in_history(call.session, view.card.account_id, cursor)
    if place is None:
        raise wrong("cursor", "is not a cursor of this list", "invalid")
    return place


CARD_PATH: Final = {"card_id": "The card's id, as registering the member answered it."}
CARD_EXAMPLE: Final = {
    "id": "3h7k9m2p5r8t0v4x6z1b",
    "number": "9047182036514928",
    "holder": PERSON_EXAMPLE,
    "programme": {"slug": "coffee", "name": "Coffee Club", "scale": 0},
    "balance": 250,
    "tier": {"code": "gold", "name": {"ru": "Золото", "en": "Gold"}},
    "group": None,
    "links": LINKS_EXAMPLE,
    "verified_at": "2026-11-20T09:31:10Z",
    "created_at": "2026-11-20T09:30:00Z",
    "closed_at": None,
}
TRANSACTION_EXAMPLE: Final = {
    "id": "8w2e4r6t0y1v3x5z7b9d",
    "type": "credit",
    "amount": 100,
    "balance_after": 250,
    "reason": "Apology for a cold cappuccino",
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "branch": None,
    "card": "3h7k9m2p5r8t0v4x6z1b",
    "undoes": None,
    "at": "2026-11-20T10:15:42Z",
}

OPERATIONS: Final = (
    Operation(
        id="readCard",
        method="GET",
        path="/cards/{card_id}",
        tag="Cards",
        scope=Scope.CARDS_READ,
        summary="Read a card",
        description="The card with its holder, its programme, its present balance and tier. In a "
        "programme with codes of the moment a key of a till gets no `links`.",
        handler=read_card,
        answer=CardOut,
        answer_example=CARD_EXAMPLE,
        path_parameters=CARD_PATH,
    ),
    Operation(
        id="createAdjustment",
        method="POST",
        path="/cards/{card_id}/adjustments",
        tag="Cards",
        scope=Scope.ADJUSTMENTS_WRITE,
        summary="Credit or debit a card",
        description="Changes a card's balance by hand; the card in the holder's phone follows. "
        "A debit that the balance does not cover is refused, and `available` says how much it "
        "covers. A credit that begins later (`available_from`) is an `accrual` and joins the "
        "balance then; it may end on a day (`expires_on`) or at a moment (`expires_at`). "
        "With an API key of a branch the transaction belongs to that branch.",
        handler=create_adjustment,
        body=NewAdjustment,
        body_example={"amount": 100, "reason": "Apology for a cold cappuccino"},
        query=DryRun,
        answer=Adjustment,
        answer_example={"transaction": TRANSACTION_EXAMPLE, "balance": 250, "dry_run": False},
        key=KeyRule.REQUIRED,
        problems=(InsufficientFunds, NotAccepted, Refused, Conflict),
        path_parameters=CARD_PATH,
    ),
    Operation(
        id="listTransactions",
        method="GET",
        path="/cards/{card_id}/transactions",
        tag="Cards",
        scope=Scope.CARDS_READ,
        summary="List a card's transactions",
        description="Why the balance is what it is, newest first. Go on with `next_cursor`: what "
        "happens in between neither repeats nor hides a transaction.",
        handler=list_transactions,
        query=Page,
        answer=TransactionList,
        answer_example={"items": [TRANSACTION_EXAMPLE], "next_cursor": "8w2e4r6t0y1v3x5z7b9d"},
        path_parameters=CARD_PATH,
    ),
)
