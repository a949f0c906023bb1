"""The rules: along the chain, naming the first link that is broken.

Change → publication → push → the phone asks → it fetches. Where there is a choice, the rules
trust what cannot be misread: tags and revisions rather than times, because the clocks of
several hosts differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from walletsvc.apple.diagnosis.facts import Device, Facts, Line
from walletsvc.jobs.changes import Lane
from walletsvc.passes.timeline.findings import Code, Finding, Severity
from walletsvc.passes.timeline.rules import MOMENT, same_content, unpublished

# Phones answer a push within seconds when they are awake.
_PROMPT: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_IGNORED_PUSHES: Final = 3
_SILENT_PHONES: Final = 3
_SILENCE: Final = timedelta(minutes=10)


# Clocks of several hosts may differ by so much.
_SLACK: Final = timedelta(seconds=1)

_Found = tuple[Code, dict[str, Any]]

_COMPLAINTS: Final = (
    (Code.COMPLAINT_AUTHENTICATION, r"authenti|unauthori[sz]ed|\b40[13]\b"),
    (Code.COMPLAINT_UNCHANGED, r"unchanged|not changed|\b304\b"),
    (
        Code.COMPLAINT_CONNECTION,
        r"timed? ?out|offline|connection|network|nsurlerror|\b(tls|ssl)\b",
    ),
    (
        Code.COMPLAINT_MALFORMED,
        r"malformed|invalid|unexpected|could not be (read|parsed)|signature",
    ),
)


def diagnose(facts: Facts) -> list[Finding]:
    """What stands between the pass and its phones, most likely first; never empty.

    What concerns the pass as a whole comes before what concerns one phone, and problems come
    before what only needs patience.
    """
    whole = list(_of_pass(facts))
    if not any(device.holds for device in facts.devices):
        return [*whole, _nobody(facts)]
    single = [diagnose_device(facts, device) for device in facts.devices if device.holds]
    single.sort(key=lambda finding: list(Severity).index(finding.severity))
    complaints = [_complaint(line) for line in facts.lines[-1:]]
    if single[0].severity is Severity.FINE and not whole:
        return [*same_content(facts), *single, *complaints]
    return [*whole, *complaints, *single]


def _of_pass(facts: Facts) -> Iterator[Finding]:
    if not facts.has_template:
        yield Finding(Code.NO_TEMPLATE)
    if facts.certificate_until is None:
        yield Finding(Code.CERTIFICATE_MISSING)
    elif facts.certificate_until <= facts.now:
        yield Finding(Code.CERTIFICATE_EXPIRED, {"until": facts.certificate_until})
    if not any(device.holds for device in facts.devices):
        return  # nothing is published for a pass that nobody holds
    yield from unpublished(facts)


def _nobody(facts: Facts) -> Finding:
    gone = [device for device in facts.devices if device.left_at is not None]
    if gone:
        last = max(gone, key=lambda device: device.left_at or device.news_at)
        code = Code.REMOVED if last.lost is None else Code.DEVICE_GONE
        values = {"phone": last.label, "at": last.left_at, "reason": last.lost or ""}
        return Finding(code, values, last.label)
    if facts.downloaded_at is not None:
        return Finding(Code.ADDED_WITHOUT_REGISTERING, {"at": facts.downloaded_at})
    return Finding(Code.NEVER_ADDED)


def _complaint(line: Line) -> Finding:
    for code, pattern in _COMPLAINTS:
        if re.search(pattern, line.message, re.IGNORECASE):
            return Finding(code, {"at": line.at, "line": line.message})
    return Finding(Code.COMPLAINT_OTHER, {"at": line.at, "line": line.message})


def diagnose_device(facts: Facts, device: Device) -> Finding:
    """Why this phone does or does not show the newest state."""
    code, values = (
        _has_it(facts, device)
        or _push_waits(facts, device)
        or _asked_since(facts, device)
        or _not_asked(facts, device)
    )
    return Finding(
        code, {"phone": device.label, "revision": facts.revision, **values}, device.label
    )


def _has_it(facts: Facts, device: Device) -> _Found | None:
    if device.fetched and device.fetched.revision >= facts.revision:
        return Code.UP_TO_DATE, {"at": device.fetched.at}
    if device.has_copy:
        return Code.UP_TO_DATE, {"at": device.news_at}
    return None


def _push_waits(facts: Facts, device: Device) -> _Found | None:
    """The push is still in the queue: what holds it up."""
    queued, now = device.queued, facts.now
    if queued is None:
        return None
    values: dict[str, Any] = {
        "age": now - queued.at,
        "due": queued.due_at,
        "attempts": queued.attempts,
        "reason": facts.channel_reason,
        "since": facts.channel_since,
        "retry": facts.channel_retry_at,
    }
    if facts.channel == "paused":
        return Code.CHANNEL_PAUSED, values
    if facts.channel == "stopped":
        return Code.CHANNEL_STOPPED, values
    if not facts.sender_works:
        return Code.NO_SENDER, values
    if device.quiet_until and device.quiet_until > now:
        return Code.DEVICE_QUIET, {**values, "until": device.quiet_until}
    last = device.pushes[-1] if device.pushes else None
    if queued.due_at > now and queued.attempts:
        if last is None or last.accepted:
            return Code.PUSH_IN_FLIGHT, values
        answer = last.reason or str(last.status)
        return Code.PUSH_BACKING_OFF, {**values, "answer": answer}
    if now - queued.at <= MOMENT:
        return Code.PUSH_JUST_QUEUED, values
    return Code.PUSH_IN_BULK if queued.lane is Lane.BULK else Code.SENDER_BUSY, values


def _asked_since(facts: Facts, device: Device) -> _Found | None:
    """The phone asked after the news: what became of the answer."""
    asked = device.asked
    if asked is None:
        return None
    values = {"at": asked.at, "age": facts.now - asked.at}
    if device.fetched:  # an older revision: the newest was looked at before
        return Code.FETCHED_OLDER, {**values, "fetched": device.fetched.revision}
    if device.unchanged and device.unchanged.revision >= facts.revision:
        return Code.ANSWERED_UNCHANGED, {**values, "at": device.unchanged.at}
    if not asked.named:
        return Code.TAG_AHEAD, values
    if facts.now - asked.at <= _PROMPT:
        return Code.FETCHING, values
    return Code.ASKED_NOT_FETCHED, values


def _not_asked(facts: Facts, device: Device) -> _Found:
    """The push left the queue and the phone did not ask."""
    recent = [push for push in device.pushes if push.at >= device.news_at - _SLACK]
    accepted = [push for push in recent if push.accepted]
    if not accepted:
        if recent:
            return Code.PUSH_REFUSED, {"answer": recent[-1].reason or str(recent[-1].status)}
        known = facts.published_recorded and device.news_at >= facts.recorded_since
        return Code.PUSH_MISSING if known else Code.NOT_RECORDED, {"at": device.news_at}
    waited = facts.now - accepted[0].at
    values = {"at": accepted[0].at, "age": waited, "asked": device.asked_before}
    if waited <= _PROMPT:
        return Code.ON_ITS_WAY, values
    silent = facts.pushed_lately >= _SILENT_PHONES and not facts.asked_lately
    if silent and facts.first_push_lately and facts.now - facts.first_push_lately > _SILENCE:
        return Code.SERVICE_UNREACHABLE, {**values, "phones": facts.pushed_lately}
    ignored = [push for push in device.pushes if push.accepted]
    if len(ignored) >= _IGNORED_PUSHES and facts.now - ignored[0].at >= _DAY:
        return Code.UPDATES_OFF, {**values, "pushes": len(ignored), "first": ignored[0].at}
    return Code.PHONE_SILENT, values
