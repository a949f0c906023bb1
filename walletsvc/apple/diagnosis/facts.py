"""What the rules of the diagnosis look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from walletsvc.jobs.changes import Lane
from walletsvc.passes.timeline.standing import Standing


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


@dataclass(frozen=True, kw_only=True)
class Facts(Standing):
    """Everything the rules look at.

    `certificate_until` is the end of the active signing certificate (None: there is none).
    `pushed_lately` counts phones of the pass type with an accepted push in the last hours, and
    `asked_lately` those that asked.
    """

    certificate_until: datetime | None
    published_recorded: bool = True
    downloaded_at: datetime | None = None
    sender_works: bool = True
    channel: str = "open"
    channel_reason: str = ""
    channel_since: datetime | None = None
    channel_retry_at: datetime | None = None
    devices: Sequence[Device] = ()
    lines: Sequence[Line] = ()
    pushed_lately: int = 0
    asked_lately: int = 0
    first_push_lately: datetime | None = None
