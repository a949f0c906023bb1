"""One phone with Google Wallet: takes cards from their pages, follows what Google says of them.

    with AndroidPhone() as phone:
        phone.add("http://127.0.0.1:8000/c/…")
        ...
        for seen in phone.look(wait=10):
            print(seen.changes, seen.announced)

All such phones belong to one Google account. What is announced, and in which words, is Google's
affair: the phone tells what the emulator's log says would have buzzed.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests

from walletsvc.core.clock import utcnow
from walletsvc.core.closing import Closing
from walletsvc.emulators.android import card as cards
from walletsvc.emulators.android import pages
from walletsvc.emulators.android.browser import Browser
from walletsvc.emulators.android.card import Card
from walletsvc.emulators.phone.errors import (
    PackageRefused,
    ProtocolViolation,
    TimedOut,
    Unreachable,
)
from walletsvc.emulators.phone.events import Change, Event, Kind, Report, silent

_POLL_SECONDS: Final = 25.0
_TRIES: Final = 3
_LONGEST_PAUSE: Final = 15.0
_API: Final = "/walletobjects/"


@dataclass(frozen=True)
class Seen:
    """Something about a card: what it says now, what differs, messages that came in, and what
    the lock screen announced. `at` is in seconds of the events' clock."""

    card: Card
    changes: tuple[Change, ...]
    messages: tuple[str, ...]
    announced: tuple[str, ...]
    at: float


@dataclass
class _Held:
    card: Card
    page: str  # Google's


