"""The push client against a real HTTP/2 service that checks, resets, hangs and hangs up."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.apple.apns import (
    Authority,
    Emulator,
    Relay,
    dead_address,
    emulator_fixture,
    emulator_process_fixture,
)
from walletsvc.apple.apns import LIFETIME, ApnsClient
from walletsvc.apple.pushes import Fault, Outcome, PushRequest, push_id
from walletsvc.core.errors import ConfigurationError

TOPIC = "pass.test.client"
FIXTURES = (emulator_fixture, emulator_process_fixture)


def pushes(count: int) -> list[PushRequest]:
    """Pushes to so many different devices."""
    return [PushRequest(key, f"{key:064x}", TOPIC) for key in range(1, count + 1)]


def outcomes_of(client: ApnsClient, waiting: Iterable[PushRequest]) -> Iterator[Outcome]:
    """Send pushes as a channel does: while there is room, until all are answered."""
    client.check_validity()
    queue = deque(waiting)
    while queue or client.in_flight:
        for _ in range(min(client.room(urgent=True), len(queue))):
            client.start(queue.popleft())
        yield from client.poll(0.05)
        queue.extendleft(client.take_back())


def send(client: ApnsClient, count: int) -> list[Outcome]:
    """Send that many pushes and hang up."""
    try:
        return list(outcomes_of(client, pushes(count)))
    finally:
        client.close()


def test_a_push_looks_as_apple_wants_it(emulator: Emulator) -> None:
    """Background, priority 5, empty payload, topic, an id, and four weeks to be delivered."""
    [outcome] = send(emulator.client(TOPIC), 1)
    assert (outcome.status, outcome.transport_error) == (200, None)
    [entry] = emulator.received()
    headers = entry["headers"]
    assert headers["apns-topic"] == TOPIC
    assert headers["apns-push-type"] == "background"
    assert headers["apns-priority"] == "5"
    assert headers["apns-id"] == outcome.apns_id
    lasts = datetime.fromtimestamp(int(headers["apns-expiration"]), UTC) - datetime.now(UTC)
    assert abs(lasts - LIFETIME) < timedelta(minutes=1)
    assert entry["payload"] == {}


def test_the_id_of_a_push_is_the_same_when_it_is_tried_again() -> None:
    """Same row and token, same UUID; another row, token or topic, another."""
    push = PushRequest(7, "ab" * 32, TOPIC)
    assert push_id(push) == push_id(PushRequest(7, "ab" * 32, TOPIC))
    assert uuid.UUID(push_id(push))
    others = [PushRequest(8, "ab" * 32, TOPIC), PushRequest(7, "cd" * 32, TOPIC)]
    others.append(PushRequest(7, "ab" * 32, "pass.other"))
    assert len({push_id(push), *map(push_id, others)}) == 4


def test_many_pushes_share_one_connection(emulator: Emulator) -> None:
    """A thousand pushes are all answered, over a single connection."""
    with Relay(emulator.port) as relay:
        outcomes = send(emulator.client(TOPIC, port=relay.port), 1000)
    assert Counter(outcome.status for outcome in outcomes) == {200: 1000}
    assert {outcome.push.key for outcome in outcomes} == set(range(1, 1001))
    assert relay.connections == 1


def test_a_connection_outlives_a_batch(emulator: Emulator) -> None:
    """The next batch goes over the connection of the last one."""
    with Relay(emulator.port) as relay:
        client = emulator.client(TOPIC, port=relay.port)
        for _ in range(3):
            assert all(outcome.status == 200 for outcome in outcomes_of(client, pushes(5)))
        client.close()
    assert relay.connections == 1


def test_an_answer_tells_reason_and_time(emulator: Emulator) -> None:
    """410 carries since when the token is dead, to the millisecond."""
    emulator.fail("Unregistered", timestamp=1_763_600_000_123)
    [outcome] = send(emulator.client(TOPIC), 1)
    assert (outcome.status, outcome.reason) == (410, "Unregistered")
    since = datetime(2025, 11, 20, 0, 53, 20, 123_000, tzinfo=UTC)
    assert outcome.unregistered_at == since


@pytest.mark.parametrize("fault", ["goaway", "close"])
def test_a_lost_connection_is_an_outcome(emulator: Emulator, fault: str) -> None:
    """Every push gets one outcome, at most those in flight fail, none is called accepted that
    was not, and a new connection serves the rest."""
    emulator.fail(fault, token=f"{150:064x}")
    outcomes = send(emulator.client(TOPIC), 300)
    assert sorted(outcome.push.key for outcome in outcomes) == list(range(1, 301))
    lost = [outcome for outcome in outcomes if outcome.status != 200]
    assert len(lost) <= 100
    assert {outcome.fault for outcome in lost} <= {Fault.CONNECTION, Fault.STREAM}
    accepted = {outcome.push.token for outcome in outcomes if outcome.status == 200}
    assert accepted <= set(emulator.accepted())


def test_a_new_connection_is_tried_with_one_push(emulator: Emulator) -> None:
    """While nothing was answered yet, one push is risked at a time."""
    pair = Authority().issue(TOPIC)
    client = ApnsClient(dead_address(), pair.certificate, pair.key, emulator.ca_file)
    assert client.room(urgent=True) == 1
    client.start(pushes(1)[0])
    assert client.room(urgent=True) == 0
    outcomes: list[Outcome] = []
    while not outcomes:
        outcomes = client.poll(0.05)
    assert [outcome.fault for outcome in outcomes] == [Fault.CONNECTION]
    assert client.room(urgent=True) == 1
    client.close()


def test_a_reset_stream_harms_no_other(emulator: Emulator) -> None:
    """Only the push whose stream was reset fails."""
    emulator.fail("reset", token=f"{150:064x}")
    with Relay(emulator.port) as relay:
        outcomes = send(emulator.client(TOPIC, port=relay.port), 300)
    [broken] = [outcome for outcome in outcomes if outcome.status != 200]
    assert (broken.push.key, broken.fault) == (150, Fault.STREAM)
    assert relay.connections == 1


def test_a_refused_stream_is_sent_again_by_itself(emulator: Emulator) -> None:
    """The service did not process it, so nobody needs to hear of it."""
    emulator.fail("refuse", 3)
    outcomes = send(emulator.client(TOPIC), 50)
    assert Counter(outcome.status for outcome in outcomes) == {200: 50}


def test_what_finds_no_stream_is_handed_back(emulator: Emulator) -> None:
    """After the service lowered its limit nothing waits inside libcurl, where an urgent push
    could not overtake it."""
    client = emulator.client(TOPIC)
    assert all(outcome.status == 200 for outcome in outcomes_of(client, pushes(30)))
    try:
        emulator.limit_streams(3)
        assert all(outcome.status == 200 for outcome in outcomes_of(client, pushes(1)))
        emulator.fail("hang", 3)
        waiting = pushes(20)
        for push in waiting:
            client.start(push)
        assert client.poll(0.05) == []
        assert client.in_flight == 3
        assert {push.key for push in client.take_back()} == {push.key for push in waiting[3:]}
        assert client.room(urgent=True) == 0
    finally:
        emulator.limit_streams(100)
        client.close()


def test_a_silent_connection_is_given_up(emulator: Emulator) -> None:
    """When nothing is answered any more, the connection is dropped and made anew."""
    with Relay(emulator.port) as relay:
        client = emulator.client(TOPIC, request_seconds=1, port=relay.port)
        assert all(outcome.status == 200 for outcome in outcomes_of(client, pushes(1)))
        relay.silent = True
        outcomes = list(outcomes_of(client, pushes(20)))
        assert {outcome.fault for outcome in outcomes} == {Fault.CONNECTION}
        assert len(outcomes) == 20
        relay.silent = False
        assert all(outcome.status == 200 for outcome in outcomes_of(client, pushes(20)))
        client.close()
    assert relay.connections > 1


def test_one_unanswered_push_does_not_cost_the_connection(emulator: Emulator) -> None:
    """While others are answered, a push that times out fails alone."""
    client = emulator.client(TOPIC, request_seconds=1)
    assert all(outcome.status == 200 for outcome in outcomes_of(client, pushes(3)))
    emulator.fail("hang", token=f"{1:064x}")
    emulator.fail("slow", seconds=0.5, token=f"{2:064x}")
    outcomes = {outcome.push.key: outcome for outcome in outcomes_of(client, pushes(2))}
    client.close()
    assert outcomes[2].status == 200
    assert outcomes[1].fault is Fault.STREAM


def test_nobody_listening_is_a_connection_fault(emulator: Emulator) -> None:
    """A service that is down is tried again later."""
    pair = Authority().issue(TOPIC)
    client = ApnsClient(dead_address(), pair.certificate, pair.key, emulator.ca_file)
    assert {outcome.fault for outcome in send(client, 3)} == {Fault.CONNECTION}


def test_an_unknown_server_certificate_is_a_configuration_fault(emulator: Emulator) -> None:
    """Without the emulator's authority its certificate is not believed."""
    pair = Authority().issue(TOPIC)
    client = ApnsClient(emulator.url, pair.certificate, pair.key, None)
    assert {outcome.fault for outcome in send(client, 3)} == {Fault.CONFIGURATION}


