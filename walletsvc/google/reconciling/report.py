"""What a comparison found: counted, the first differences in words, and kept for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, delete, select

from walletsvc.core.actor import Actor
from walletsvc.google.models import Reconciliation

KEEP: Final = timedelta(days=90)
# More help nobody: of a class that was edited there may be a hundred thousand objects.
MOST: Final = 100


@dataclass(slots=True)
class Counts:
    """How much was looked at, and what differed.

    `objects` are those that Google lists and `in_wallets` those of them that somebody holds.
    `busy` were being sent at that moment, so nothing can be said of them; `unknown` are not in
    our books. What follows was put right: classes that Google had not (`missing_classes`) or
    with another content (`edited_classes`), objects in wallets with another content (`edited`),
    objects that Google had not (`lost`) or that we did not know it had (`found`), and saves and
    removals that nobody told us of.
    """

    classes: int = 0
    objects: int = 0
    in_wallets: int = 0
    busy: int = 0
    unknown: int = 0
    missing_classes: int = 0
    edited_classes: int = 0
    edited: int = 0
    lost: int = 0
    found: int = 0
    saved: int = 0
    removed: int = 0

    @property
    def repairs(self) -> int:
        """How many differences there were that are put right."""
        return sum(getattr(self, each) for each in _REPAIRS)


_REPAIRS: Final = (
    "missing_classes", "edited_classes", "edited", "lost", "found", "saved", "removed",
)  # fmt: skip
_WORDS: Final = {
    "unknown": "at Google, but not in our books",
    "missing_classes": "classes that Google did not have",
    "edited_classes": "classes with another content",
    "edited": "objects in wallets with another content",
    "lost": "objects that Google did not have",
    "found": "objects that Google had without our knowing",
    "saved": "saved without our being told",
    "removed": "removed without our being told",
}


@dataclass(slots=True)
class Report:
    """What has been found so far."""

    counts: Counts = field(default_factory=Counts)
    differences: list[list[str]] = field(default_factory=list)

    def note(self, what: str, kind: str, words: str) -> None:
        """Count a difference (a name of `Counts`) of the class or object with this id."""
        setattr(self.counts, kind, getattr(self.counts, kind) + 1)
        if len(self.differences) < MOST:
            self.differences.append([what, words])


def counts_of(stored: Reconciliation) -> Counts:
    """The counts of a stored report; those of a later version are left out."""
    known = {each.name for each in fields(Counts)}
    return Counts(**{name: count for name, count in stored.counts.items() if name in known})


def words(counts: Counts) -> list[str]:
    """What was found, a line each; the first says how much was looked at."""
    lines = [
        f"{counts.classes} class(es), {counts.objects} object(s), {counts.in_wallets} in wallets"
        + (f", {counts.busy} on their way at the time" if counts.busy else "")
    ]
    found = ((getattr(counts, name), said) for name, said in _WORDS.items())
    return lines + [f"{count} {said}" for count, said in found if count]


def begin(session: Session, *, actor: Actor, now: datetime) -> int:
    """Note that a comparison begins; returns its id."""
    made = Reconciliation(actor=str(actor), started_at=now)
    session.add(made)
    session.flush()
    return made.id


def keep(
    session: Session,
    report_id: int,
    report: Report,
    *,
    finished_at: datetime | None = None,
    error: str = "",
) -> None:
    """Write down how far it has come, or with what it ended."""
    stored = session.get_one(Reconciliation, report_id)
    stored.counts = asdict(report.counts)
    stored.differences = list(report.differences)
    stored.finished_at = finished_at
    stored.error = error[:500]
    session.add(stored)


def newest(session: Session, count: int) -> Sequence[Reconciliation]:
    """The last so many, newest first."""
    query = select(Reconciliation).order_by(
        col(Reconciliation.started_at).desc(), col(Reconciliation.id).desc()
    )
    return session.exec(query.limit(count)).all()


def forget(session: Session, before: datetime) -> None:
    """Delete those that began before this."""
    session.execute(delete(Reconciliation).where(col(Reconciliation.started_at) < before))
