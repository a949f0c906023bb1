"""What a diagnosis can find, in any wallet."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


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
    GOOGLE_CLASS_REFUSED = "google-class-refused"
    GOOGLE_CLASS_REJECTED = "google-class-rejected"
    GOOGLE_CLASS_WAITING = "google-class-waiting"
    GOOGLE_REFUSED = "google-refused"
    GOOGLE_PAUSED = "google-paused"
    GOOGLE_STOPPED = "google-stopped"
    GOOGLE_NO_SENDER = "google-no-sender"
    GOOGLE_UNANSWERED = "google-unanswered"
    GOOGLE_BACKING_OFF = "google-backing-off"
    GOOGLE_IN_FLIGHT = "google-in-flight"
    GOOGLE_IN_BULK = "google-in-bulk"
    GOOGLE_SENDER_BUSY = "google-sender-busy"
    GOOGLE_JUST_DUE = "google-just-due"
    GOOGLE_MISSED = "google-missed"
    GOOGLE_NOT_INSERTED = "google-not-inserted"
    GOOGLE_NOT_SAVED = "google-not-saved"
    GOOGLE_REMOVED = "google-removed"
    GOOGLE_MESSAGE_WAITING = "google-message-waiting"
    GOOGLE_MESSAGE_REFUSED = "google-message-refused"
    GOOGLE_SILENT_BUDGET = "google-silent-budget"
    GOOGLE_SILENT_REFUSED = "google-silent-refused"
    GOOGLE_ANNOUNCED = "google-announced"
    GOOGLE_UP_TO_DATE = "google-up-to-date"


_WAITING: Final = {
    Code.BULK_RUNNING, Code.CHANGE_IN_BULK, Code.CHANGE_JUST_MADE, Code.DEVICE_QUIET,
    Code.PUSH_BACKING_OFF, Code.PUSH_IN_FLIGHT, Code.PUSH_IN_BULK, Code.PUSH_JUST_QUEUED,
    Code.FETCHING, Code.UPDATES_OFF, Code.PHONE_SILENT, Code.ON_ITS_WAY,
    Code.NEVER_ADDED, Code.ADDED_WITHOUT_REGISTERING, Code.REMOVED, Code.DEVICE_GONE,
    Code.COMPLAINT_CONNECTION, Code.COMPLAINT_UNCHANGED,
    Code.GOOGLE_CLASS_WAITING, Code.GOOGLE_UNANSWERED, Code.GOOGLE_BACKING_OFF,
    Code.GOOGLE_IN_FLIGHT, Code.GOOGLE_IN_BULK, Code.GOOGLE_JUST_DUE, Code.GOOGLE_NOT_INSERTED,
    Code.GOOGLE_NOT_SAVED, Code.GOOGLE_REMOVED, Code.GOOGLE_MESSAGE_WAITING,
}  # fmt: skip
_FINE: Final = {
    Code.SAME_CONTENT, Code.UP_TO_DATE, Code.GOOGLE_SILENT_BUDGET, Code.GOOGLE_SILENT_REFUSED,
    Code.GOOGLE_ANNOUNCED, Code.GOOGLE_UP_TO_DATE,
}  # fmt: skip


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
