"""The push emulator's control interface: the log, its long poll, and clear refusals."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import Any

import orjson
import pytest
import requests

from tests.contracts.apns_client import PATIENCE, Client, Emulator, new_token
from tests.contracts.conftest import TOPIC
from walletsvc.emulators.apns.journal import Journal


def test_the_front_door_says_what_this_is(emulator: Emulator) -> None:
    """Whoever opens the port in a browser learns what it is."""
    response = requests.get(f"http://127.0.0.1:{emulator.port + 1}/", timeout=PATIENCE)
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "emulator of Apple's push service" in response.text


def test_the_log_can_be_narrowed(emulator: Emulator, client: Client) -> None:
    """`after`, `token` and `limit` select; entries are numbered and newest last."""
    token = new_token()
    for priority in ("1", "5", "10"):
        client.push(token, {"apns-priority": priority})
        client.push(new_token())
    entries = emulator.log(token)
    assert [entry["headers"]["apns-priority"] for entry in entries] == ["1", "5", "10"]
    numbers = [entry["seq"] for entry in entries]
    assert numbers == [numbers[0], numbers[0] + 2, numbers[0] + 4]
    path = f"/_/log?after={numbers[0]}"
    assert [entry["seq"] for entry in emulator.control("GET", f"{path}&token={token.upper()}")] == (
        numbers[1:]
    )
    assert [entry["seq"] for entry in emulator.control("GET", path)] == [
        numbers[0] + n for n in range(1, 6)
    ]
    assert [entry["seq"] for entry in emulator.control("GET", f"{path}&limit=2")] == [
        numbers[0] + 1,
        numbers[0] + 2,
    ]
    assert emulator.control("GET", f"/_/log?after={numbers[2] + 1}") == []


@pytest.mark.parametrize("by_token", [True, False])
def test_a_waiting_reader_is_woken_at_once(
    emulator: Emulator, client: Client, by_token: bool
) -> None:
    """A long poll answers when its push arrives, not when its time is over."""
    token, woken = new_token(), []
    last = emulator.control("GET", "/_/log")[-1]["seq"] if not by_token else 0
    query = f"token={token}" if by_token else f"after={last}"

    def read() -> None:
        entries = emulator.control("GET", f"/_/log?{query}&wait=9")
        woken.append((time.monotonic(), entries))

    reader = threading.Thread(target=read)
    reader.start()
    if by_token:
        # Another device's push is none of its business.
        client.push(new_token())
    reader.join(0.2)
    assert reader.is_alive()
    pushed = time.monotonic()
    client.push(token)
    reader.join(PATIENCE)
    ((when, entries),) = woken
    assert when - pushed < 2
    assert [entry["token"] for entry in entries] == [token]


def test_a_wait_ends_with_nothing(emulator: Emulator) -> None:
    """A long poll whose push does not come ends with an empty list when its time is over."""
    begin = time.monotonic()
    assert emulator.control("GET", f"/_/log?token={new_token()}&wait=0.2") == []
    assert time.monotonic() - begin >= 0.2


def test_a_reader_that_leaves_is_forgotten(emulator: Emulator, client: Client) -> None:
    """A long poll that was hung up on harms nobody."""
    token = new_token()
    with socket.create_connection(("127.0.0.1", emulator.port + 1)) as reader:
        reader.sendall(f"GET /_/log?token={token}&wait=9 HTTP/1.1\r\n\r\n".encode())
    assert client.push(token).status == 200
    assert len(emulator.log(token)) == 1


def test_the_log_is_bounded() -> None:
    """Old entries leave the log, for each token too; numbers go on."""
    journal = Journal(kept=3)
    for number in range(1, 6):
        assert journal.add("a" if number % 2 else "b", {"n": number}) == number
    assert [orjson.loads(line)["n"] for line in journal.after(0)] == [3, 4, 5]
    assert [orjson.loads(line)["n"] for line in journal.after(0, "a")] == [3, 5]
    assert [orjson.loads(line)["n"] for line in journal.after(0, "b")] == [4]
    for _ in range(3):
        journal.add("c", {})
    assert journal.after(0, "a") == []
    assert journal.last == 8


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/_/faults", b"{", 400, "Invalid JSON"),
        ("POST", "/_/faults", b"[]", 400, "body"),
        ("POST", "/_/faults", b"\xff", 400, "Invalid JSON"),
        ("POST", "/_/faults", b"", 400, "body.fault"),
        (
            "POST",
            "/_/faults",
            b'{"fault":"Fire"}',
            400,
            "goaway, reset, refuse, close, hang, silent, slow",
        ),
        ("POST", "/_/faults", b'{"fault":"Fire"}', 400, "TooManyRequests"),
        ("POST", "/_/faults", b'{"fault":"slow","count":"2"}', 400, "body.count"),
        ("POST", "/_/faults", b'{"fault":"slow","count":0}', 400, "body.count"),
        ("POST", "/_/faults", b'{"fault":"slow","seconds":-1}', 400, "body.seconds"),
        ("POST", "/_/faults", b'{"fault":"hang","seconds":1}', 400, "body.seconds"),
        ("POST", "/_/faults", b'{"fault":"hang","timestamp":1}', 400, "body.timestamp"),
        ("POST", "/_/faults", b'{"fault":"hang","reason":"x"}', 400, "body.reason"),
        ("POST", "/_/faults", b'{"fault":"hang","token":"x"}', 400, "token"),
        ("POST", "/_/faults", b'{"fault":"hang","color":1}', 400, "body.color"),
        ("PUT", "/_/faults", b"{}", 405, "GET, POST, DELETE"),
        ("POST", "/_/settings", b"{}", 400, "body.max_concurrent_streams"),
        ("POST", "/_/settings", b'{"max_concurrent_streams":-1}', 400, "max_concurrent_streams"),
        ("POST", "/_/devices", b'{"topic":"no topic"}', 400, "body.topic"),
        ("POST", "/_/devices/xyz/unregister", b"", 400, "token"),
        ("GET", "/_/devices", b"", 405, "POST"),
        ("GET", "/_/log?after=x", b"", 400, "after"),
        ("GET", "/_/log?after=-1", b"", 400, "after"),
        ("GET", "/_/log?wait=nan", b"", 400, "wait"),
        ("GET", "/_/log?wait=inf", b"", 400, "wait"),
        ("GET", "/_/log?token=xyz", b"", 400, "token"),
        ("GET", "/_/log?device=1", b"", 400, "after, token, wait, limit"),
        ("GET", "/nowhere", b"", 404, "/nowhere"),
        ("POST", "/_/faults", b"x" * 70_000, 413, "65536"),
    ],
)
def test_bad_requests_are_told_why(
    emulator: Emulator, method: str, path: str, body: bytes, status: int, words: str
) -> None:
    """Every mistake gets a clear 4xx that names what is wrong, and changes nothing."""
    response = requests.request(
        method, f"http://127.0.0.1:{emulator.port + 1}{path}", data=body, timeout=PATIENCE
    )
    assert response.status_code == status
    assert words in response.json()["error"]
    assert emulator.control("GET", "/_/faults") == {"armed": []}
    assert emulator.control("GET", "/_/settings") == {"max_concurrent_streams": 100}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", 413),
        (b"POST /_/faults HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /_/faults HTTP/1.1\r\nContent-Length: two\r\n\r\n", 400),
        (b"POST /_/faults HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}", 400),
    ],
)
def test_broken_http_is_refused(emulator: Emulator, sent: bytes, status: int) -> None:
    """What is not a plain request gets a 4xx, and the connection is closed."""
    with socket.create_connection(("127.0.0.1", emulator.port + 1), timeout=PATIENCE) as plain:
        plain.sendall(sent)
        plain.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: plain.recv(65_536), b""))
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in received


def test_a_control_connection_is_kept_alive(emulator: Emulator) -> None:
    """Several requests, a refused one among them, share a connection."""
    ask: Any = (
        b"GET /_/settings HTTP/1.1\r\n\r\n"
        b"GET /nowhere HTTP/1.1\r\n\r\n"
        b"POST /_/devices HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b"
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    )
    body = orjson.dumps({"topic": TOPIC})
    with socket.create_connection(("127.0.0.1", emulator.port + 1), timeout=PATIENCE) as plain:
        plain.sendall(ask % (len(body), body))
        received = b"".join(iter(lambda: plain.recv(65_536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"404", b"201", b"200"]
