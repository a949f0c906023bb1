"""What happened, for whoever has to do something about it: upward reactions.

A service emits an event in the transaction that makes it true. The handlers are chosen in the
composition root and given to the `Database`, whose sessions carry them; they run at once, inside
the same transaction, and only write rows or defer jobs. One that raises undoes everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from walletsvc.core.actor import Actor

_HANDLERS: Final = "walletsvc.handlers"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true at `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class RulesPublished(Event):
    """A programme's rules are another version from now on; None is no rules before."""

    programme_id: int
    version_id: int
    former_id: int | None
    actor: Actor


@dataclass(frozen=True, slots=True)
class TierChanged(Event):
    """An account went from one tier to another; None where the rules had no tiers."""

    account_id: int
    programme_id: int
    before: str | None
    after: str | None
    cause: str
    purchase_id: int | None = None


@dataclass(frozen=True, slots=True)
class AccountsMerged(Event):
    """Everything of an account of this programme is the other's from now on."""

    programme_id: int
    account_id: int
    into_id: int


@dataclass(frozen=True, slots=True)
class AccountSplit(Event):
    """A card of a shared account of this programme got a new account of its own."""

    programme_id: int
    account_id: int
    new_id: int


@dataclass(frozen=True, slots=True)
class PurchaseRecorded(Event):
    """A sale was written down; `corrects` is the purchase in whose place it counts.

    `purchase`, `card`, `branch` and `corrects` are public ids. `sold_at` is the time of the sale;
    money in minor units of `currency`, points in those of the card's programme.
    """

    purchase: str
    organisation_id: int
    programme_id: int | None
    card: str | None
    branch: str | None
    corrects: str | None
    sold_at: datetime
    currency: str
    total: int
    discount: int
    paid_points: int
    paid_certificates: int
    paid_money: int
    earned: int
    stamps: int
    tier_before: str | None
    tier_after: str | None


@dataclass(frozen=True, slots=True)
class PurchaseRefunded(Event):
    """Something of a purchase came back; ids and amounts as in PurchaseRecorded.

    `whole`: nothing is left of it. `correction`: another purchase counts in its place, which is
    told next; what had been spent of the earnings is then taken from the new ones. `taken_back` of
    what was earned, `shortfall` what had been spent already; `recovered` what of the points that
    came back made up for the shortfalls of earlier refunds.
    """

    refund: str
    purchase: str
    organisation_id: int
    programme_id: int | None
    card: str | None
    currency: str
    money: int
    points_returned: int
    certificates_returned: int
    taken_back: int
    shortfall: int
    recovered: int
    whole: bool
    correction: bool


@dataclass(frozen=True, slots=True)
class MessageReceived(Event):
    """Somebody wrote to the shop by SMS; `phone` in E.164. Without an organisation the gateway
    serves all of them, and whose customer it is has to be found out."""

    organisation_id: int | None
    phone: str
    text: str
    gateway_id: int


@dataclass(frozen=True, slots=True)
class CallReceived(Event):
    """Somebody called the number they were shown. `external_id` is what the gateway named when it
    began to wait; `phone` (E.164) is empty where it tells the id alone."""

    organisation_id: int | None
    phone: str
    external_id: str


Handler = Callable[[Session, Any], None]
Handlers = Mapping[type[Event], Sequence[Handler]]


def carried(handlers: Handlers) -> dict[str, Any]:
    """What sessions carry so that `emit` finds these handlers."""
    return {_HANDLERS: handlers}


def emit(session: Session, event: Event) -> None:
    """Run the handlers of this kind of event, in their order, in the caller's transaction."""
    handlers: Handlers = session.info.get(_HANDLERS, {})
    for handler in handlers.get(type(event), ()):
        handler(session, event)
