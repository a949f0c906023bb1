"""What a wallet must be able to do. A third wallet is a third implementation of this."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from walletsvc.jobs.changes import Lane
from walletsvc.passes.models import Wallet


class Dialect(Protocol):
    """One wallet's side of publishing. Called inside the publishing transaction: write rows
    or defer jobs, never call the network."""

    wallet: Wallet
    # Settings of the installation that a built pass shows (its address, say): when they change,
    # every pass has changed.
    look: bytes

    def held(self, session: Session, pass_ids: Sequence[int]) -> set[int]:
        """Which of these passes some phone holds; the others are built when asked for."""
        ...

    def notify(
        self, session: Session, pass_ids: Sequence[int], *, lane: Lane, now: datetime
    ) -> None:
        """Queue word to every phone that holds one of these passes."""
        ...

    def backlog(self, session: Session, pass_type_id: int, most: int) -> int:
        """How many words of the bulk lane to phones are still on their way; counts to `most`."""
        ...

    def save_link(self, link_token: str) -> str:
        """The address that puts the card with this page token into the wallet."""
        ...
