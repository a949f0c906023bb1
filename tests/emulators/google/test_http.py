"""The emulator as a server: odd requests, many clients at once, an end that waits for nobody."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tests.emulators.google.client import Client, accepted
from walletsvc.emulators.google import GoogleEmulator


def talk(emulator: GoogleEmulator, data: bytes) -> bytes:
    """Send these bytes, and read until the emulator closes the connection."""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/2\r\n\r\n", b"400"),
        (b"POST /token HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /token HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"413"),
        (b"POST /token HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200"),
        (b"GET http://127.0.0.1/_/state HTTP/1.1\r\nConnection: close\r\n\r\n", b"200"),
        (b"DELETE /token HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
    ],
)
def test_odd_requests(emulator: GoogleEmulator, data: bytes, status: bytes) -> None:
    """An answer to what can be understood, a refusal to the rest."""
    assert talk(emulator, data).split()[1] == status


def test_nothing_is_answered_to_half_a_request(emulator: GoogleEmulator) -> None:
    """The client left."""
    assert talk(emulator, b"") == b""
    assert talk(emulator, b"GET / HTTP/1.1\r\n") == b""
    assert talk(emulator, b"POST /token HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf") == b""


def test_connections_are_kept(emulator: GoogleEmulator) -> None:
    """Several requests on one; a body that waits for its 100 is asked for."""
    one = b"GET /gp/m/issuer/keys HTTP/1.1\r\n\r\n"
    assert talk(emulator, one * 3).count(b"HTTP/1.1 200") == 3
    waits = b"POST /token HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"
    answer = talk(emulator, waits)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 ")


def test_many_clients_at_once(shop: Client) -> None:
    """No change is lost, and none is half done."""
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with Client(shop.emulator, shop.key) as client:
                object_id = f"{shop.issuer}.{name}"
                client.insert("loyaltyObject", client.loyalty_object(id=object_id))
                for number in range(10):
                    answer = accepted(client.patch({"accountName": str(number)}, object_id))
                    assert answer["accountName"] == str(number)
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert shop.control("GET", "state")["loyaltyObject"] == 7


def test_the_end_waits_for_nobody(private_key: str) -> None:
    """Neither idle connections, nor a long poll, nor an answer that hangs."""
    emulator = GoogleEmulator()
    client = Client(emulator, emulator.account(private_key=private_key))
    client.call("GET", "issuer")
    emulator.arm("hang_before", resource="keys")
    paths = (f"/_/log?wait=60&after={emulator.journal.last + 9}", "/gp/m/issuer/keys")
    waiting = []
    for path in paths:
        connection = socket.create_connection(("127.0.0.1", emulator.port), timeout=10)
        connection.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        waiting.append(connection)
    deadline = time.monotonic() + 10
    while emulator.faults.as_json():
        assert time.monotonic() < deadline
    emulator.close()
    assert time.monotonic() < deadline
    for connection in waiting:
        connection.close()
    with client:
        pass
