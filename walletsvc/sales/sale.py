"""A sale as it is reported: what was bought, by whom, where and when, and how it is paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict
from walletsvc.programmes.rulebook.basket import Basket
from walletsvc.programmes.rulebook.refunds import Returned


@dataclass(frozen=True, slots=True)
class Caller:
    """Who reports: the organisation, the branch its key is bound to, the actor."""

    organisation_id: int
    branch_id: int | None
    actor: Actor


@dataclass(frozen=True, slots=True)
class Reference:
    """What the sending system calls it: unique for an organisation and source."""

    source: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A gift certificate (public id) that pays `amount` minor units; perhaps what was held."""

    id: str
    amount: int
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class Sale:
    """Money in minor units of `currency`, points in minor units of the programme.

    `card`, `branch` and holds are public ids. `at` None is the moment of the report. `points`
    None pays with all that is held, or with nothing. `presentation` or `proof` (public ids) show
    that the card's holder is there; they are no part of what was bought.
    """

    basket: Basket
    currency: str
    card: str | None = None
    branch: str | None = None
    channel: str | None = None
    at: datetime | None = None
    points: int | None = None
    hold: str | None = None
    certificates: tuple[Certificate, ...] = ()
    presentation: str | None = None
    proof: str | None = None

    def content(self) -> dict[str, Any]:
        """What makes two reports the same, as JSON."""
        return {
            **self.basket.model_dump(mode="json"),
            "currency": self.currency,
            "card_id": self.card,
            "branch_id": self.branch,
            "channel": self.channel,
            "at": self.at.isoformat() if self.at else None,
            "points": self.points,
            "hold_id": self.hold,
            "certificates": [
                {"id": each.id, "amount": each.amount, "hold_id": each.hold}
                for each in self.certificates
            ],
        }


@dataclass(frozen=True, slots=True)
class Mistake:
    """The purchase that a sale corrects; without it `account_id` has at most this tier.

    `present`: the holder of its card (`card_id`, the one it is part of by now) was there, as far
    as its programme asks; `points` of that card paid.
    """

    purchase_id: int
    present: bool
    card_id: int | None
    points: int
    account_id: int | None = None
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """What comes back, when and why; a sum of it in minor units of `currency`."""

    returned: Returned
    reason: str
    at: datetime | None = None
    currency: str | None = None

    def content(self) -> dict[str, Any]:
        """What makes two reports the same, as JSON."""
        return {
            **self.returned.model_dump(mode="json"),
            "reason": self.reason,
            "currency": self.currency,
            "at": self.at.isoformat() if self.at else None,
        }


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """The fields in which two contents differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        names = dict.fromkeys([*first, *second])
        inner = [(f"{path}.{name}" if path else name, first.get(name), second.get(name))
                 for name in names]  # fmt: skip
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        inner = [(f"{path}.{n}", *pair) for n, pair in enumerate(zip(first, second, strict=True))]
    else:
        return [] if first == second else [path]
    return [found for name, one, other in inner for found in differences(one, other, name)]


def require_same(first: Any, second: Any, what: str, public_id: str) -> None:
    """Raises Conflict naming the fields in which a second report differs from the first."""
    if differing := differences(first, second):
        fields = ", ".join(differing[:10])
        raise Conflict(
            f"Another {what} was recorded under this external_id; what differs: {fields}.",
            **{what: public_id, "differs": differing},
        )


def claim_of(caller: Caller, reference: Reference, what: str = "purchase") -> str:
    """The name under which a report is one at a time."""
    return f"{what}:{caller.organisation_id}:{reference.source}:{reference.external_id}"
