"""One comparison from beginning to end: each class, then the objects that Google lists for it,
then those that it does not list.

Nothing is remembered between two comparisons. One that was killed did what it did, each piece in
a transaction of its own, and the next begins anew: a list costs one request for two hundred
objects. What is kept in memory grows by one bit per pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.clock import Clock
from walletsvc.core.errors import ConfigurationError
from walletsvc.google import breaker
from walletsvc.google.client import client_for
from walletsvc.google.due import GOOGLE
from walletsvc.google.issuer import ensure_issuer
from walletsvc.google.limiter import Limiter
from walletsvc.google.models import IssuerState, Kind
from walletsvc.google.reconciling import repairing
from walletsvc.google.reconciling import report as reports
from walletsvc.google.reconciling.asking import Asker, Halted
from walletsvc.google.reconciling.comparing import differing
from walletsvc.google.reconciling.repairing import Body, Known, Seen
from walletsvc.google.reconciling.report import Report
from walletsvc.google.wanted import House, WantedClass, classes, objects
from walletsvc.passes.publish import Publisher
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database, signal

log = structlog.get_logger(__name__)

_PIECE: Final = 200
_CLASSES: Final = text(
    "SELECT id, class_id, kind, digest, review_status FROM google_classes"
    " WHERE pass_type_id = :pass_type_id ORDER BY id"
)
# Another body than ours, whatever it is; NULL says that Google has none.
_CLASS_AGAIN: Final = text(
    "UPDATE google_classes SET digest = :to, due_at = NULL, attempts = 0"
    " WHERE id = :id AND digest = :digest"
)
_REVIEWED: Final = text("UPDATE google_classes SET review_status = :status WHERE id = :id")
_OTHER: Final = b""


class _Undone(Exception):
    """Only a look was wanted."""


@dataclass
class Reconciler:
    """Compares and repairs; with `dry_run` everything is done but for lasting."""

    database: Database
    asker: Asker
    publisher: Publisher
    house: House
    clock: Clock
    dry_run: bool = False
    progress: Callable[[Report], None] = lambda _: None
    report: Report = field(default_factory=Report)

    @classmethod
    def of(
        cls,
        settings: Settings,
        database: Database,
        publisher: Publisher,
        clock: Clock,
        *,
        stopped: Callable[[], bool] = lambda: False,
        dry_run: bool = False,
    ) -> Reconciler:
        """Of an installation; `stopped` is asked now and then. Raises ConfigurationError where
        Google is no part of it or its key cannot be used."""
        house = House.of(settings)
        if not house.issuer_id:
            raise ConfigurationError("WALLETSVC_GOOGLE_ISSUER_ID is not set: nothing is at Google.")
        client = client_for(settings)
        with database.write_tx() as session:
            issuer = ensure_issuer(session, house.issuer_id, clock())
        limiter = Limiter(database, settings.google_requests_per_second)
        asker = Asker(client, limiter, issuer.id, clock, stopped)
        return cls(database, asker, publisher, house, clock, dry_run)

    def run(self, actor: Actor) -> Report:
        """Compare everything and keep the report; raises Halted when it cannot come to an end,
        which the kept report says too."""
        with self._tx() as session:
            kept = reports.begin(session, actor=actor, now=self.clock())
        error, finished = "It failed: the log says why.", False
        try:
            self._check_open()
            self._everything(kept)
            error, finished = "", True
        except Halted as halted:
            error = str(halted)
            raise
        finally:
            ended = self.clock() if finished else None
            self._keep(kept, finished_at=ended, error=error)
            log.info(
                "Google was compared" if finished else "Google was not compared to the end",
                objects=self.report.counts.objects,
                differences=self.report.counts.repairs,
                unknown=self.report.counts.unknown,
                **({"reason": error} if error else {}),
            )
        return self.report

    def _keep(self, kept: int, *, finished_at: datetime | None = None, error: str = "") -> None:
        self.progress(self.report)
        if not self.dry_run:
            with self.database.write_tx() as session:
                reports.keep(session, kept, self.report, finished_at=finished_at, error=error)

    @contextmanager
    def _tx(self) -> Iterator[Session]:
        """A transaction; a dry run's leaves nothing."""
        with suppress(_Undone), self.database.write_tx() as session:
            yield session
            if self.dry_run:
                raise _Undone

    def _check_open(self) -> None:
        with self.database.read_tx() as session:
            standing = breaker.standing(session, self.house.issuer_id, self.clock())
        if standing is not None and standing.state is not IssuerState.OPEN:
            raise Halted("Google is given nothing at present: see `walletsvc google status`.")

    def _everything(self, kept: int) -> None:
        with self._tx() as session:
            wanted = {
                each.google_class_id: each for each in classes(session, self.house, self.clock())
            }
        with self.database.read_tx() as session:
            values = {"pass_type_id": self.asker.pass_type_id}
            rows = session.execute(_CLASSES, values).all()
        for row in rows:
            began = self.clock()
            if row.digest is not None:
                self._class(row, wanted.get(row.id))
            seen = _Bits()
            for page in self.asker.pages(Kind(row.kind), row.class_id):
                self._page(page, seen)
                self.progress(self.report)
            self._unlisted(row.id, seen, began)
            self._keep(kept)

    def _class(self, row: Any, wanted: WantedClass | None) -> None:
        """Compare one class: what Google was sent is what it has."""
        self.report.counts.classes += 1
        theirs = self.asker.look_at_class(Kind(row.kind), row.class_id)
        again: dict[str, Any] | None = None
        if theirs is None:
            again = {"to": None}
            self.report.note(row.class_id, "missing_classes", "Google does not have the class")
        elif wanted is not None and row.digest == wanted.digest:
            names = differing(theirs, wanted.body, self.clock())
            if names:
                again = {"to": _OTHER}
                words = f"Google has another {', '.join(names)}"
                self.report.note(row.class_id, "edited_classes", words)
        status = str((theirs or {}).get("reviewStatus") or "")[:40]
        with self._tx() as session:
            if again is not None:
                session.execute(_CLASS_AGAIN, {"id": row.id, "digest": row.digest, **again})
                signal(session, GOOGLE)
            if status and status != row.review_status:
                session.execute(_REVIEWED, {"id": row.id, "status": status})

    def _page(self, page: Sequence[Body], seen: _Bits) -> None:
        """Compare a piece of Google's list; what looks different is looked at again, alone."""
        named = {str(each.get("id")): each for each in page}
        counts = self.report.counts
        counts.objects += len(named)
        counts.in_wallets += sum(bool(each.get("hasUsers")) for each in page)
        with self._tx() as session:
            known = repairing.by_name(session, named)
            held = [each for name, each in known.items() if named[name].get("hasUsers")]
            # What nobody published, while no process knew the issuer, would look right otherwise.
            # Of those whose save nobody told of, the repair takes care.
            ours = [each.pass_id for each in held if each.has_users]
            if repairing.publish(session, ours, self.publisher, now=self.clock()):
                known = repairing.by_name(session, named)  # some are due by that
            wanted = objects(session, [each.pass_id for each in held], self.house)
        for name in named:
            if name not in known:
                self.report.note(name, "unknown", "it is at Google, but not in our books")
        pairs = [Seen(each, named[name]) for name, each in known.items()]
        seen.add(each.pass_id for each in known.values())
        now = self.clock()
        calm = [each for each in pairs if not each.known.busy]
        counts.busy += len(pairs) - len(calm)
        suspects = [
            each.known.pass_id
            for each in calm
            if repairing.suspect(each, wanted.get(each.known.pass_id), now)
        ]
        with self._tx() as session:
            repairing.count_messages(session, calm)
        self._look_again(suspects)

    def _unlisted(self, class_id: int, seen: _Bits, began: datetime) -> None:
        """Look for objects that Google should have and did not list."""
        cursor = 0
        while True:
            with self.database.read_tx() as session:
                ids = repairing.after(session, class_id, cursor, before=began, limit=_PIECE * 10)
            if not ids:
                return
            self._look_again([each for each in ids if each not in seen])
            cursor = ids[-1]

    def _look_again(self, pass_ids: Sequence[int]) -> None:
        """Ask Google about single objects, and put right what differs."""
        for first in range(0, len(pass_ids), _PIECE):
            piece = pass_ids[first : first + _PIECE]
            with self.database.read_tx() as session:
                known: list[Known] = repairing.by_pass(session, piece)
            calm = [each for each in known if not each.busy]
            self.report.counts.busy += len(known) - len(calm)
            theirs = self.asker.look_at([(each.kind, each.object_id) for each in calm])
            pairs = [Seen(*pair) for pair in zip(calm, theirs, strict=True)]
            with self._tx() as session:
                repairing.repair(
                    session,
                    pairs,
                    self.publisher,
                    self.house,
                    self.report,
                    now=self.clock(),
                )


class _Bits:
    """A set of numbers, a bit for each up to the largest."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            place, bit = divmod(number, 8)
            if place >= len(self._bytes):
                self._bytes.extend(bytes(max(place + 1 - len(self._bytes), len(self._bytes))))
            self._bytes[place] |= 1 << bit

    def __contains__(self, number: int) -> bool:
        place, bit = divmod(number, 8)
        return place < len(self._bytes) and bool(self._bytes[place] >> bit & 1)
