"""What an answer to a push means, and how long to wait before the next attempt.

Source: Apple, "Handling notification responses from APNs". Two things guide the table: a
fault of our configuration must never delete anybody's registration, and a lost push costs
only freshness, so nothing is worth a retry that cannot help.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from walletsvc.apple.pushes import Fault, Outcome

FIRST_DELAY: Final = timedelta(seconds=1)
LONGEST_DELAY: Final = timedelta(minutes=15)
# One phone was pushed too often: it is left alone for longer than a passing fault deserves.
TOO_MANY_DELAY: Final = timedelta(minutes=1)

# How long a channel rests after a broken connection, and after a fault that someone must mend.
FIRST_REST: Final = timedelta(milliseconds=250)
LONGEST_REST: Final = timedelta(minutes=1)
FIRST_STOP: Final = timedelta(seconds=30)
LONGEST_STOP: Final = timedelta(minutes=15)
# After so many rests in a row trouble with the connection is no passing thing any more, and
# shows as a stopped channel.
RESTS_BEFORE_STOP: Final = 4


class Action(enum.StrEnum):
    """What happens to the rows of a push, or to more than them."""

    DONE = "done"  # accepted
    RETRY = "retry"  # later, with backoff
    HUSH = "hush"  # the device had too many: later, and nothing else before
    DROP_TOKEN = "drop_token"  # noqa: S105 - Apple never knew this token
    UNREGISTERED = "unregistered"  # the device was reachable once and is no more, for this topic
    STOP_CHANNEL = "stop_channel"  # ours to put right; nothing is deleted meanwhile
    REPORT = "report"  # our bug: the same again would fail the same way


@dataclass(frozen=True, slots=True)
class Verdict:
    """`since` is Apple's time of unregistering. `at_least` is the shortest wait before a
    retry. `rest` says that the whole channel should pause, not only this push. `everywhere`
    says that the device is gone for every pass type: its token is dead."""

    action: Action
    since: datetime | None = None
    at_least: timedelta = timedelta()
    rest: bool = False
    everywhere: bool = False


_DONE: Final = Verdict(Action.DONE)
_RETRY: Final = Verdict(Action.RETRY)
_RETRY_RESTED: Final = Verdict(Action.RETRY, rest=True)
_STOP: Final = Verdict(Action.STOP_CHANNEL, rest=True)
_REPORT: Final = Verdict(Action.REPORT)

# 400 for what only the operator can mend: another topic's certificate, a foreign token.
# So is all that Apple does not document: somebody else answers at that address. Only these are
# a push of ours that is wrong in itself.
_OUR_BUGS: Final = frozenset(
    {"BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "DuplicateHeaders"}
    | {"InvalidPushType", "MissingDeviceToken", "PayloadEmpty"}
)
_TRANSPORT: Final = {
    Fault.STREAM: _RETRY,
    Fault.CONNECTION: _RETRY_RESTED,
    Fault.CONFIGURATION: _STOP,
}


def verdict(outcome: Outcome) -> Verdict:
    """The consequence of one outcome. Statuses Apple does not document are retried from 500
    up; below, it was not Apple that answered: that stops the channel and deletes nothing."""
    if outcome.status == 200:
        return _DONE
    if outcome.status is None:
        return _TRANSPORT[outcome.fault or Fault.CONNECTION]
    return _refusal(outcome.status, outcome)


def _refusal(status: int, outcome: Outcome) -> Verdict:
    match status, outcome.reason:
        case 400, "BadDeviceToken":
            return Verdict(Action.DROP_TOKEN, everywhere=True)
        case 400, reason if reason in _OUR_BUGS:
            return _REPORT
        case 400, "IdleTimeout":
            return _RETRY  # the connection slept through the request
        case 410, _:
            dead = outcome.reason == "ExpiredToken"
            return Verdict(Action.UNREGISTERED, since=outcome.unregistered_at, everywhere=dead)
        case 413, _:
            return _REPORT
        case 429, "TooManyProviderTokenUpdates":
            return _RETRY_RESTED
        case 429, _:
            return Verdict(Action.HUSH, at_least=TOO_MANY_DELAY)
        case 503, _:
            return _RETRY_RESTED
    return _RETRY if status >= 500 else _STOP


# What an operator can do about it.
_REMEDIES: Final = {
    "DeviceTokenNotForTopic": "the certificate belongs to another pass type than these devices'"
    " passes: check it with `walletsvc certs check`",
    "TopicDisallowed": "the certificate does not cover this pass type: check it with"
    " `walletsvc certs check`",
    "BadTopic": "the pass type id is not one of Apple's: check it with `walletsvc certs check`",
    "BadCertificateEnvironment": "Wallet pushes go to Apple's production service:"
    " check WALLETSVC_APNS_URL",
}
_CERTIFICATE: Final = "Apple does not accept the certificate: check it with `walletsvc certs check`"
_TRUST: Final = "check WALLETSVC_APNS_URL, WALLETSVC_APNS_CA_FILE and `walletsvc certs check`"
_ADDRESS: Final = "Apple does not answer so: check WALLETSVC_APNS_URL and what lies in between"
_NETWORK: Final = (
    "it is tried again by itself; if it lasts, check the network and WALLETSVC_APNS_URL"
)


def explain(outcome: Outcome) -> str:
    """Why a channel does not send, and what to do about it, in words."""
    if outcome.status is None:
        said = outcome.transport_error or "no answer"
        if outcome.fault is Fault.CONFIGURATION:
            return f"The connection to the push service is refused ({said}): {_TRUST}."
        return f"The push service cannot be reached ({said}): {_NETWORK}."
    said = f"{outcome.status} {outcome.reason or ''}".strip()
    if outcome.status >= 429:
        return f"The push service answers {said}: {_NETWORK}."
    if outcome.status not in (400, 403) or (outcome.status == 400 and not outcome.reason):
        return f"The push service answers {said}: {_ADDRESS}."
    return f"Apple answers {said}: {_REMEDIES.get(outcome.reason or '', _CERTIFICATE)}."


def answer_label(outcome: Outcome) -> str:
    """The answer as counters name it: `200`, `410 Unregistered`, `connection`."""
    if outcome.status is None:
        return str(outcome.fault or Fault.CONNECTION)
    reason = "".join(c for c in outcome.reason or "" if c.isalnum())[:40]
    return f"{outcome.status} {reason}".strip()


class LossGuard:
    """Doubts Apple when it calls implausibly many devices gone.

    A wrong push address or a foreign certificate answers BadDeviceToken or 410 to everything;
    believing it would delete all registrations. Of the last hundred answers at least twenty
    and more than half must say so: fewer are a week's dead phones, or a backup's. None is
    believed before a push was accepted within those hundred: that saves a shop of few phones.
    """

    WINDOW: Final = 100
    LEAST: Final = 20
    UNPROVEN: Final = 3

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=self.WINDOW)
        self._lost: set[str] = set()  # tokens, since a push was accepted

    @property
    def proven(self) -> bool:
        """Whether a push was accepted lately, so that a lost device is a lost device."""
        return False in self._recent

    @property
    def hopeless(self) -> bool:
        """Whether several devices were called gone and none accepted a push."""
        return not self.proven and len(self._lost) >= self.UNPROVEN

    def doubts(self, action: Action, token: str) -> bool:
        """Note an answer; True when it must not be believed."""
        if action is Action.DONE:
            self._recent.append(False)
            self._lost.clear()
        elif action in (Action.DROP_TOKEN, Action.UNREGISTERED):
            self._recent.append(True)
            self._lost.add(token)
            lost = sum(self._recent)
            return lost >= self.LEAST and lost * 2 > len(self._recent)
        return False

    def clear(self) -> None:
        """Start anew."""
        self._recent.clear()
        self._lost.clear()


def backoff(
    attempts: int,
    rng: random.Random,
    *,
    first: timedelta = FIRST_DELAY,
    longest: timedelta = LONGEST_DELAY,
) -> timedelta:
    """How long to wait after so many attempts (from 1): doubling up to `longest`, of which
    half is left to chance, so that what failed together does not come back together."""
    doublings = min(max(attempts, 1) - 1, 30)
    delay = min(first * (1 << doublings), longest)
    return delay * (0.5 + rng.random() / 2)
