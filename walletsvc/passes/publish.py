"""Publishing: from "something changed" to "this is what the pass says now, under this tag".

Order in the transaction: lock the passes, *then* read what they should say (so that of two
publishers the later one sees what the earlier saw and more), compare with what was last
published, and only for real differences lock the pass type's counter. The counter's lock is
held from the tag to the commit, so tags become visible in their own order: a phone that was
told tag 7 can never miss a change that got tag 6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.core.errors import NotFound
from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.drain import Batch
from walletsvc.passes import stored
from walletsvc.passes.content import Rendered, render
from walletsvc.passes.differences import differences
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind, Wallet
from walletsvc.passes.protocol import Dialect
from walletsvc.passes.stored import Stored
from walletsvc.storage.engine import Database

# Which passes show a thing of each topic: the pass, and the thing's key.
_PASSES_BY_TOPIC = {
    "pass": "SELECT id, id FROM passes WHERE id = ANY(:keys)",
    "card": "SELECT id, card_id FROM passes WHERE card_id = ANY(:keys)",
    "certificate": "SELECT id, certificate_id FROM passes WHERE certificate_id = ANY(:keys)",
    "person": "SELECT p.id, c.person_id FROM passes p JOIN cards c ON c.id = p.card_id"
    " WHERE c.person_id = ANY(:keys)",
    "account": "SELECT p.id, c.account_id FROM passes p JOIN cards c ON c.id = p.card_id"
    " WHERE c.account_id = ANY(:keys)"
    " UNION ALL SELECT p.id, g.account_id FROM passes p"
    " JOIN certificates g ON g.id = p.certificate_id WHERE g.account_id = ANY(:keys)",
}

_MOST_TRIES = 3

_LOCK = text(
    "SELECT id, pass_type_id, wallet, digest, revision, version_id,"
    " CAST(content AS text) AS content FROM passes WHERE id = ANY(:ids)"
    " ORDER BY id FOR NO KEY UPDATE"
)
_NEXT_TAG = text(
    "UPDATE pass_types SET counter = counter + 1 WHERE id = :pass_type_id RETURNING counter, epoch"
)
# Last-Modified counts in seconds, so it is pushed on by one where two changes share a second.
_STORE = text(
    "UPDATE passes p SET content = n.content, digest = decode(n.digest, 'hex'),"
    " version_id = n.version_id, revision = p.revision + 1, tag = :tag,"
    " unclaimed_downloads = 0, published_at = :now,"
    " last_modified = GREATEST(date_trunc('second', CAST(:now AS timestamptz)),"
    "   p.last_modified + interval '1 second')"
    " FROM jsonb_to_recordset(CAST(:passes AS jsonb))"
    "   AS n(id bigint, content jsonb, digest text, version_id bigint)"
    " WHERE p.id = n.id"
)


class Cause(NamedTuple):
    """Why a pass is published: the topics of the changes, and when the oldest was made."""

    topics: frozenset[str]
    since: datetime | None = None

    def join(self, other: Cause) -> Cause:
        """Both together."""
        moments = [at for at in (self.since, other.since) if at is not None]
        return Cause(self.topics | other.topics, min(moments, default=None))


_ASKED: Final = Cause(frozenset({"request"}))  # for a pass that was stale
_BULK: Final = Cause(frozenset({"bulk"}))


class _New(NamedTuple):
    """What a pass says from now on, the digest it will be known by, and the row so far."""

    said: Rendered
    digest: bytes
    row: Row[Any]


class Publisher:
    """Publishes passes and tells each wallet's phones through its dialect."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self.dialects = tuple(dialects)
        self._looks = {dialect.wallet: dialect.look for dialect in self.dialects}

    def handle(self, session: Session, batch: Batch, now: datetime) -> None:
        """The drain's handler: publish what the changes concern and some phone holds."""
        causes: dict[int, Cause] = {}
        for topic, keys in batch.keys.items():
            query = text(_PASSES_BY_TOPIC[topic])
            since = batch.since.get(topic, {})
            for pass_id, key in session.execute(query, {"keys": keys}):
                cause = Cause(frozenset({topic}), since.get(key))
                known = causes.get(pass_id)
                causes[pass_id] = known.join(cause) if known else cause
        held = self.held(session, causes)
        self.publish(session, held, lane=batch.lane, now=now, causes=causes)

    def held(self, session: Session, pass_ids: Iterable[int]) -> set[int]:
        """Those of the passes that some phone holds."""
        ids = sorted(pass_ids)
        return {found for dialect in self.dialects for found in dialect.held(session, ids)}

    def backlog(
        self, session: Session, pass_type_id: int, most: int, *, standing: bool = True
    ) -> int:
        """How many words of the bulk lane to phones are still on their way (`Dialect.backlog`)."""
        return sum(
            dialect.backlog(session, pass_type_id, most, standing=standing)
            for dialect in self.dialects
        )

    def pass_types(self, session: Session, template_ids: Sequence[int]) -> set[int]:
        """The pass types, in all wallets, under which passes of these templates have been made."""
        return {
            found
            for dialect in self.dialects
            for found in dialect.pass_types(session, template_ids)
        }

    def publish(
        self,
        session: Session,
        pass_ids: Iterable[int],
        *,
        lane: Lane,
        now: datetime,
        causes: Mapping[int, Cause] = MappingProxyType({}),
    ) -> set[int]:
        """Publish those of the passes whose content differs from what was last published.

        Returns the ids of these. Equal content changes nothing: no tag, no push. Passes in a
        wallet that the installation no longer has stay as they are. `causes` say why, by pass,
        for the timeline; without one it was a bulk job.
        """
        ids = sorted(set(pass_ids))
        if not ids:
            return set()
        locked = session.execute(_LOCK, {"ids": ids}).all()
        rendered = render(session, [row.id for row in locked])
        changed: dict[int, list[_New]] = {}
        for row in locked:
            said = rendered.get(row.id)
            if said is None or row.wallet not in self._looks:
                continue
            digest = self._digest(said, Wallet(row.wallet))
            if digest != row.digest:
                changed.setdefault(row.pass_type_id, []).append(_New(said, digest, row))
        events = []
        for pass_type_id in sorted(changed):
            group = changed[pass_type_id]
            tag = self._store(session, pass_type_id, group, now)
            events += [
                _event(pass_type_id, new, tag, lane, now, causes.get(new.said.pass_id, _BULK))
                for new in group
            ]
        record(session, events)
        published = [new.said.pass_id for group in changed.values() for new in group]
        for dialect in self.dialects:
            dialect.notify(session, published, lane=lane, now=now)
        counted = counters.series("published", lane=lane.name.lower())
        counters.add(session, {counted: len(published)})
        return set(published)

    def current(self, database: Database, found: Stored, now: datetime) -> Stored:
        """The pass as it should be shown now, published anew first when it is stale.

        What it says was published just so, unless it goes on changing faster than it can be
        published. Raises NotFound when its template is not published.
        """
        for _ in range(_MOST_TRIES):
            if found.said is None:
                raise NotFound("This pass has no published template.")
            if self.is_current(found):
                break
            with database.write_tx() as session:
                causes = {found.id: _ASKED}
                self.publish(session, [found.id], lane=Lane.INTERACTIVE, now=now, causes=causes)
            found = stored.by_id(database, found.id) or found
        return found

    def is_current(self, found: Stored) -> bool:
        """Whether the pass says now what was last published of it."""
        said = found.said
        return said is not None and found.digest == self._digest(said, found.wallet)

    def _digest(self, said: Rendered, wallet: Wallet) -> bytes:
        """What tells one published state of a pass from another."""
        return hashlib.sha256(self._looks[wallet] + said.digest).digest()

    @staticmethod
    def _store(session: Session, pass_type_id: int, group: Sequence[_New], now: datetime) -> str:
        """Write what the passes say under a new tag; returns the tag as phones know it."""
        tag, epoch = _take_tag(session, pass_type_id)
        rows = [
            {
                "id": new.said.pass_id,
                "content": new.said.content,
                "digest": new.digest.hex(),
                "version_id": new.said.version_id,
            }
            for new in group
        ]
        session.execute(
            _STORE,
            {"now": now, "tag": tag, "passes": orjson.dumps(rows).decode()},
        )
        return f"{epoch}-{tag}"


def next_tag(session: Session, pass_type_id: int) -> int:
    """Take the next update tag. Locks the pass type until the commit: call it last."""
    return _take_tag(session, pass_type_id)[0]


def _take_tag(session: Session, pass_type_id: int) -> tuple[int, int]:
    row = session.execute(_NEXT_TAG, {"pass_type_id": pass_type_id}).one()
    return row.counter, row.epoch


def _event(
    pass_type_id: int, new: _New, tag: str, lane: Lane, now: datetime, cause: Cause
) -> Event:
    """That the pass was published, for the timeline."""
    old = orjson.loads(new.row.content) if new.row.content else None
    said = new.said
    detail = {
        "tag": tag,
        "revision": new.row.revision + 1,
        "version": said.version_id,
        "lane": lane.name.lower(),
        "causes": sorted(cause.topics),
        "changed_at": cause.since,
        "differs": differences(
            old, said.content, old_version=new.row.version_id, new_version=said.version_id
        ),
    }
    return Event(now, EventKind.PUBLISHED, pass_type_id, said.pass_id, detail=detail)
