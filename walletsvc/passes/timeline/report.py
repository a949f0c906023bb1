"""A timeline as a whole: what happened, how things stand, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from walletsvc.passes.timeline.entries import Entry, Place
from walletsvc.passes.timeline.findings import Finding
from walletsvc.passes.timeline.subject import Subject
from walletsvc.passes.timeline.waiting import Waiting


class Notifications(NamedTuple):
    """How many notifications a pass has left of those a wallet allows in 24 hours, and when the
    next comes back (None: all are there)."""

    left: int
    of: int
    next_at: datetime | None


@dataclass(frozen=True)
class Report:
    """`entries` are oldest first; `older` is where to go on from, None at the end. The first
    of the `findings` is the verdict. `notifications`: None where the wallet has no allowance."""

    subject: Subject
    findings: Sequence[Finding]
    waiting: Sequence[Waiting]
    entries: Sequence[Entry]
    older: Place | None
    since: datetime
    notifications: Notifications | None = None

    @property
    def verdict(self) -> Finding:
        """The most likely reason."""
        return self.findings[0]
