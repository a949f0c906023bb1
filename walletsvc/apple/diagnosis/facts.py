"""What the rules of the diagnosis look at, and what they can find."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from walletsvc.jobs.changes import Lane


class Severity(enum.StrEnum):
    """What a finding asks of the operator, worst first."""

    PROBLEM = "problem"  # somebody must act
    WAITING = "waiting"  # it will go on by itself, or only the phone's owner can act
    UNKNOWN = "unknown"  # what is kept does not tell
    FINE = "fine"


class Code(enum.StrEnum):
    """Every reason; other software may rely on these, so none is renamed."""

    NO_TEMPLATE = "no-template"
    CERTIFICATE_MISSING = "certificate-missing"
    CERTIFICATE_EXPIRED = "certificate-expired"
    NEVER_ADDED = "never-added"
    ADDED_WITHOUT_REGISTERING = "added-without-registering"
    REMOVED = "removed"
    DEVICE_GONE = "device-gone"
    CHANGE_SET_ASIDE = "change-set-aside"
    NO_PUBLISHER = "no-publisher"
    BULK_FAILED = "bulk-failed"
    BULK_PAUSED = "bulk-paused"
    BULK_RUNNING = "bulk-running"
    CHANGE_IN_BULK = "change-in-bulk"
    PUBLISHER_BUSY = "publisher-busy"
    CHANGE_JUST_MADE = "change-just-made"
    NOT_PUBLISHED = "not-published"
    CHANNEL_PAUSED = "channel-paused"
    CHANNEL_STOPPED = "channel-stopped"
    NO_SENDER = "no-sender"
    DEVICE_QUIET = "device-quiet"
    PUSH_BACKING_OFF = "push-backing-off"
    PUSH_IN_FLIGHT = "push-in-flight"
    PUSH_IN_BULK = "push-in-bulk"
    SENDER_BUSY = "sender-busy"
    PUSH_JUST_QUEUED = "push-just-queued"
    PUSH_REFUSED = "push-refused"
    PUSH_MISSING = "push-missing"
    COMPLAINT_AUTHENTICATION = "complaint-authentication"
    COMPLAINT_MALFORMED = "complaint-malformed"
    COMPLAINT_UNCHANGED = "complaint-unchanged"
    COMPLAINT_CONNECTION = "complaint-connection"
    COMPLAINT_OTHER = "complaint-other"
    FETCHED_OLDER = "fetched-older"
    ANSWERED_UNCHANGED = "answered-unchanged"
    TAG_AHEAD = "tag-ahead"
    FETCHING = "fetching"
    ASKED_NOT_FETCHED = "asked-not-fetched"
    SERVICE_UNREACHABLE = "service-unreachable"
    UPDATES_OFF = "updates-off"
    PHONE_SILENT = "phone-silent"
    ON_ITS_WAY = "on-its-way"
    NOT_RECORDED = "not-recorded"
    SAME_CONTENT = "same-content"
    UP_TO_DATE = "up-to-date"


_WAITING: Final = {
    Code.BULK_RUNNING, Code.CHANGE_IN_BULK, Code.CHANGE_JUST_MADE, Code.DEVICE_QUIET,
    Code.PUSH_BACKING_OFF, Code.PUSH_IN_FLIGHT, Code.PUSH_IN_BULK, Code.PUSH_JUST_QUEUED,
    Code.FETCHING, Code.UPDATES_OFF, Code.PHONE_SILENT, Code.ON_ITS_WAY,
    Code.NEVER_ADDED, Code.ADDED_WITHOUT_REGISTERING, Code.REMOVED, Code.DEVICE_GONE,
    Code.COMPLAINT_CONNECTION, Code.COMPLAINT_UNCHANGED,
}  # fmt: skip
_FINE: Final = {Code.SAME_CONTENT, Code.UP_TO_DATE}


@dataclass(frozen=True)
class Finding:
    """A reason with the values its words need; `device` is the phone's label, if it is one's."""

    code: Code
    values: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None

    @property
    def severity(self) -> Severity:
        """What it asks of the operator."""
        if self.code in _FINE:
            return Severity.FINE
        if self.code is Code.NOT_RECORDED:
            return Severity.UNKNOWN
        return Severity.WAITING if self.code in _WAITING else Severity.PROBLEM


@dataclass(frozen=True)
class WaitingChange:
    """A change in the log that has not been acted on."""

    topic: str
    at: datetime
    lane: Lane
    postponed_until: datetime | None = None


@dataclass(frozen=True)
class WaitingBulk:
    """A bulk job that has not reached the pass."""

    title: str
    state: str
    done: int
    total: int
    problem: str | None = None


@dataclass(frozen=True)
class Queued:
    """A push that has not been accepted yet."""

    at: datetime
    due_at: datetime
    attempts: int
    lane: Lane


@dataclass(frozen=True)
class Pushed:
    """An attempt at a push, and the answer: a status, or what broke the connection."""

    at: datetime
    status: int | None
    reason: str
    attempts: int = 1

    @property
    def accepted(self) -> bool:
        """Whether the push service took it."""
        return self.status == 200


@dataclass(frozen=True)
class Asked:
    """The phone listed what changed; `named` tells whether the answer named this pass."""

    at: datetime
    named: bool


@dataclass(frozen=True)
class Taken:
    """The pass was fetched, or answered to be unchanged, at that revision."""

    at: datetime
    revision: int


@dataclass(frozen=True)
class Device:
    """What is known of one phone that holds the pass, or did.

    `news_at` is since when there is something new for it. `pushes` are all since it last asked
    before that, oldest first; `asked`, `fetched`, `unchanged` are since `news_at`. `has_copy`:
    it registered with the present state in its hands.
    """

    label: str
    news_at: datetime
    holds: bool = True
    has_copy: bool = False
    quiet_until: datetime | None = None
    queued: Queued | None = None
    pushes: Sequence[Pushed] = ()
    asked: Asked | None = None
    asked_before: datetime | None = None
    fetched: Taken | None = None
    unchanged: Taken | None = None
    left_at: datetime | None = None
    lost: str | None = None  # the push service's reason


@dataclass(frozen=True)
class Line:
    """What a phone logged about the pass."""

    at: datetime
    message: str


@dataclass(frozen=True)
class Facts:
    """Everything the rules look at.

    `certificate_until` is the end of the active signing certificate (None: there is none).
    `pushed_lately` counts phones of the pass type with an accepted push in the last hours, and
    `asked_lately` those that asked. `recorded_since`: nothing older is kept.
    """

    now: datetime
    revision: int
    recorded_since: datetime
    certificate_until: datetime | None
    has_template: bool = True
    content_current: bool = True
    published_at: datetime | None = None
    published_recorded: bool = True
    changed_at: datetime | None = None
    downloaded_at: datetime | None = None
    publisher_works: bool = True
    sender_works: bool = True
    changes: Sequence[WaitingChange] = ()
    bulk: Sequence[WaitingBulk] = ()
    channel: str = "open"
    channel_reason: str = ""
    channel_since: datetime | None = None
    channel_retry_at: datetime | None = None
    devices: Sequence[Device] = ()
    lines: Sequence[Line] = ()
    pushed_lately: int = 0
    asked_lately: int = 0
    first_push_lately: datetime | None = None
