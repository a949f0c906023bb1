"""The queue of pushes in the database: claim what is due, settle what was answered.

A claim moves `due_at` past the lease instead of holding a lock, so pushes are sent outside
any transaction, and a dead sender's rows come back by themselves. Rows are deleted only once
Apple has accepted a push that left after they were committed. A sender that was so slow that
its lease ran out settles as if nothing had happened: the push is sent twice, never lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import TextClause, text
from sqlmodel import Session

from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.counters import Series
from walletsvc.passes import events
from walletsvc.passes.events import Event
from walletsvc.passes.models import EventKind

# Skipping locked rows keeps senders apart; READ COMMITTED looks at `due_at` again for a row
# that another sender claimed a moment ago. ARRAY makes sure that the inner query runs once.
# The rows of a device that is to be left alone wait until then; they are not claimed. An
# interactive claim takes the bulk rows of its devices along: one push says it all.
_CLAIM = text(
    "WITH picked AS MATERIALIZED ("
    "  SELECT id, device_id FROM pushes"
    "  WHERE pass_type_id = :pass_type_id AND lane = :lane AND due_at <= :now"
    "  ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED"
    "), others AS MATERIALIZED ("
    "  SELECT id FROM pushes WHERE CAST(:along AS boolean)"
    "    AND device_id = ANY(ARRAY(SELECT device_id FROM picked))"
    "    AND pass_type_id = :pass_type_id AND lane <> :lane AND due_at <= :now"
    "  FOR UPDATE SKIP LOCKED"
    ") UPDATE pushes p SET"
    "   due_at = CASE WHEN d.quiet_until > :now THEN d.quiet_until ELSE :until END,"
    "   attempts = p.attempts + CASE WHEN d.quiet_until > :now THEN 0 ELSE 1 END"
    " FROM devices d WHERE d.id = p.device_id"
    "   AND p.id = ANY(ARRAY(SELECT id FROM picked UNION ALL SELECT id FROM others))"
    " RETURNING p.id, p.device_id, p.attempts, d.push_token, p.created_at,"
    "   d.quiet_until > :now AS quiet"
)
# In one order, so that two senders that lose the same devices do not deadlock, and before any
# push; a registration that comes meanwhile waits for us or makes the conditions fail.
_LOCK_DEVICES = text(
    "SELECT id FROM devices WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE"
)
_LOST = (
    "SELECT d.id FROM devices d, unnest(CAST(:ids AS bigint[]), CAST(:tokens AS text[]),"
    "   CAST(:sinces AS timestamptz[])) AS n(id, token, since)"
    " WHERE n.id = d.id AND d.push_token = n.token"
    "   AND (n.since IS NULL OR d.registered_at <= n.since)"
)
_FORGET = text(f"DELETE FROM devices WHERE id IN ({_LOST}) RETURNING id")  # noqa: S608 - constants
# Another pass type's passes may well be in use on the same phone.
_FORGET_TYPE = text(
    f"WITH lost AS MATERIALIZED ({_LOST}), untold AS ("  # noqa: S608 - constants
    "  DELETE FROM pushes p USING lost"
    "  WHERE p.device_id = lost.id AND p.pass_type_id = :pass_type_id"
    "), held AS ("
    "  DELETE FROM registrations r USING lost"
    "  WHERE r.device_id = lost.id AND r.pass_type_id = :pass_type_id"
    ") SELECT id FROM lost"
)
_FORGET_IDLE = text(
    "DELETE FROM devices d WHERE d.id = ANY(CAST(:ids AS bigint[]))"
    "   AND NOT EXISTS (SELECT FROM registrations r WHERE r.device_id = d.id)"
)
_QUIET = text(
    "UPDATE devices d SET quiet_until = GREATEST(d.quiet_until, n.until)"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:untils AS timestamptz[])) AS n(id, until)"
    " WHERE d.id = n.id"
)
_DELETE = text("DELETE FROM pushes WHERE id = ANY(CAST(:ids AS bigint[]))")
_POSTPONE = text(
    "UPDATE pushes p SET due_at = n.due_at"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:dues AS timestamptz[])) AS n(id, due_at)"
    " WHERE p.id = n.id"
)
# Never tried: as if it had not been claimed.
_PUT_BACK = text(
    "UPDATE pushes SET due_at = :now, attempts = GREATEST(attempts - 1, 0)"
    " WHERE id = ANY(CAST(:ids AS bigint[]))"
)


@dataclass(slots=True)
class Claimed:
    """One push: the rows of one device and pass type, who it goes to, how often it was tried."""

    device_id: int
    token: str
    ids: list[int]
    attempts: int
    claimed_at: datetime
    queued_at: datetime
    lane: Lane


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed, and whether more of it may be due."""

    pushes: list[Claimed]
    more: bool


