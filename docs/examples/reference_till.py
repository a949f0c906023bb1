"""A small till: scan, quote, hold, purchase, return, and a network that may die.

    till = Till("https://cards.example.com/api/v1", key, "till-1")
    card = till.scan("9123 4567 8901 2342")["card"]["id"]
    sold = till.sell("4711", card, [{"item": "tea", "sum": rub(25000)}], points=100)
    print(sold["receipt"]["text"])

It needs nothing but Python. What is sent is on disk before it is sent, so a till that loses its
network or its power sends the rest when it is back: `Till.send_what_is_left`. It is crossed out
only when the service has recorded it or has said no to this very sale.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def rub(kopecks: int) -> Json:
    """A sum of money as the interface writes it."""
    return {"amount": kopecks, "currency": "RUB"}


class Refused(Exception):
    """The service said no to this very request: `code` says why, and sending it again will not
    help."""

    def __init__(self, problem: Json) -> None:
        super().__init__(problem.get("detail", problem["code"]))
        self.code, self.problem = problem["code"], problem


class OperatorNeeded(Exception):
    """The service takes nothing from this till: its key, its rights, its address or its program is
    wrong. What was written down stays, and goes through once that is mended."""


class Offline(Exception):
    """There was no answer of the service: nobody knows whether it arrived. The same again, later.
    `status` is what something answered all the same: an error, a page of a proxy."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Till:
    """One till. `tries` is how often a call is sent before the till says that it is offline."""

    def __init__(
        self,
        api: str,
        key: str,
        name: str,
        queue: Path = Path("till-queue"),
        tries: int = 4,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api, self.key, self.name = api, key, name
        self.queue, self.tries, self.wait = queue, tries, wait
        self.queue.mkdir(exist_ok=True)

    def scan(self, text: str) -> Json:
        """What was scanned."""
        return self.call("/scans", {"text": text})

    def quote(self, card: str, lines: list[Json], **more: Any) -> Json:
        """What a bill comes to, and how many points can pay."""
        return self.call("/quotes", {"card_id": card, "lines": lines, **more})

    def hold(self, number: str, card: str, points: int, **more: Any) -> str:
        """Reserve points while the bank card is being read."""
        body = {"card_id": card, "amount": points, "seconds": 900,
                "reason": f"Receipt {number}", **more}  # fmt: skip
        return str(self.call("/holds", body, f"{number}-hold")["hold"]["id"])

    def sell(self, number: str, card: str, lines: list[Json], **more: Any) -> Json:
        """Record a sale whose money was taken; raises Offline when it will be sent later."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"source": self.name, "external_id": number, "card_id": card, "lines": lines,
                "at": at, **more}  # fmt: skip
        return self.safely("/purchases", body, f"{number}-purchase")

    def give_back(self, number: str, receipt: str, reason: str, **what: Any) -> Json:
        """Take a return, of `lines` or an `amount`, or of everything that is left."""
        body = {"source": self.name, "external_id": number, "purchase_external_id": receipt,
                "reason": reason, **what}  # fmt: skip
        return self.safely("/refunds", body, f"{number}-refund")

    def safely(self, path: str, body: Json, key: str) -> Json:
        """Write down what is sent; cross it out when it is recorded or refused, and only then."""
        note = self.queue / f"{time.time_ns()}-{key}.json"
        note.write_text(json.dumps({"path": path, "body": body, "key": key}), encoding="utf-8")
        try:
            answer = self.report(path, body, key)
        except Refused:
            note.unlink()
            raise
        note.unlink()
        return answer

    def send_what_is_left(self) -> int:
        """Send what had no answer, oldest first, with the same keys; how many arrived. What is
        refused is set aside (`.refused`) for people to look at. One that meets an error does not
        hold up the rest: it stays, and so does the error, which is raised in the end."""
        sent, failed = 0, None
        for note in sorted(self.queue.glob("*.json")):
            left = json.loads(note.read_text(encoding="utf-8"))
            try:
                self.report(left["path"], left["body"], left["key"])
            except Refused:
                note.rename(note.with_suffix(".refused"))
                continue
            except Offline as error:
                if error.status is None:
                    raise  # the network is away: the rest would wait for nothing
                failed = failed or error
                continue
            note.unlink()
            sent += 1
        if failed is not None:
            raise failed
        return sent

    def report(self, path: str, body: Json, key: str) -> Json:
        """Send what is written down; whoever gets an answer, or Refused, may cross it out."""
        try:
            answer = self.call(path, body, key)
        except Refused as no:
            if no.code == "not_found":  # is never said of a sale: the till's address is wrong
                raise OperatorNeeded(f"{path}: {no}") from None
            raise
        if answer.get("external_id") != body["external_id"]:
            raise Offline(f"{path}: the answer is not about {body['external_id']}", 200)
        return answer

    def call(self, path: str, body: Json, key: str | None = None) -> Json:
        """One call: the same request again until there is an answer of the service."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = f"{self.name}-{key}"
        request = urllib.request.Request(self.api + path, json.dumps(body).encode(), headers)
        status: int | None = None
        why = ""
        for attempt in range(self.tries):
            try:
                status, answer = exchange(request)
            except urllib.error.HTTPError as error:
                status, why = error.code, f"{error.code} is no answer of the service"
            except (OSError, HTTPException, ValueError) as error:
                # No answer, half of one, or no JSON: nobody knows.
                status, why = None, repr(error)
            else:
                if status < 300:
                    return answer
                if says_no(status, answer):
                    raise Refused(answer)
                if not may_pass(status, answer):
                    raise OperatorNeeded(f"{path}: {answer.get('detail', status)}")
                why = f"{status} {answer['code']}"
            self.wait(2.0**attempt)
        raise Offline(f"{path}: {why}", status)


def exchange(request: urllib.request.Request) -> tuple[int, Json]:
    """What the service answers: a success, or a problem with its code. HTTPError is an error that
    somebody else answers (a proxy, another server)."""
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            read = json.load(answer)
            if not isinstance(read, dict):
                raise HTTPException(f"{request.full_url} answers something else")
            return answer.status, read
    except urllib.error.HTTPError as error:
        with error:
            if error.headers.get_content_type() != "application/problem+json":
                raise
            problem = json.load(error)
            if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
                raise
            return error.code, problem


def says_no(status: int, problem: Json) -> bool:
    """Whether this is about what was sent and will be the same the next time. A refused key (401,
    403) is not: with a new one it goes through. Nor is a conflict of the moment; one that lasts
    has a code of its own, or says what `differs` from what is recorded under the same number."""
    code = problem["code"]
    if code == "conflict":
        return "differs" in problem
    return status in (404, 409, 422) or code in ("invalid_input", "too_large")


def may_pass(status: int, problem: Json) -> bool:
    """Whether waiting may help."""
    return status >= 500 or status in (408, 425, 429) or problem["code"] == "conflict"
