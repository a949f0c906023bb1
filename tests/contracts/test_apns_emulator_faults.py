"""Failures of the push emulator on demand: Apple's reasons, and what HTTP/2 can do to a client."""

from __future__ import annotations

import contextlib
import time

import orjson
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, SettingsFrame

from tests.contracts.apns_client import Client, Emulator, new_token
from tests.contracts.chains import Credential
from walletsvc.emulators.apns.answers import STATUS_BY_REASON


@pytest.mark.parametrize("reason", sorted(STATUS_BY_REASON))
def test_every_reason_can_be_armed(emulator: Emulator, client: Client, reason: str) -> None:
    """An armed reason fails the next push with its status, once; the log says so."""
    emulator.arm(reason)
    token = new_token()
    answer = client.push(token)
    assert (answer.status, answer.reason) == (STATUS_BY_REASON[reason], reason)
    assert ("timestamp" in orjson.loads(answer.body)) is (answer.status == 410)
    assert client.push(token).status == 200
    entries = emulator.log(token)
    assert [entry["fault"] for entry in entries] == [reason, None]
    assert entries[0]["reason"] == reason


def test_armed_failures_are_counted_and_shown(emulator: Emulator, client: Client) -> None:
    """Failures happen in the order armed, as often as asked, only to the token they name."""
    token, other = new_token(), new_token()
    emulator.arm("TooManyRequests", count=2)
    emulator.arm("Unregistered", timestamp=99)
    emulator.arm("ServiceUnavailable", token=other)
    assert client.push(token).status == 429
    assert emulator.control("GET", "/_/faults")["armed"] == [
        {"fault": "TooManyRequests", "count": 1},
        {"fault": "Unregistered", "count": 1, "timestamp": 99},
        {"fault": "ServiceUnavailable", "count": 1, "token": other},
    ]
    assert client.push(token).status == 429
    assert orjson.loads(client.push(token).body) == {"reason": "Unregistered", "timestamp": 99}
    assert client.push(token).status == 200
    assert client.push(other).status == 503
    emulator.arm("reset")
    assert emulator.control("DELETE", "/_/faults") == {"armed": []}
    assert client.push(token).status == 200


def test_goaway_finishes_earlier_streams_only(emulator: Emulator, client: Client) -> None:
    """GOAWAY names the last stream that is processed and why; only streams up to it go on."""
    early, tripping, late = new_token(), new_token(), new_token()
    assert client.push(early).status == 200
    first = client.open(f"/3/device/{early}", body=None)
    emulator.arm("goaway", reason="IdleTimeout", token=tripping)
    client.open(f"/3/device/{tripping}")
    frames = client.frames()
    goaway = next(frame for frame in frames if not isinstance(frame, SettingsFrame))
    assert isinstance(goaway, GoAwayFrame)
    assert goaway.last_stream_id == first
    assert goaway.error_code == ErrorCodes.NO_ERROR
    assert orjson.loads(goaway.additional_data) == {"reason": "IdleTimeout"}
    request = [(":method", "POST"), (":path", f"/3/device/{late}")]
    request += [(":scheme", "https"), (":authority", "x")]
    ignored = HeadersFrame(first + 4, flags=["END_HEADERS", "END_STREAM"])
    ignored.data = client.h2.encoder.encode(request)
    finished = DataFrame(first, data=b"{}", flags=["END_STREAM"])
    client.socket.sendall(ignored.serialize() + finished.serialize())
    (answer,) = frames
    assert isinstance(answer, HeadersFrame)
    assert answer.stream_id == first
    status, *_ = client.h2.decoder.decode(answer.data, raw=True)
    assert tuple(status) == (b":status", b"200")
    assert [entry["status"] for entry in emulator.log(early)] == [200, 200]
    assert [(entry["status"], entry["fault"]) for entry in emulator.log(tripping)] == [
        (None, "goaway")
    ]
    assert emulator.log(late) == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [("reset", ErrorCodes.INTERNAL_ERROR), ("refuse", ErrorCodes.REFUSED_STREAM)],
)
def test_a_stream_can_be_reset(
    emulator: Emulator, client: Client, fault: str, code: ErrorCodes
) -> None:
    """RST_STREAM ends one push; the connection goes on."""
    emulator.arm(fault)
    token = new_token()
    stream = client.open(f"/3/device/{token}")
    client.wait(lambda: stream in client.resets)
    assert client.resets[stream] == code
    assert client.push(token).status == 200
    assert [entry["status"] for entry in emulator.log(token)] == [None, 200]


def test_a_connection_can_be_cut(emulator: Emulator, client: Client) -> None:
    """The connection ends without GOAWAY, and nothing after the cut is processed."""
    token = new_token()
    assert client.push(token).status == 200
    emulator.arm("close")
    client.open(f"/3/device/{token}")
    with contextlib.suppress(ConnectionResetError):
        assert [frame for frame in client.frames() if not isinstance(frame, SettingsFrame)] == []
    assert [entry["fault"] for entry in emulator.log(token)] == [None, "close"]


def test_a_push_can_hang(emulator: Emulator, client: Client) -> None:
    """A hanging push gets no answer while others on the connection do."""
    emulator.arm("hang")
    token = new_token()
    hanging = client.open(f"/3/device/{token}")
    for _ in range(3):
        assert client.push(new_token()).status == 200
    assert client.answers[hanging].headers == {}
    assert [(entry["status"], entry["payload"]) for entry in emulator.log(token)] == [(None, {})]
    client.h2.reset_stream(hanging)
    client.send()
    assert client.push(token).status == 200


