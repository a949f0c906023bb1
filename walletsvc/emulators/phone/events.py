"""What a phone tells about itself while it works: one event per step."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from walletsvc.emulators.phone.package import Package


class Kind(enum.StrEnum):
    """The steps of a phone's life with a pass."""

    DOWNLOADED = "downloaded"
    VERIFIED = "verified"
    NOTE = "note"
    REGISTERED = "registered"
    PUSHED = "pushed"
    LISTED = "listed"
    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    UPDATED = "updated"
    MESSAGE = "message"
    RETRYING = "retrying"
    COMPLAINED = "complained"
    UNREGISTERED = "unregistered"
    # Of a phone with Google Wallet only.
    OPENED = "opened"
    PRESSED = "pressed"
    SAVED = "saved"
    NOTICE = "notice"
    ANNOUNCED = "announced"
    REMOVED = "removed"


@dataclass(frozen=True)
class Event:
    """One step: `at` in seconds of a monotonic clock, `device` the library identifier."""

    kind: Kind
    at: float
    device: str
    details: dict[str, Any] = field(default_factory=dict)


Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True)
class Change:
    """A field whose value changed: raw values, and as the phone shows them."""

    key: str
    label: str
    before: Any
    after: Any
    shown_before: str
    shown_after: str


@dataclass(frozen=True)
class Update:
    """A newer pass took an older one's place.

    `messages` are the lines the lock screen shows; `changes` all fields that differ.
    `pushed_at` and `installed_at` are seconds of the same monotonic clock as the events'.
    """

    before: Package
    after: Package
    changes: tuple[Change, ...]
    messages: tuple[str, ...]
    pushed_at: float | None
    installed_at: float


def changes_between(before: Package, after: Package, language: str) -> tuple[Change, ...]:
    """The fields that both have and that differ in value or in how it is shown."""
    changes: list[Change] = []
    for key, field_after in after.fields.items():
        if key not in before.fields:
            continue
        shown_before, shown_after = before.shown(key, language), after.shown(key, language)
        if before.values[key] == after.values[key] and shown_before == shown_after:
            continue
        label = after.text(str(field_after.get("label", "")), language)
        changes.append(
            Change(key, label, before.values[key], after.values[key], shown_before, shown_after)
        )
    return tuple(changes)


def messages_for(changes: tuple[Change, ...], after: Package, language: str) -> tuple[str, ...]:
    """The notifications: only fields with a changeMessage speak, and only when they changed."""
    messages: list[str] = []
    for change in changes:
        message = after.fields[change.key].get("changeMessage")
        if message is not None:
            text = after.text(str(message), language)
            messages.append(text.replace("%@", change.shown_after))
    return tuple(messages)
