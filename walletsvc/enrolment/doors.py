"""By which door somebody comes in."""

from __future__ import annotations

from dataclasses import dataclass

from walletsvc.core.actor import Actor
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.consents.models import Way


@dataclass(frozen=True)
class Door:
    """How somebody comes in: by which way, let in by whom, where, from which source.

    `proof` is the used proof of `phone` (E.164). `employee` is who typed it, when `actor` only
    passed it on. With `base_url` the holder is sent where the card is; `quiet`: nobody is told.
    Without `gift` a new card brings nothing of what new members get: the phone had it before.
    """

    way: Way
    actor: Actor
    language: str = "ru"
    branch_id: int | None = None
    source_id: int | None = None
    phone: str | None = None
    proof: PhoneProof | None = None
    employee: Actor | None = None
    base_url: str = ""
    quiet: bool = False
    gift: bool = True

    @property
    def writer(self) -> Actor:
        """Whose word it is that somebody agreed."""
        return self.employee or self.actor
