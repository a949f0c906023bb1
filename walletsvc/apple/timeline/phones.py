"""How far each phone came, read from the recorded events.

Who fetched is not said by the call: a fetch belongs to the phone that had asked last. What a
phone knows is read from tags, not from times: a list call names a pass exactly when its answer
reaches the pass's tag and the phone's own tag did not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.engine import Row

from walletsvc.apple.diagnosis.facts import Asked, Device, Pushed, Queued, Taken
from walletsvc.apple.timeline.holders import Holder
from walletsvc.passes.models import EventKind
from walletsvc.passes.timeline.subject import Subject

# A phone fetches at once; a fetch that comes much later has another reason.
_BELONGS: Final = timedelta(minutes=5)
_SLACK: Final = timedelta(seconds=1)


@dataclass
class _Seen:
    """What was recorded of one phone, oldest first."""

    asks: list[Row[Any]] = field(default_factory=list)
    pushes: list[Row[Any]] = field(default_factory=list)
    fetched: Taken | None = None
    unchanged: Taken | None = None
    left_at: datetime | None = None
    lost: str | None = None
    open: list[datetime] = field(default_factory=list)  # asked, and nothing fetched yet


def devices(
    subject: Subject,
    known: Sequence[Holder],
    rows: Sequence[Row[Any]],
    queued: Mapping[int, Queued],
    news: datetime,
) -> list[Device]:
    """The phones with what each did since the pass was last published (`news`)."""
    seen = {holder.device_id: _Seen() for holder in known}
    holding = [seen[holder.device_id] for holder in known if holder.registered_at]
    only = holding[0] if len(holding) == 1 else None
    for row in rows:
        if row.device_id is not None:
            # One that registered while this was read, or was left out of many, is not told of.
            if row.device_id in seen:
                _note(seen[row.device_id], row)
        elif row.kind in (EventKind.FETCHED, EventKind.UNCHANGED) and not row.detail.get("page"):
            owner = _owner(seen.values(), row.at) or only
            if owner is not None and row.at >= news - _SLACK:
                _take(owner, row)
    return [
        _device(subject, holder, seen[holder.device_id], queued.get(holder.device_id), news)
        for holder in known
    ]


def _note(seen: _Seen, row: Row[Any]) -> None:
    match row.kind:
        case EventKind.ASKED:
            seen.asks.append(row)
            if row.detail.get("answered"):
                seen.open.append(row.at)
        case EventKind.PUSHED:
            seen.pushes.append(row)
        case EventKind.REGISTERED:
            seen.left_at = seen.lost = None
        case EventKind.UNREGISTERED:
            seen.left_at, seen.lost = row.at, None
        case EventKind.DEVICE_LOST:
            seen.left_at, seen.lost = row.at, str(row.detail.get("reason") or "?")


def _owner(seen: Any, at: datetime) -> _Seen | None:
    """The phone that asked last before a fetch; each ask stands for one."""
    candidates = [one for one in seen if one.open and one.open[-1] >= at - _BELONGS]
    if not candidates:
        return None
    owner: _Seen = max(candidates, key=lambda one: one.open[-1])
    owner.open.pop()
    return owner


def _take(owner: _Seen, row: Row[Any]) -> None:
    taken = Taken(row.at, int(row.detail.get("revision", 0)))
    if row.kind == EventKind.FETCHED:
        owner.fetched = taken
    else:
        owner.unchanged = taken


def _device(
    subject: Subject, holder: Holder, seen: _Seen, queued: Queued | None, news: datetime
) -> Device:
    registered = holder.registered_at
    late = registered is not None and registered >= news
    news_at = registered if late and registered else news
    tag = max(subject.pass_.tag, holder.tag)
    asked = [found for row in seen.asks if (found := _asked(row, subject.epoch, tag))]
    before = [row.at for row in seen.asks if row.at < news_at - _SLACK]
    quiet_since = before[-1] if before else None
    return Device(
        label=holder.label,
        news_at=news_at,
        holds=registered is not None,
        has_copy=late and not holder.tag,
        quiet_until=holder.quiet_until,
        queued=queued,
        pushes=[_pushed(row) for row in seen.pushes if not quiet_since or row.at > quiet_since],
        asked=next((one for one in reversed(asked) if one.named), asked[-1] if asked else None),
        asked_before=quiet_since,
        fetched=seen.fetched,
        unchanged=seen.unchanged,
        left_at=None if registered else seen.left_at,
        lost=seen.lost,
    )


def _asked(row: Row[Any], epoch: int, tag: int) -> Asked | None:
    """What a list call means for a pass of this tag; None when it came before the tag."""
    since, answered = (
        _counter(row.detail.get("since"), epoch),
        _counter(row.detail.get("answered"), epoch),
    )
    if since is not None and since >= tag:
        return Asked(row.at, named=False)
    if answered is not None and answered >= tag:
        return Asked(row.at, named=True)
    return None


def _counter(tag: str | None, epoch: int) -> int | None:
    """The counter of a tag of this epoch."""
    own, _, counter = (tag or "").partition("-")
    return int(counter) if counter and own == str(epoch) else None


def _pushed(row: Row[Any]) -> Pushed:
    detail = row.detail
    return Pushed(
        at=row.at,
        status=detail.get("status"),
        reason=str(detail.get("reason") or ""),
        attempts=int(detail.get("attempts") or 1),
    )