class AndroidPhone(Closing):
    """A device; for one thread. `language` decides pages and texts."""

    def __init__(
        self,
        *,
        language: str = "ru",
        report: Report = silent,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.device = secrets.token_hex(16)
        self.language = language
        self._held: dict[str, _Held] = {}
        self._report = report
        self._timer = timer
        self._sleep = sleep
        self._browser = Browser(language)
        self._control = ""
        self._asked = 0  # the newest line of the emulator's log that was looked at
        self._buzzed = 0
        self._ready: deque[Seen] = deque()

    def close(self) -> None:
        """Hang up; cards stay in the wallet."""
        self._browser.close()

    @property
    def cards(self) -> dict[str, Card]:
        """What is in the wallet, by object id, as it was seen last."""
        return {object_id: held.card for object_id, held in self._held.items()}

    def add(self, page_url: str) -> Card:
        """Open a card's page, press Google's button, and add what Google's page shows: cards that
        Google has, named by their ids.

        Raises ProtocolViolation when there is no such button or no page behind it, PackageRefused
        when Google does not take the card, Unreachable.
        """
        address = self._press(page_url)
        self._watch(address)
        page = self._google_page(self._browser.get(address))
        # As it stands there: what changes while the button is pressed is news already.
        shown = {object_id: self._fetch(object_id) for object_id in page.objects}
        if page.button is not None and page.button[1] == "add":
            page = self._google_page(self._browser.post(address, dict([page.button])))
        if not page.objects or page.button is None or page.button[1] != "remove":
            raise ProtocolViolation("Google's page does not say that the card is in the wallet")
        for object_id in page.objects:
            self._held[object_id] = _Held(shown[object_id], address)
            self._tell(Kind.SAVED, serial=object_id, says=shown[object_id].says)
        return shown[page.objects[0]]

    def look(self, wait: float = 0.0) -> list[Seen]:
        """What is new about the cards; waits up to `wait` seconds for the first news."""
        deadline = self._timer() + wait
        while True:
            left = deadline - self._timer()
            if found := self._poll(max(0.0, min(left, _POLL_SECONDS))):
                return found
            if left <= 0:
                return []

    def wait_for_update(self, timeout: float) -> Seen:
        """Wait for news of one card; `timeout` in seconds. Raises TimedOut."""
        if not self._ready:
            self._ready.extend(self.look(timeout))
        if not self._ready:
            raise TimedOut(f"Google said nothing new within {timeout:g} s")
        return self._ready.popleft()

    def remove(self, object_id: str) -> None:
        """Take a card out of the wallet."""
        held = self._held.pop(object_id)
        page = self._google_page(self._browser.post(held.page, {"action": "remove"}))
        if page.button is None or page.button[1] != "add":
            raise ProtocolViolation("Google's page does not say that the card was removed")
        self._tell(Kind.REMOVED, serial=object_id)

    def remove_all(self) -> None:
        """Take every card out of the wallet."""
        for object_id in list(self._held):
            self.remove(object_id)

    def _press(self, page_url: str) -> str:
        """Where the button of the card's page leads; the service may ask for a little time."""
        answer = self._browser.get(page_url)
        if answer.status_code != 200:
            raise ProtocolViolation(f"The card's page answered {answer.status_code}")
        self._tell(Kind.OPENED, url=page_url)
        found = [link for link in pages.read(answer.text).links if "Google" in link[0]]
        if not found:
            raise ProtocolViolation("The card's page offers no way into Google Wallet")
        words, href = found[0]
        for _ in range(_TRIES):
            self._tell(Kind.PRESSED, text=words)
            answer = self._browser.get(urljoin(answer.url, href), follow=False)
            if answer.status_code in (302, 303):
                return urljoin(answer.url, answer.headers["Location"])
            if answer.status_code != 503:
                raise ProtocolViolation(f"The button's address answered {answer.status_code}")
            self._pause(answer)
        raise Unreachable(f"The button led nowhere {_TRIES} times: Google has no such card yet")

    def _pause(self, answer: requests.Response) -> None:
        asked = answer.headers.get("Retry-After", "")
        seconds = min(float(asked), _LONGEST_PAUSE) if asked.isdigit() else 1.0
        self._tell(Kind.RETRYING, reason="the service asks for a little time", seconds=seconds)
        self._sleep(seconds)

    def _google_page(self, answer: requests.Response) -> pages.Page:
        page = pages.read(answer.text)
        if answer.status_code != 200:
            raise PackageRefused(page.alert or f"Google's page answered {answer.status_code}")
        return page

    def _watch(self, address: str) -> None:
        """From the first card on, what Google is told is news."""
        if self._control:
            return
        parts = urlsplit(address)
        self._control = f"{parts.scheme}://{parts.netloc}/_"
        self._asked = int(self._browser.data(f"{self._control}/state")["requests"])
        for buzz in self._browser.data(f"{self._control}/buzzes"):
            self._buzzed = int(buzz["seq"])

    def _poll(self, wait: float) -> list[Seen]:
        if not self._control:
            return []
        entries = self._browser.data(f"{self._control}/log", wait=wait, after=self._asked)
        if not entries:
            return []
        self._asked = int(entries[-1]["seq"])
        writes = [each for each in entries if _is_write(each)]
        return self._news(self._moment(writes[-1]["at"])) if writes else []

    def _moment(self, at: str) -> float:
        """A moment of the emulator's log on the clock of our events."""
        age = (utcnow() - datetime.fromisoformat(at)).total_seconds()
        return self._timer() - max(0.0, age)

    def _news(self, at: float) -> list[Seen]:
        announced = self._announcements()
        found = []
        for object_id, held in self._held.items():
            before, after = held.card, self._fetch(object_id)
            held.card = after
            messages = tuple(
                text for key, text in after.messages.items() if key not in before.messages
            )
            told = tuple(_announcement(each, after) for each in announced.get(object_id, ()))
            changes = after.changes_since(before)
            if changes or messages or told:
                found.append(Seen(after, changes, messages, told, at))
        for seen in found:
            self._describe(seen)
        return found

    def _announcements(self) -> dict[str, list[dict[str, Any]]]:
        news: dict[str, list[dict[str, Any]]] = {}
        for buzz in self._browser.data(f"{self._control}/buzzes", after=self._buzzed):
            self._buzzed = int(buzz["seq"])
            if not buzz.get("suppressed"):
                news.setdefault(str(buzz["objectId"]), []).append(buzz)
        return news

    def _describe(self, seen: Seen) -> None:
        serial = seen.card.object_id
        if seen.changes:
            changes = {each.key: [each.shown_before, each.shown_after] for each in seen.changes}
            self._tell(Kind.UPDATED, seen.at, serial=serial, changes=changes)
        for text in seen.messages:
            self._tell(Kind.NOTICE, seen.at, serial=serial, text=text)
        for text in seen.announced:
            self._tell(Kind.ANNOUNCED, seen.at, serial=serial, text=text)

    def _fetch(self, object_id: str) -> Card:
        body = self._browser.data(f"{self._control}/objects/{object_id}")
        return cards.read(body, self.language)

    def _tell(self, kind: Kind, at: float | None = None, **details: Any) -> None:
        moment = self._timer() if at is None else at
        self._report(Event(kind, moment, self.device, details))


def _is_write(entry: dict[str, Any]) -> bool:
    """Whether a call may have changed something: also one that was applied and then failed."""
    return entry["method"] != "GET" and str(entry["path"]).startswith(_API)


def _announcement(buzz: dict[str, Any], card: Card) -> str:
    """What Google announces: a change in words of its own, or that there is a message."""
    if str(buzz["kind"]).endswith("MESSAGE"):
        return f"a message: {buzz.get('header') or buzz.get('text')}"
    told = []
    for field, value in buzz["fields"].items():
        name = field.partition(".")[0]
        line = card.lines.get(name)
        shown = cards.balance(value)[1] if isinstance(value, dict) else str(value)
        told.append(f"{(line and line.label) or name}: {shown}")
    return ", ".join(told)
