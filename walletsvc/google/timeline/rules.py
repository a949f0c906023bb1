"""The rules: along the chain, naming the first link that is broken.

Change → publication → the object is sent → somebody has saved it → the phone was told, or why
not. What Google shows is read from revisions, never from times.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from walletsvc.google.budget import ALLOWANCE
from walletsvc.google.models import IssuerState
from walletsvc.google.timeline.facts import Facts
from walletsvc.jobs.changes import Lane
from walletsvc.passes.timeline.findings import Code, Finding, Severity
from walletsvc.passes.timeline.rules import MOMENT, same_content, unpublished
from walletsvc.passes.timeline.waiting import Waiting, WaitingKind
from walletsvc.passes.timeline.waiting import unpublished as waiting_for_publication

_UNUSABLE: Final = ("draft", "rejected")


def diagnose(facts: Facts) -> list[Finding]:
    """What stands between the pass and the holder's Google Wallet, most likely first; never empty.

    Problems come before what only needs patience.
    """
    found = [*_of_pass(facts), *_of_object(facts)]
    if not found:
        return [*same_content(facts), _told(facts)]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))


def _of_pass(facts: Facts) -> Iterator[Finding]:
    if not facts.has_template:
        yield Finding(Code.NO_TEMPLATE)
    if facts.class_error:
        yield Finding(Code.GOOGLE_CLASS_REFUSED, {"reason": facts.class_error})
    elif facts.class_status in _UNUSABLE:
        yield Finding(Code.GOOGLE_CLASS_REJECTED, {"status": facts.class_status})
    if facts.has_users:
        yield from unpublished(facts)


def _of_object(facts: Facts) -> Iterator[Finding]:
    """What keeps Google from showing what was published, or anybody from seeing it."""
    if facts.due_at is not None:
        yield _sending(facts, facts.due_at)
    elif facts.refused:
        yield Finding(Code.GOOGLE_REFUSED, {"reason": facts.refused})
    elif facts.has_users and facts.sent_revision != facts.revision:
        yield Finding(
            Code.GOOGLE_MISSED, {"revision": facts.revision, "shown": facts.sent_revision}
        )
    if not facts.has_users:
        if facts.removed_at is not None:
            yield Finding(Code.GOOGLE_REMOVED, {"at": facts.removed_at})
        elif facts.inserted_at is not None:
            yield Finding(
                Code.GOOGLE_NOT_SAVED, {"opened": facts.opened_at, "at": facts.inserted_at}
            )
        elif facts.due_at is None and not facts.refused:
            yield Finding(Code.GOOGLE_NOT_INSERTED, {"at": facts.opened_at})
        return
    for message in facts.messages:
        code = Code.GOOGLE_MESSAGE_REFUSED if message.refused else Code.GOOGLE_MESSAGE_WAITING
        values = {"at": message.at, "due": message.due_at, "reason": message.reason}
        yield Finding(code, values | {"age": facts.now - message.at})


def _sending(facts: Facts, due_at: datetime) -> Finding:
    """Something is to be sent: what holds it up."""
    age = max(facts.now - due_at, timedelta())
    values: dict[str, Any] = {
        "revision": facts.revision,
        "due": due_at,
        "age": age,
        "attempts": facts.attempts,
        "answer": facts.answer,
        "reason": facts.issuer_reason,
        "since": facts.issuer_since,
        "retry": facts.issuer_retry_at,
    }
    if facts.issuer is IssuerState.PAUSED:
        return Finding(Code.GOOGLE_PAUSED, values)
    if facts.issuer is IssuerState.STOPPED:
        return Finding(Code.GOOGLE_STOPPED, values)
    if not facts.sender_works:
        return Finding(Code.GOOGLE_NO_SENDER, values)
    if not facts.class_there:
        return Finding(Code.GOOGLE_CLASS_WAITING, values)
    if due_at > facts.now:
        if not facts.answer:
            return Finding(Code.GOOGLE_IN_FLIGHT, values)
        code = Code.GOOGLE_UNANSWERED if facts.unanswered else Code.GOOGLE_BACKING_OFF
        return Finding(code, values)
    if age <= MOMENT:
        return Finding(Code.GOOGLE_JUST_DUE, values)
    in_bulk = facts.lane is Lane.BULK
    return Finding(Code.GOOGLE_IN_BULK if in_bulk else Code.GOOGLE_SENDER_BUSY, values)


def _told(facts: Facts) -> Finding:
    """Google shows the newest: whether the phone was to announce it, and why not."""
    values = {
        "revision": facts.revision,
        "at": facts.sent_at or facts.published_at,
        "left": facts.left,
        "of": ALLOWANCE,
        "next": facts.next_at,
    }
    code = {
        "asked": Code.GOOGLE_ANNOUNCED,
        "budget": Code.GOOGLE_SILENT_BUDGET,
        "refused": Code.GOOGLE_SILENT_REFUSED,
    }.get(facts.buzz, Code.GOOGLE_UP_TO_DATE)
    return Finding(code, values)


def waiting(facts: Facts) -> Iterator[Waiting]:
    """All that waits for a pass, in the order of the chain."""
    yield from waiting_for_publication(facts)
    if facts.issuer is not IssuerState.OPEN:
        shut = {"state": facts.issuer.value, "reason": facts.issuer_reason}
        since, retry_at = facts.issuer_since, facts.issuer_retry_at
        yield Waiting(WaitingKind.ISSUER, since, retry_at, None, shut)
    if facts.due_at is not None:
        values = {"attempts": facts.attempts, "lane": facts.lane.name.lower()}
        yield Waiting(WaitingKind.OBJECT, facts.published_at, facts.due_at, None, values)
    for message in facts.messages:
        if not message.refused:
            values = {"attempts": message.attempts, "lane": message.lane.name.lower()}
            yield Waiting(WaitingKind.MESSAGE, message.at, message.due_at, None, values)
