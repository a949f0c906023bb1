"""A till in a hundred lines: scan, quote, hold, purchase, return, and a network that may die.

    till = Till("https://cards.example.com/api/v1", key, "till-1")
    card = till.scan("9123 4567 8901 2342")["card"]["id"]
    sold = till.sell("4711", card, [{"item": "tea", "sum": rub(25000)}], points=100)
    print(sold["receipt"]["text"])

It needs nothing but Python. What is sent is on disk before it is sent, so a till that loses its
network or its power sends the rest when it is back: `Till.send_what_is_left`.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RETRIED = (429, 502, 503, 504)
Json = dict[str, Any]


def rub(kopecks: int) -> Json:
    """A sum of money as the interface writes it."""
    return {"amount": kopecks, "currency": "RUB"}


class Refused(Exception):
    """The service answered no: `code` says why, and sending it again will not help."""

    def __init__(self, problem: Json) -> None:
        super().__init__(problem["detail"])
        self.code, self.problem = problem["code"], problem


class Offline(Exception):
    """There was no answer: nobody knows whether it arrived. The same again, later."""


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
        """Write down what is sent; cross it out when there is an answer, whichever it is."""
        note = self.queue / f"{time.time_ns()}-{key}.json"
        note.write_text(json.dumps({"path": path, "body": body, "key": key}), encoding="utf-8")
        try:
            answer = self.call(path, body, key)
        except Refused:
            note.unlink()
            raise
        note.unlink()
        return answer

    def send_what_is_left(self) -> int:
        """Send what had no answer, oldest first, with the same keys; how many arrived. What is
        refused is set aside (`.refused`) for people to look at, and does not hold up the rest."""
        sent = 0
        for note in sorted(self.queue.glob("*.json")):
            left = json.loads(note.read_text(encoding="utf-8"))
            try:
                self.call(left["path"], left["body"], left["key"])
            except Refused:
                note.rename(note.with_suffix(".refused"))
                continue
            note.unlink()
            sent += 1
        return sent

    def call(self, path: str, body: Json, key: str | None = None) -> Json:
        """One call: the same request again until there is an answer."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = f"{self.name}-{key}"
        data = json.dumps(body).encode()
        for attempt in range(self.tries):
            request = urllib.request.Request(self.api + path, data, headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in RETRIED:
                        raise Refused(json.load(error)) from None
            except OSError:
                pass  # no answer: nobody knows
            self.wait(2.0**attempt)
        raise Offline(path)
