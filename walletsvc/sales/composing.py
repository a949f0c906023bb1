"""What a sale posts: points and certificates taken, then what it earns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from walletsvc.core.errors import InsufficientFunds
from walletsvc.ledger.together import Together
from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.sales.facts import CardFacts, CertificateFacts, Facts
from walletsvc.sales.models import PartKind
from walletsvc.sales.sale import Caller, Certificate, Sale


@dataclass(frozen=True, slots=True)
class Part:
    """A posting that the sale causes: the place in `Together`, what it is, how much."""

    place: int
    kind: PartKind
    amount: int
    certificate: CertificateFacts | None = None


def compose(
    together: Together,
    caller: Caller,
    sale: Sale,
    facts: Facts,
    outcome: Outcome,
    points: int,
    at: datetime,
) -> tuple[Part, ...]:
    """Take points, take certificates, give what was earned: in this order."""
    parts = []
    card, acceptor = facts.card, caller.organisation_id
    if card is not None and points:
        place = _take(together, card.account_id, points, sale.hold, facts, acceptor, card.id)
        parts.append(Part(place, PartKind.POINTS, points))
    for each in sale.certificates:
        found = facts.certificates[each.id]
        place = _pay(together, each, found, facts, acceptor)
        parts.append(Part(place, PartKind.CERTIFICATE, each.amount, found))
    kind, earned = _earns(card, outcome)
    if card is not None and earned:
        place = together.credit(
            card.account_id,
            earned,
            source="purchase",
            acceptor_id=acceptor,
            earned_at=at,
            available_from=outcome.available_from,
            expires_at=outcome.expires_at,
            card_id=card.id,
        )
        parts.append(Part(place, kind, earned))
    return tuple(parts)


def _earns(card: CardFacts | None, outcome: Outcome) -> tuple[PartKind, int]:
    """What the card's account counts of what was earned."""
    if card is not None and card.programme.kind is ProgrammeKind.STAMPS:
        return PartKind.STAMPS, outcome.stamps
    counts = card is not None and card.programme.kind is ProgrammeKind.POINTS
    return PartKind.EARN, outcome.earned if counts else 0


def _take(
    together: Together,
    account_id: int,
    amount: int,
    hold: str | None,
    facts: Facts,
    acceptor_id: int,
    card_id: int | None,
) -> int:
    if hold is not None:
        return together.capture(
            facts.holds[hold][0], amount, acceptor_id=acceptor_id, card_id=card_id
        )
    return together.debit(account_id, amount, acceptor_id=acceptor_id, card_id=card_id)


def _pay(
    together: Together,
    each: Certificate,
    found: CertificateFacts,
    facts: Facts,
    acceptor_id: int,
) -> int:
    try:
        return _take(together, found.account_id, each.amount, each.hold, facts, acceptor_id, None)
    except InsufficientFunds as error:
        error.data["certificate"] = each.id
        raise
