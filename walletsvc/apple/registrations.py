"""Devices and the passes they hold: register, unregister, list what changed.

Source: Apple, "Adding a Web Service to Update Passes". The traps are in how the calls meet
publishing that happens at the same moment; each is described where it is dealt with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.apple.dialect import PUSHES
from walletsvc.jobs.changes import Lane, touch
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind
from walletsvc.passes.publish import next_tag
from walletsvc.passes.stored import Stored
from walletsvc.storage.engine import signal

_TAG = re.compile(r"^(\d{1,19})-(\d{1,19})$", re.ASCII)
_DOWNLOAD_COUNTS = timedelta(minutes=10)
_MAX_BIGINT = 2**63 - 1

_UPSERT_DEVICE = text(
    "INSERT INTO devices (library_identifier, push_token, registered_at, created_at)"
    " VALUES (:library, :token, :now, :now)"
    " ON CONFLICT (library_identifier)"
    " DO UPDATE SET push_token = EXCLUDED.push_token, registered_at = EXCLUDED.registered_at"
    " RETURNING id"
)
_INSERT_REGISTRATION = text(
    "INSERT INTO registrations (device_id, pass_id, pass_type_id, tag, created_at)"
    " VALUES (:device_id, :pass_id, :pass_type_id, 0, :now)"
    " ON CONFLICT (device_id, pass_id) DO NOTHING RETURNING id"
)
# Waits for a publication in progress, so that what it decides on is what the phone will find.
_LOCK_PASS = text(
    "SELECT revision, unclaimed_downloads, downloaded_at FROM passes WHERE id = :pass_id"
    " FOR NO KEY UPDATE"
)
_CLAIM_DOWNLOAD = text(
    "UPDATE passes SET unclaimed_downloads = unclaimed_downloads - 1 WHERE id = :pass_id"
)
_COUNT_DOWNLOAD = text(
    "UPDATE passes SET unclaimed_downloads = unclaimed_downloads + 1, downloaded_at = :now"
    " WHERE id = :pass_id AND revision = :revision"
)
_MARK_STALE = text("UPDATE registrations SET tag = :tag WHERE id = :id")
_PUSH_ONE = text(
    "INSERT INTO pushes (device_id, pass_type_id, lane, due_at, attempts, created_at)"
    " VALUES (:device_id, :pass_type_id, :lane, :now, 0, :now)"
)
# The device is locked for the whole call: against a registration of the same device at the
# same moment, which would otherwise lose its row to the cascade of the last DELETE here.
_LOCK_DEVICE = text("SELECT id FROM devices WHERE library_identifier = :library FOR UPDATE")
_DELETE_REGISTRATION = text(
    "DELETE FROM registrations WHERE device_id = :device_id AND pass_id = :pass_id RETURNING id"
)
_DELETE_IDLE_DEVICE = text(
    "DELETE FROM devices WHERE id = :device_id"
    " AND NOT EXISTS (SELECT FROM registrations WHERE device_id = :device_id)"
)
# One statement, one snapshot: no tag in the answer can be newer than the serials beside it. A
# known device has a row even when nothing changed, for the timeline: it did ask.
_CHANGED = text(
    "SELECT d.id AS device_id, t.id AS pass_type_id, t.epoch, c.serial, c.tag"
    " FROM devices d JOIN pass_types t ON t.identifier = :pass_type"
    " LEFT JOIN LATERAL ("
    "   SELECT p.id, p.serial, GREATEST(p.tag, r.tag) AS tag"
    "   FROM registrations r JOIN passes p ON p.id = r.pass_id"
    "   WHERE r.device_id = d.id AND r.pass_type_id = t.id"
    "     AND (:epoch <> t.epoch OR :counter > t.counter OR GREATEST(p.tag, r.tag) > :counter)"
    " ) c ON true"
    " WHERE d.library_identifier = :library ORDER BY c.id"
)


class Held(Protocol):
    """A pass as registering needs it."""

    @property
    def id(self) -> int:
        """The internal id."""
        ...

    @property
    def pass_type_id(self) -> int:
        """Whose updates it gets."""
        ...


@dataclass(frozen=True)
class Changed:
    """Serials that changed, and the tag to ask with next time (None when nothing changed).

    `since` is the device's own tag, when it was one.
    """

    device_id: int
    pass_type_id: int
    serials: list[str]
    tag: str | None
    since: str | None


def register(
    session: Session, *, library: str, push_token: str, pass_: Held, now: datetime
) -> bool:
    """Remember that a device holds a pass and which token reaches it; True when it is new.

    A repeated call stores the token again: after a restore it is another one.
    """
    values = {"library": library, "token": push_token, "now": now}
    device_id = session.execute(_UPSERT_DEVICE, values).scalar_one()
    fresh = session.execute(
        _INSERT_REGISTRATION,
        {
            "device_id": device_id,
            "pass_id": pass_.id,
            "pass_type_id": pass_.pass_type_id,
            "now": now,
        },
    ).scalar_one_or_none()
    stale = fresh is not None and _welcome(session, fresh, device_id, pass_, now)
    detail = {"fresh": fresh is not None, "stale": stale}
    event = Event(now, EventKind.REGISTERED, pass_.pass_type_id, pass_.id, device_id, detail)
    record(session, [event])
    return fresh is not None


def _welcome(
    session: Session, registration_id: int, device_id: int, pass_: Held, now: datetime
) -> bool:
    """Make sure that a device that is new to a pass gets its present state; whether its copy
    is an older one."""
    # A change that was drained before this commit saw no holder and published nothing.
    touch(session, "pass", [pass_.id], at=now)
    state = session.execute(_LOCK_PASS, {"pass_id": pass_.id}).one()
    # Previews and bots download too: a count that lies about for long says nothing.
    recent = state.downloaded_at is not None and state.downloaded_at > now - _DOWNLOAD_COUNTS
    if state.unclaimed_downloads > 0 and recent:
        session.execute(_CLAIM_DOWNLOAD, {"pass_id": pass_.id})
        return False
    if state.revision > 1:
        _tell_of_newer(session, registration_id, device_id, pass_, now)
        return True
    return False


def _tell_of_newer(
    session: Session, registration_id: int, device_id: int, pass_: Held, now: datetime
) -> None:
    """The device took its copy before the last publication (an old mail, a shared file):
    name the pass in its next list call whatever its tag, and have it ask."""
    tag = next_tag(session, pass_.pass_type_id)
    session.execute(_MARK_STALE, {"tag": tag, "id": registration_id})
    session.execute(
        _PUSH_ONE,
        {
            "device_id": device_id,
            "pass_type_id": pass_.pass_type_id,
            "lane": int(Lane.INTERACTIVE),
            "now": now,
        },
    )
    signal(session, PUSHES)


def count_download(session: Session, pass_: Stored, now: datetime) -> None:
    """Note that someone took this revision of the pass, who may register it."""
    session.execute(_COUNT_DOWNLOAD, {"pass_id": pass_.id, "revision": pass_.revision, "now": now})


def unregister(session: Session, *, library: str, pass_: Held, now: datetime) -> None:
    """Forget that a device holds a pass; the device goes with its last one."""
    device_id = session.execute(_LOCK_DEVICE, {"library": library}).scalar_one_or_none()
    if device_id is None:
        return
    held = session.execute(
        _DELETE_REGISTRATION, {"device_id": device_id, "pass_id": pass_.id}
    ).scalar_one_or_none()
    if held is not None:
        event = Event(now, EventKind.UNREGISTERED, pass_.pass_type_id, pass_.id, device_id)
        record(session, [event])
    session.execute(_DELETE_IDLE_DEVICE, {"device_id": device_id})


def changed_since(
    session: Session, *, library: str, pass_type: str, tag: str | None
) -> Changed | None:
    """What changed on a device since a tag; None for a device that is not known.

    A tag that is missing, odd, of another epoch or ahead of the counter counts as none: then
    everything the device holds is named. That costs a few requests and never loses a change.
    """
    epoch, counter = _parse(tag)
    values = {"library": library, "pass_type": pass_type, "epoch": epoch, "counter": counter}
    rows = session.execute(_CHANGED, values).all()
    if not rows:
        return None
    named = [row for row in rows if row.serial is not None]
    newest = f"{named[0].epoch}-{max(row.tag for row in named)}" if named else None
    return Changed(
        device_id=rows[0].device_id,
        pass_type_id=rows[0].pass_type_id,
        serials=[row.serial for row in named],
        tag=newest,
        since=tag if epoch >= 0 else None,
    )


def _parse(tag: str | None) -> tuple[int, int]:
    match = _TAG.match(tag or "")
    if not match:
        return (-1, 0)
    epoch, counter = int(match[1]), int(match[2])
    return (epoch, counter) if max(epoch, counter) <= _MAX_BIGINT else (-1, 0)