def test_a_connection_can_go_silent(emulator: Emulator, credential: Credential) -> None:
    """Half open: it swallows this push and all that follow, and stays open until released;
    other connections go on."""
    with Client(emulator, credential) as client, Client(emulator, credential) as other:
        assert client.push(new_token()).status == 200
        first, later = new_token(), new_token()
        emulator.arm("silent", token=first)
        streams = [client.open(f"/3/device/{token}") for token in (first, later)]
        assert other.push(new_token()).status == 200
        assert [client.answers[stream].headers for stream in streams] == [{}, {}]
        log = emulator.control("GET", f"/_/log?token={first}&wait=5")
        assert [entry["fault"] for entry in log] == ["silent"]
        assert emulator.log(later) == []
        emulator.control("DELETE", "/_/faults")
        with contextlib.suppress(ConnectionResetError):
            assert [f for f in client.frames() if not isinstance(f, SettingsFrame)] == []
        assert other.push(new_token()).status == 200


def test_connections_are_numbered_and_counted(emulator: Emulator, credential: Credential) -> None:
    """By topic: how many were accepted, how many are open; each log line names its own."""
    before = emulator.control("GET", "/_/connections")
    token = new_token()
    with Client(emulator, credential) as one, Client(emulator, credential) as two:
        for client in (one, two, one):
            client.push(token)
        now = emulator.control("GET", "/_/connections")
        assert now["accepted"] == before["accepted"] + 2
        assert now["open"] >= 2
        assert now["topics"]["pass.com.example.loyalty"]["open"] >= 2
    numbers = [entry["connection"] for entry in emulator.log(token)]
    assert numbers[0] == numbers[2] != numbers[1]


def test_an_answer_can_be_slow(emulator: Emulator, client: Client) -> None:
    """A slow push is received at once and answered after the time; others overtake it."""
    emulator.arm("slow", seconds=0.3)
    token, begin = new_token(), time.monotonic()
    slow = client.open(f"/3/device/{token}")
    assert client.push(new_token()).status == 200
    assert not client.answers[slow].ended
    assert [entry["status"] for entry in emulator.log(token)] == [200]
    assert client.answer(slow).status == 200
    assert time.monotonic() - begin >= 0.3


def test_a_lower_limit_of_streams_reaches_live_connections(
    emulator: Emulator, client: Client
) -> None:
    """The limit is announced, and a stream above it is refused once it was acknowledged."""
    client.push(new_token())
    assert client.limits == [100]
    emulator.control("POST", "/_/settings", {"max_concurrent_streams": 3})
    client.wait(lambda: client.limits == [100, 3])
    path = f"/3/device/{new_token()}"
    held = [client.h2.get_next_available_stream_id() + 2 * n for n in range(4)]
    # Our own h2 would not break the limit: it is told that there is none.
    client.h2.remote_settings.update({SettingCodes.MAX_CONCURRENT_STREAMS: 100})
    client.h2.remote_settings.acknowledge()
    assert [client.open(path, body=None) for _ in held] == held
    client.wait(lambda: held[3] in client.resets)
    assert client.resets == {held[3]: ErrorCodes.REFUSED_STREAM}
    client.finish(held[0], b"{}")
    assert client.answer(held[0]).status == 200
    assert client.push(new_token()).status == 200


def test_the_limit_binds_only_who_has_acknowledged_it(
    emulator: Emulator, credential: Credential
) -> None:
    """Streams opened before the greeting was read are served, however many."""
    emulator.control("POST", "/_/settings", {"max_concurrent_streams": 2})
    with Client(emulator, credential) as client:
        streams = [client.open(f"/3/device/{new_token()}", body=None) for _ in range(5)]
        for stream in streams:
            client.finish(stream, b"{}")
        assert [client.answer(stream).status for stream in streams] == [200] * 5
        assert client.limits == [2]


def test_a_refusal_waits_for_the_window(emulator: Emulator, credential: Credential) -> None:
    """A body larger than the client's flow-control window arrives as the window opens."""
    tiny: dict[SettingCodes | int, int] = {SettingCodes.INITIAL_WINDOW_SIZE: 10}
    with Client(emulator, credential, settings=tiny) as client:
        stream = client.open("/3/device/no-token")
        client.wait(lambda: len(client.answers[stream].body) == 10)
        assert client.push(new_token()).status == 200
        assert not client.answers[stream].ended
        client.h2.increment_flow_control_window(100, stream)
        client.send()
        assert client.answer(stream).reason == "BadDeviceToken"


@pytest.mark.parametrize("fault", [None, "BadTopic", "refuse"])
def test_a_push_given_up_at_once_harms_nobody(
    emulator: Emulator, client: Client, fault: str | None
) -> None:
    """A request and its reset in one packet leave the connection's other pushes alone."""
    token = new_token()
    assert client.push(new_token()).status == 200
    if fault:
        emulator.arm(fault, token=token)
    request = [(":method", "POST"), (":path", f"/3/device/{token}")]
    request += [(":scheme", "https"), (":authority", "x")]
    for _ in range(2):
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, request)
        client.h2.send_data(stream, b"{}", end_stream=True)
        client.h2.reset_stream(stream)
    client.send()
    assert client.push(new_token()).status == 200
    assert [entry["fault"] for entry in emulator.log(token)] == [fault, None]
