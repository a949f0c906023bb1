"""The till of the manual loses no sale, whatever answers in place of the service."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_pos_manual import LINES, reference_till

MODULE: Any = reference_till()
PROBLEM = "application/problem+json"
SOLD = {"external_id": "1"}


def answered(
    status: int, body: object = None, kind: str = "application/json", length: int | None = None
) -> bytes:
    """An answer as it goes over the wire; `length` is what it says of its body."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {length or len(raw)}\r\n\r\n".encode() + raw


def problem(status: int, code: str, **more: object) -> bytes:
    """A problem as the service writes it."""
    return answered(status, {"code": code, "detail": code, **more}, PROBLEM)


@pytest.fixture
def wire() -> Iterator[tuple[str, list[bytes]]]:
    """An address, and what it answers in turn; the last of it again and again."""
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as asked:
                    length = 0
                    while (line := asked.readline().strip().lower()) != b"":
                        if line.startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    asked.read(length)
                    connection.sendall(answers.pop(0) if len(answers) > 1 else answers[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", answers
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def till(wire: tuple[str, list[bytes]], tmp_path: Path) -> Any:
    """The till, which talks to that address and does not wait."""
    return MODULE.Till(wire[0], "key", "till-1", tmp_path / "queue", wait=lambda _: None)


PAGE = b"<html>Sign in</html>"
UNKNOWN = {
    "cut off": answered(201, SOLD, length=500),
    "a problem cut off": answered(422, {"code": "refused"}, PROBLEM, length=500),
    "nothing": b"",
    "no HTTP": b"SSH-2.0-x\r\n",
    "a page": answered(200, PAGE, "text/html"),
    "half of the JSON": answered(201, b'{"external_id": '),
    "no text": answered(201, b'"\xff"'),
    "a list": answered(201, []),
    "about something else": answered(200, {"items": []}),
    "500": problem(500, "error"),
    "500 with a page": answered(500, PAGE, "text/html"),
    "503": problem(503, "unavailable"),
    "404 with a page": answered(404, PAGE, "text/html"),
    "403 with a page": answered(403, PAGE, "text/html"),
    "422 of somebody else": answered(422, {"code": "refused", "detail": "no"}),
    "a problem that is no object": answered(422, ["refused"], PROBLEM),
    "a problem without a code": answered(422, {"detail": "no"}, PROBLEM),
    "a problem that is a page": answered(422, PAGE, PROBLEM),
    "408": problem(408, "request_timeout"),
    "425": problem(425, "http_425"),
    "429": problem(429, "too_many_tries"),
    "a conflict of the moment": problem(409, "conflict"),
}
STOPPED = {
    "a revoked key": problem(401, "unauthenticated"),
    "a scope": problem(403, "forbidden", scope="sales:write"),
    "another address": problem(404, "not_found"),
    "another method": problem(405, "method_not_allowed"),
    "a header that was lost": problem(400, "idempotency_key_required"),
    "HTTP that was garbled": problem(400, "bad_request"),
}
FINAL = {
    "a field": problem(400, "invalid_input"),
    "too large": problem(413, "too_large"),
    "another sale": problem(409, "conflict", differs=["total"]),
    "another key": problem(409, "idempotency_mismatch"),
    "a hold": problem(409, "hold_closed"),
    "points": problem(422, "insufficient_funds", available=1),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_no_answer_keeps_the_sale(wire: Any, till: Any, kind: str) -> None:
    """It is Offline, whichever way it is broken, and goes through later; so with the queue."""
    answers = wire[1]
    answers.append(UNKNOWN[kind])
    with pytest.raises(MODULE.Offline, match="/purchases: "):
        till.sell("1", "card", LINES)
    with pytest.raises(MODULE.Offline, match="/purchases: "):
        till.send_what_is_left()
    assert [note.suffix for note in till.queue.iterdir()] == [".json"]
    answers[:] = [answered(201, SOLD)]
    assert till.send_what_is_left() == 1
    assert list(till.queue.iterdir()) == []


@pytest.mark.parametrize("kind", STOPPED)
def test_what_the_operator_must_mend_keeps_the_sale(wire: Any, till: Any, kind: str) -> None:
    """It is said at once, and nothing is crossed out or set aside."""
    answers = wire[1]
    answers[:] = [STOPPED[kind], answered(201, SOLD)]
    with pytest.raises(MODULE.OperatorNeeded, match="/purchases: "):
        till.sell("1", "card", LINES)
    answers[:] = [STOPPED[kind], answered(201, SOLD)]
    with pytest.raises(MODULE.OperatorNeeded):
        till.send_what_is_left()
    assert [note.suffix for note in till.queue.iterdir()] == [".json"]
    assert till.send_what_is_left() == 1


@pytest.mark.parametrize("kind", FINAL)
def test_a_refusal_crosses_the_sale_out(wire: Any, till: Any, kind: str) -> None:
    """Once, without another try; from the queue it is set aside."""
    answers = wire[1]
    answers[:] = [FINAL[kind], answered(500)]
    with pytest.raises(MODULE.Refused):
        till.sell("1", "card", LINES)
    assert list(till.queue.iterdir()) == []
    with pytest.raises(MODULE.Offline):
        till.sell("1", "card", LINES)
    answers[:] = [FINAL[kind], answered(500)]
    assert till.send_what_is_left() == 0
    assert [note.suffix for note in till.queue.iterdir()] == [".refused"]


def test_an_answer_after_a_broken_one_counts(wire: Any, till: Any) -> None:
    """The next try of the same call finds what the first one did."""
    wire[1][:] = [UNKNOWN["cut off"], UNKNOWN["500"], answered(201, SOLD)]
    assert till.sell("1", "card", LINES) == SOLD
    assert list(till.queue.iterdir()) == []


def test_a_sale_that_meets_an_error_does_not_hold_up_the_rest(wire: Any, till: Any) -> None:
    """It stays and is told of; those behind it are sent."""
    answers = wire[1]
    answers.append(UNKNOWN["500"])
    for number in "12":
        with pytest.raises(MODULE.Offline):
            till.sell(number, "card", LINES)
    answers[:] = [UNKNOWN["500"]] * till.tries + [answered(201, {"external_id": "2"})]
    with pytest.raises(MODULE.Offline, match="500"):
        till.send_what_is_left()
    (left,) = till.queue.iterdir()
    assert left.name.endswith("-1-purchase.json")


def test_a_scan_of_nothing_is_refused(wire: Any, till: Any) -> None:
    """There 404 is an answer: no sale hangs on it, and the cashier is to know."""
    wire[1].append(problem(404, "not_found"))
    with pytest.raises(MODULE.Refused):
        till.scan("123")