def test_a_foreign_client_certificate_is_a_configuration_fault(emulator: Emulator) -> None:
    """The service refuses it during the handshake; retrying would not help."""
    pair = Authority().issue(TOPIC)
    client = ApnsClient(emulator.url, pair.certificate, pair.key, emulator.ca_file)
    outcomes = send(client, 5)
    assert len(outcomes) == 5
    assert outcomes[0].fault is Fault.CONFIGURATION


def test_another_topic_is_answered_as_such(emulator: Emulator) -> None:
    """A certificate covers the topic it was issued for and no other."""
    client = emulator.client("pass.test.other")
    [outcome] = send(client, 1)
    assert (outcome.status, outcome.reason) == (400, "TopicDisallowed")


@pytest.mark.parametrize("token", ["../../x", "a b\r\nx: y", "ключ", "..", "?a=b#c"])
def test_odd_tokens_cannot_bend_the_request(emulator: Emulator, token: str) -> None:
    """Devices send what they like; the push service refuses it, and other pushes go on."""
    client = emulator.client(TOPIC)
    odd, good = PushRequest(1, token, TOPIC), PushRequest(2, "ab" * 32, TOPIC)
    outcomes = {outcome.push.key: outcome for outcome in outcomes_of(client, [odd, good])}
    client.close()
    assert outcomes[1].status in (400, 404)
    assert outcomes[2].status == 200


def test_key_and_certificate_must_belong_together(tmp_path: Path) -> None:
    """Two halves of different pairs are refused before anything is sent."""
    one, two = Authority().issue(TOPIC), Authority().issue(TOPIC)
    with pytest.raises(ConfigurationError, match="do not belong together"):
        ApnsClient("https://127.0.0.1:9", one.certificate, two.key, None)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ApnsClient("https://127.0.0.1:9", b"nonsense", two.key, None)


def test_an_expired_certificate_is_named() -> None:
    """Apple would only cut the connection, so the client says what is wrong."""
    pair = Authority().issue(TOPIC, days=-1)
    client = ApnsClient("https://127.0.0.1:9", pair.certificate, pair.key, None)
    with pytest.raises(ConfigurationError, match="renew it"):
        send(client, 1)
