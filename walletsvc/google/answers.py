"""What an answer of Google means for what was asked.

Branch on the reason: 403 is a missing permission, a spent allowance of notifications or too many
requests, and each wants something else. Two rules guide the table: what nobody knows is looked at
before it is sent again, and a fault of our configuration deletes nothing.
"""

from __future__ import annotations

import enum
import random
from datetime import timedelta
from typing import Final

from walletsvc.google.client import BATCH_REFUSED, NOT_SENT, TOKEN_REFUSED, Answer

FIRST_DELAY: Final = timedelta(seconds=1)
LONGEST_DELAY: Final = timedelta(minutes=10)
_MOST_DOUBLINGS: Final = 20


class Action(enum.StrEnum):
    """What happens to what was asked."""

    DONE = "done"
    RETRY = "retry"  # not applied: later, with backoff
    UNKNOWN = "unknown"  # applied or not: look first
    CREATE_CLASS = "create-class"  # Google does not have the class (yet)
    INSERT = "insert"  # Google does not have the object or class: insert it
    PATCH = "patch"  # Google has it already: patch it
    SILENT = "silent"  # no notification is left: the same without one
    STOP = "stop"  # ours to put right, for everything
    OURS = "ours"  # this will never be taken as it is


_RATE: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED"})


def action(answer: Answer) -> Action:
    """The consequence of an answer. What Google does not document counts as unknown from 500 up.
    Below, a 400 is our mistake with this one request; with anything else it was not the Wallet
    API that answered, which stops everything and loses nothing."""
    status, reason = answer.status, answer.reason
    if answer.ok:
        return Action.DONE
    if status is None:
        if reason == TOKEN_REFUSED:
            return Action.STOP
        return Action.RETRY if reason == NOT_SENT else Action.UNKNOWN
    match status:
        case 401:
            return Action.STOP
        case 403:
            if reason == "quotaExceeded":
                return Action.SILENT
            return Action.RETRY if reason in _RATE else Action.STOP
        case 404 if reason == "classNotFound":
            return Action.CREATE_CLASS
        case 404 if reason == "resourceNotFound":
            return Action.INSERT
        case 409:
            return Action.PATCH
        case 408:
            return Action.UNKNOWN
        case 429:
            return Action.RETRY
        case 400 if reason != BATCH_REFUSED:
            return Action.OURS
    return Action.UNKNOWN if status >= 500 else Action.STOP


def explain(answer: Answer) -> str:
    """Why something was not done, and where it is in somebody's hands, by whom."""
    said = " ".join(filter(None, (str(answer.status or ""), answer.reason)))
    if answer.status is None:
        if answer.reason == TOKEN_REFUSED:
            return (
                f"Google gives no access token ({answer.message}): check the key file, the clock"
                " of this host, and that the service account still exists."
            )
        return f"Google cannot be reached ({answer.transport_error}): it is tried again by itself."
    match action(answer):
        case Action.STOP if answer.status == 401:
            return (
                f"Google refuses the access token ({said}): check that the Wallet API is enabled"
                " for the service account's project."
            )
        case Action.STOP if answer.status != 403:
            return (
                f"The Wallet API does not answer so ({said}): check WALLETSVC_GOOGLE_URL and what"
                " lies in between."
            )
        case Action.STOP:
            return (
                f"Google refuses the service account ({said}: {answer.message}): invite it in the"
                " Google Pay and Wallet console as Developer, for the issuer of"
                " WALLETSVC_GOOGLE_ISSUER_ID."
            )
    return f"Google answers {said}: {answer.message}" if answer.message else f"Google: {said}"


def label(answer: Answer) -> str:
    """The answer as counters name it: `200`, `403 quotaExceeded`, `unanswered`."""
    if answer.status is None:
        return answer.reason or "unanswered"
    reason = "".join(c for c in answer.reason if c.isalnum())[:40]
    return f"{answer.status} {reason}".strip()


def backoff(
    failures: int,
    rng: random.Random,
    *,
    first: timedelta = FIRST_DELAY,
    longest: timedelta = LONGEST_DELAY,
) -> timedelta:
    """How long to wait after so many failures: doubling, and spread by half of it."""
    doublings = min(max(failures, 1) - 1, _MOST_DOUBLINGS)
    delay = min(first * (1 << doublings), longest)
    return delay * (0.5 + rng.random() / 2)