def claim(
    session: Session,
    pass_type_id: int,
    lane: Lane,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
) -> Claim:
    """Take up to `limit` due rows of a pass type's lane for the time of the lease. Rows for the
    same device are one push."""
    rows = session.execute(
        _CLAIM,
        {
            "pass_type_id": pass_type_id,
            "lane": int(lane),
            "now": now,
            "until": now + lease,
            "limit": limit,
            "along": lane is Lane.INTERACTIVE,
        },
    ).all()
    pushes: dict[int, Claimed] = {}
    for id_, device_id, attempts, token, queued_at, quiet in sorted(rows):
        push = pushes.get(device_id)
        if quiet:
            continue
        if push is None:
            pushes[device_id] = Claimed(device_id, token, [id_], attempts, now, queued_at, lane)
        else:
            push.ids.append(id_)
            push.attempts = max(push.attempts, attempts)
            push.queued_at = min(push.queued_at, queued_at)
    return Claim(list(pushes.values()), more=len(rows) >= limit)


class Lost(NamedTuple):
    """A device that Apple calls gone: by which push, since when, for all pass types or only for
    the push's, why, and when the push is due again if it is not gone after all."""

    push: Claimed
    since: datetime | None
    due_at: datetime
    reason: str
    everywhere: bool


@dataclass
class Settlement:
    """What pushes of one pass type come to: filled answer by answer, written at once."""

    pass_type_id: int
    deleted: list[int] = field(default_factory=list)
    postponed: list[tuple[Claimed, datetime]] = field(default_factory=list)
    put_back: list[int] = field(default_factory=list)
    forgotten: list[Lost] = field(default_factory=list)
    quiet: dict[int, datetime] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    counted: dict[Series, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.deleted or self.postponed or self.put_back or self.forgotten)

    def delete(self, push: Claimed) -> None:
        """The rows have served."""
        self.deleted += push.ids

    def postpone(self, push: Claimed, due_at: datetime) -> None:
        """The rows are due again at that time."""
        self.postponed.append((push, due_at))

    def hush(self, push: Claimed, until: datetime) -> None:
        """The device gets no push of any kind before that time."""
        self.quiet[push.device_id] = until
        self.postpone(push, until)

    def release(self, push: Claimed) -> None:
        """The rows come back at once and this attempt does not count."""
        self.put_back += push.ids

    def forget(
        self,
        push: Claimed,
        since: datetime | None,
        due_at: datetime,
        reason: str = "",
        *,
        everywhere: bool = False,
    ) -> None:
        """The device cannot be reached by this token: its registrations and pushes of the pass
        type go, or of all (`everywhere`), and the device with its last registration; unless it
        has another token now or registered after `since` (None: whenever). In that case the
        push is due again at `due_at`, to the token of that time."""
        self.forgotten.append(Lost(push, since, due_at, reason, everywhere))

    def spare(self) -> None:
        """Forget no device after all: their pushes come back."""
        for lost in self.forgotten:
            self.release(lost.push)
        self.forgotten.clear()


def settle(session: Session, settlement: Settlement, *, now: datetime) -> int:
    """Write what became of the claimed rows; returns how many devices were forgotten.

    The settlement is not changed: when the transaction fails it can be written again. Rows
    that went with their device are no loss.
    """
    gone = _settle_devices(session, settlement)
    if settlement.deleted:
        session.execute(_DELETE, {"ids": settlement.deleted})
    postponed = settlement.postponed + [
        (lost.push, lost.due_at) for lost in settlement.forgotten if lost.push.device_id not in gone
    ]
    if postponed:
        dues = sorted((id_, due) for push, due in postponed for id_ in push.ids)
        session.execute(
            _POSTPONE, {"ids": [id_ for id_, _ in dues], "dues": [due for _, due in dues]}
        )
    if settlement.put_back:
        session.execute(_PUT_BACK, {"ids": settlement.put_back, "now": now})
    told = [
        Event(
            now,
            EventKind.DEVICE_LOST,
            settlement.pass_type_id,
            device_id=lost.push.device_id,
            detail={"reason": lost.reason},
        )
        for lost in settlement.forgotten
        if lost.push.device_id in gone
    ]
    events.record(session, settlement.events + told)
    counters.add(session, settlement.counted)
    return len(gone)


def _settle_devices(session: Session, settlement: Settlement) -> set[int]:
    """What concerns devices comes before pushes, in all senders alike."""
    forgotten, quiet = settlement.forgotten, settlement.quiet
    if not forgotten and not quiet:
        return set()
    _lock_devices(session, {*quiet, *(lost.push.device_id for lost in forgotten)})
    if quiet:
        session.execute(_QUIET, {"ids": list(quiet), "untils": list(quiet.values())})
    entirely = _forget(session, _FORGET, [lost for lost in forgotten if lost.everywhere])
    partly = _forget(
        session,
        _FORGET_TYPE,
        [lost for lost in forgotten if not lost.everywhere],
        pass_type_id=settlement.pass_type_id,
    )
    if partly:
        session.execute(_FORGET_IDLE, {"ids": sorted(partly)})
    return entirely | partly


def _forget(
    session: Session, statement: TextClause, devices: list[Lost], **values: int
) -> set[int]:
    if not devices:
        return set()
    found = session.execute(
        statement,
        {
            "ids": [lost.push.device_id for lost in devices],
            "tokens": [lost.push.token for lost in devices],
            "sinces": [lost.since for lost in devices],
            **values,
        },
    )
    return set(found.scalars())


def _lock_devices(session: Session, ids: Iterable[int]) -> None:
    session.execute(_LOCK_DEVICES, {"ids": sorted(ids)})
