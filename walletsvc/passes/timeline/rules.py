"""The rules that hold in every wallet: whether what changed was published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from walletsvc.jobs.changes import Lane
from walletsvc.passes.timeline.findings import Code, Finding
from walletsvc.passes.timeline.standing import Standing, WaitingChange

# A link that takes no longer is no cause for alarm.
MOMENT: Final = timedelta(seconds=5)


def unpublished(facts: Standing) -> Iterator[Finding]:
    """Why a pass that somebody holds does not say the newest yet."""
    if facts.changes:
        yield _waiting_change(facts, min(facts.changes, key=lambda change: change.at))
    for job in facts.bulk:
        code = {"paused": Code.BULK_PAUSED, "failed": Code.BULK_FAILED}.get(job.state)
        yield Finding(
            code or Code.BULK_RUNNING,
            {"title": job.title, "done": job.done, "total": job.total, "reason": job.problem or ""},
        )
    if facts.has_template and not (facts.content_current or facts.changes or facts.bulk):
        yield Finding(Code.NOT_PUBLISHED)


def _waiting_change(facts: Standing, oldest: WaitingChange) -> Finding:
    age = facts.now - oldest.at
    aside = [change.postponed_until for change in facts.changes if change.postponed_until]
    if aside:
        return Finding(Code.CHANGE_SET_ASIDE, {"age": age, "until": min(aside)})
    if not facts.publisher_works:
        return Finding(Code.NO_PUBLISHER, {"age": age})
    if age <= MOMENT:
        return Finding(Code.CHANGE_JUST_MADE, {"age": age})
    in_bulk = all(change.lane is Lane.BULK for change in facts.changes)
    return Finding(Code.CHANGE_IN_BULK if in_bulk else Code.PUBLISHER_BUSY, {"age": age})


def same_content(facts: Standing) -> Iterator[Finding]:
    """A change after the last publication, all dealt with, and the pass says what it said."""
    if facts.changed_at and facts.published_at and facts.changed_at > facts.published_at:
        yield Finding(Code.SAME_CONTENT, {"at": facts.changed_at})
