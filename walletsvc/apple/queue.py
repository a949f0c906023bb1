"""The queue of pushes in the database: claim what is due, settle what was answered.

A claim moves `due_at` past the lease instead of holding a lock, so pushes are sent outside
any transaction, and a dead sender's rows come back by themselves. Rows are deleted only once
Apple has accepted a push that left after they were committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs.changes import Lane

# Skipping locked rows keeps senders apart; READ COMMITTED looks at `due_at` again for a row
# that another sender claimed a moment ago. ARRAY makes sure that the inner query runs once.
_CLAIM = text(
    "WITH claimed AS ("
    "  UPDATE pushes SET due_at = :until, attempts = attempts + 1 WHERE id = ANY(ARRAY("
    "    SELECT id FROM pushes WHERE lane = :lane AND due_at <= :now"
    "      AND pass_type_id <> ALL(CAST(:resting AS bigint[]))"
    "    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED"
    "  )) RETURNING id, device_id, pass_type_id, attempts"
    ") SELECT c.id, c.device_id, c.pass_type_id, c.attempts, d.push_token, t.identifier"
    " FROM claimed c JOIN devices d ON d.id = c.device_id"
    " JOIN pass_types t ON t.id = c.pass_type_id"
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
# Locked in one order, so that two senders that lose the same devices do not deadlock; a
# registration that comes meanwhile waits for us or makes the conditions fail.
_FORGET = text(
    "WITH gone AS ("
    "  SELECT d.id FROM devices d JOIN unnest(CAST(:ids AS bigint[]), CAST(:tokens AS text[]),"
    "    CAST(:sinces AS timestamptz[])) AS n(id, token, since) ON n.id = d.id"
    "  WHERE d.push_token = n.token AND (n.since IS NULL OR d.registered_at <= n.since)"
    "  ORDER BY d.id FOR UPDATE OF d"
    ") DELETE FROM devices USING gone WHERE devices.id = gone.id RETURNING devices.id"
)


@dataclass(slots=True)
class Claimed:
    """One push: the rows of one device and pass type, who it goes to, how often it was tried."""

    device_id: int
    pass_type_id: int
    token: str
    topic: str
    ids: list[int]
    attempts: int
    claimed_at: datetime


def claim(
    session: Session,
    lane: Lane,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
    resting: Sequence[int] = (),
) -> list[Claimed]:
    """Take up to `limit` due rows of a lane for the time of the lease, those of the pass
    types in `resting` left out. Rows for the same device and pass type are one push."""
    rows = session.execute(
        _CLAIM,
        {
            "lane": int(lane),
            "now": now,
            "until": now + lease,
            "limit": limit,
            "resting": list(resting),
        },
    )
    pushes: dict[tuple[int, int], Claimed] = {}
    for id_, device_id, pass_type_id, attempts, token, topic in rows:
        push = pushes.get((device_id, pass_type_id))
        if push is None:
            pushes[device_id, pass_type_id] = Claimed(
                device_id, pass_type_id, token, topic, [id_], attempts, now
            )
        else:
            push.ids.append(id_)
            push.attempts = max(push.attempts, attempts)
    return list(pushes.values())


@dataclass
class Settlement:
    """What a batch comes to: filled answer by answer, written with one statement per kind."""

    deleted: list[int] = field(default_factory=list)
    postponed: list[tuple[Claimed, datetime]] = field(default_factory=list)
    put_back: list[int] = field(default_factory=list)
    forgotten: list[tuple[Claimed, datetime | None, datetime]] = field(default_factory=list)

    def delete(self, push: Claimed) -> None:
        """The rows have served."""
        self.deleted += push.ids

    def postpone(self, push: Claimed, due_at: datetime) -> None:
        """The rows are due again at that time."""
        self.postponed.append((push, due_at))

    def release(self, push: Claimed) -> None:
        """The rows come back at once and this attempt does not count."""
        self.put_back += push.ids

    def forget(self, push: Claimed, since: datetime | None, due_at: datetime) -> None:
        """The device cannot be reached by this token: it goes, with its registrations and
        pushes, unless it has another token now or registered after `since` (None: whenever).
        In that case the push is due again at `due_at`, to the token of that time."""
        self.forgotten.append((push, since, due_at))


def forget_devices(session: Session, settlement: Settlement) -> int:
    """Delete the devices that Apple does not reach; returns how many went.

    Commit this before `settle`: it locks devices before pushes, which all senders must do
    in the same order.
    """
    if not settlement.forgotten:
        return 0
    gone = set(
        session.execute(
            _FORGET,
            {
                "ids": [push.device_id for push, _, _ in settlement.forgotten],
                "tokens": [push.token for push, _, _ in settlement.forgotten],
                "sinces": [since for _, since, _ in settlement.forgotten],
            },
        ).scalars()
    )
    for push, _, due_at in settlement.forgotten:
        if push.device_id not in gone:
            settlement.postpone(push, due_at)
    settlement.forgotten.clear()
    return len(gone)


def settle(session: Session, settlement: Settlement, *, now: datetime) -> None:
    """Write what became of the claimed rows. Rows that went with their device are no loss."""
    if settlement.deleted:
        session.execute(_DELETE, {"ids": settlement.deleted})
    if settlement.postponed:
        dues = [(id_, due) for push, due in settlement.postponed for id_ in push.ids]
        session.execute(
            _POSTPONE, {"ids": [id_ for id_, _ in dues], "dues": [due for _, due in dues]}
        )
    if settlement.put_back:
        session.execute(_PUT_BACK, {"ids": settlement.put_back, "now": now})
