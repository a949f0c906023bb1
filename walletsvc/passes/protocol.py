"""What a wallet must be able to do. A third wallet is a third implementation of this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from sqlmodel import Session

from walletsvc.jobs.changes import Lane
from walletsvc.passes.findings import Finding
from walletsvc.passes.models import PassTemplate, Wallet
from walletsvc.passes.samples import Issuer, Sample, imagined
from walletsvc.passes.schemas import Description


@dataclass(frozen=True)
class Candidate:
    """What somebody wants to publish, or has published, as pre-flight looks at it.

    `pictures` are PNGs by kind and density (1, 2, 3). `pass_type_id` is what its passes will
    be signed under, None when that is not known yet.
    """

    description: Description
    pictures: Mapping[str, Mapping[int, bytes]]
    issuer: Issuer = Issuer()  # noqa: RUF009 - it is frozen
    pass_type_id: int | None = None

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """Imagined passes. KeyError when the description asks for what no card has."""
        return imagined(self.description, self.issuer)


@dataclass(frozen=True)
class Announcement:
    """A message to everybody who holds a template's cards: header and body by language, both in
    the same ones.

    It is for notices about the card itself (a branch moved, terms changed), whoever consented to
    what: advertising does not belong here.
    """

    header: Mapping[str, str]
    body: Mapping[str, str]


class Dialect(Protocol):
    """One wallet's side of publishing. Called inside the publishing transaction: write rows
    or defer jobs, never call the network."""

    wallet: Wallet
    # Settings of the installation that a built pass shows (its address, say): when they change,
    # every pass has changed.
    look: bytes

    def pass_type_id(self, session: Session, template: PassTemplate, now: datetime) -> int:
        """The pass type under which this wallet's passes of a template are made; its row is
        written when it is the first."""
        ...

    def pass_types(self, session: Session, template_ids: Sequence[int]) -> set[int]:
        """The pass types under which this wallet's passes of these templates have been made."""
        ...

    def held(self, session: Session, pass_ids: Sequence[int]) -> set[int]:
        """Which of these passes some phone holds; the others are built when asked for."""
        ...

    def notify(
        self, session: Session, pass_ids: Sequence[int], *, lane: Lane, now: datetime
    ) -> None:
        """Queue word to every phone that holds one of these passes."""
        ...

    def backlog(
        self, session: Session, pass_type_id: int, most: int, *, standing: bool = True
    ) -> int:
        """How many words of the bulk lane to phones are still on their way; counts to `most`.

        Those that stand still, because the pass type's words are not sent at present, count
        only with `standing`.
        """
        ...

    def announce(
        self, session: Session, template_id: int, announcement: Announcement, *, now: datetime
    ) -> bool:
        """Queue one message to all who hold a template's cards, where the wallet has such a
        thing; False where it has not: there a field of the card must say it."""
        ...

    def audience(self, session: Session, template_id: int, now: datetime) -> tuple[int, int]:
        """How many of a template's cards sit in this wallet, and for how many of them a message
        to all may sound now."""
        ...

    def preflight(
        self, candidate: Candidate, *, session: Session | None, now: datetime
    ) -> list[Finding]:
        """What this wallet would refuse, hide or show badly. Without a session, what only the
        database knows is left unexamined."""
        ...
