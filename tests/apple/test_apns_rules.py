"""What Apple's answers mean, answer by answer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from walletsvc.apple.pushes import Fault, Outcome, PushRequest
from walletsvc.apple.rules import (
    LONGEST_DELAY,
    TOO_MANY_DELAY,
    Action,
    backoff,
    verdict,
)

PUSH = PushRequest(1, "ab" * 32, "pass.test")
GONE = datetime(2026, 11, 1, tzinfo=UTC)


def answered(status: int, reason: str | None = None, since: datetime | None = None) -> Outcome:
    """An answer of Apple's."""
    return Outcome(PUSH, status, reason, "id", since, None)


@pytest.mark.parametrize(
    ("status", "reason", "action"),
    [
        (200, None, Action.DONE),
        (400, "BadDeviceToken", Action.DROP_TOKEN),
        (400, "DeviceTokenNotForTopic", Action.STOP_CHANNEL),
        (400, "MissingTopic", Action.STOP_CHANNEL),
        (400, "BadTopic", Action.STOP_CHANNEL),
        (400, "TopicDisallowed", Action.STOP_CHANNEL),
        (400, "BadCollapseId", Action.REPORT),
        (400, "BadExpirationDate", Action.REPORT),
        (400, "BadMessageId", Action.REPORT),
        (400, "BadPriority", Action.REPORT),
        (400, "DuplicateHeaders", Action.REPORT),
        (400, "IdleTimeout", Action.RETRY),
        (400, "InvalidPushType", Action.REPORT),
        (400, "MissingDeviceToken", Action.REPORT),
        (400, "PayloadEmpty", Action.REPORT),
        (302, None, Action.STOP_CHANNEL),
        (400, None, Action.STOP_CHANNEL),
        (400, "SomethingNew", Action.STOP_CHANNEL),
        (401, None, Action.STOP_CHANNEL),
        (403, "BadCertificate", Action.STOP_CHANNEL),
        (403, "BadCertificateEnvironment", Action.STOP_CHANNEL),
        (403, "ExpiredProviderToken", Action.STOP_CHANNEL),
        (403, "Forbidden", Action.STOP_CHANNEL),
        (403, "InvalidProviderToken", Action.STOP_CHANNEL),
        (403, "MissingProviderToken", Action.STOP_CHANNEL),
        (403, None, Action.STOP_CHANNEL),
        (404, "BadPath", Action.STOP_CHANNEL),
        (404, None, Action.STOP_CHANNEL),
        (405, "MethodNotAllowed", Action.STOP_CHANNEL),
        (407, None, Action.STOP_CHANNEL),
        (410, "Unregistered", Action.UNREGISTERED),
        (410, "ExpiredToken", Action.UNREGISTERED),
        (413, "PayloadTooLarge", Action.REPORT),
        (421, None, Action.STOP_CHANNEL),
        (429, "TooManyRequests", Action.HUSH),
        (429, "TooManyProviderTokenUpdates", Action.RETRY),
        (500, "InternalServerError", Action.RETRY),
        (502, None, Action.RETRY),
        (503, "ServiceUnavailable", Action.RETRY),
        (503, "Shutdown", Action.RETRY),
    ],
)
def test_every_answer_has_its_consequence(status: int, reason: str | None, action: Action) -> None:
    """Configuration faults stop, dead tokens go, our bugs are reported, the rest comes back."""
    assert verdict(answered(status, reason)).action is action


@pytest.mark.parametrize(
    ("fault", "action", "rest"),
    [
        (Fault.STREAM, Action.RETRY, False),
        (Fault.CONNECTION, Action.RETRY, True),
        (Fault.CONFIGURATION, Action.STOP_CHANNEL, True),
    ],
)
def test_transport_errors_never_delete(fault: Fault, action: Action, rest: bool) -> None:
    """A broken stream is tried again, a broken connection rests, a refused certificate stops."""
    decided = verdict(Outcome(PUSH, None, None, "id", None, "56 gone", fault))
    assert (decided.action, decided.rest) == (action, rest)


def test_the_time_of_unregistering_is_kept() -> None:
    """A device that registered after it must not be deleted, so the time travels along."""
    assert verdict(answered(410, "Unregistered", GONE)).since == GONE


def test_a_phone_pushed_too_often_is_left_alone_longer() -> None:
    """429 for a token waits a minute at least and does not hold up other phones."""
    decided = verdict(answered(429, "TooManyRequests"))
    assert decided.at_least == TOO_MANY_DELAY
    assert not decided.rest


@pytest.mark.parametrize("reason", ["ServiceUnavailable", "Shutdown"])
def test_an_unavailable_service_is_left_in_peace(reason: str) -> None:
    """503 lets the whole channel rest instead of sending it the remainder of the batch."""
    assert verdict(answered(503, reason)).rest


def test_backoff_doubles_with_jitter_up_to_its_limit() -> None:
    """Each delay lies between half and all of its step, and no delay passes the longest."""
    rng = random.Random(1)
    for attempts in (*range(1, 30), 10**9):
        step = min(timedelta(seconds=2 ** min(attempts - 1, 30)), LONGEST_DELAY)
        delays = [backoff(attempts, rng) for _ in range(50)]
        assert all(step / 2 <= delay <= step for delay in delays)
        assert len(set(delays)) > 40


def test_backoff_starts_at_the_first_step_for_untried_pushes() -> None:
    """Zero attempts wait as long as one."""
    assert backoff(0, random.Random(1)) == backoff(1, random.Random(1))
