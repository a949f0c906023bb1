"""Somebody with a phone number and a browser: opens pages, sends forms, reads messages, calls."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin

import requests

from walletsvc.cli.demo.story.stage import PATIENCE_SECONDS, StoryError, expect

_LOOK_SECONDS: Final = 0.05
_CODE: Final = re.compile(r"\b\d{6}\b")
_SAFARI: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)


@dataclass
class Form:
    """Where a form goes, what is filled in already, and what may be ticked or pressed."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    offered: list[tuple[str, str]] = field(default_factory=list)

    def value(self, name: str) -> str:
        """What a box or a button of this name says; raises StoryError when there is none."""
        for offered, value in self.offered:
            if offered == name:
                return value
        raise StoryError(f"The form {self.action} has no '{name}'.")


class Page(HTMLParser):
    """A page as far as a visitor needs it: its forms, where its links lead, what the card says."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.url = answer.url
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.values: list[str] = []
        self._in_value = False
        self.feed(answer.text)

    def form(self, ending: str) -> Form:
        """The form that goes to an address whose path ends so; raises StoryError."""
        for form in self.forms:
            if form.action.partition("?")[0].endswith(ending):
                return form
        raise StoryError(f"{self.url} has no form to {ending}.")

    def link(self, pattern: str) -> str:
        """Where the first such link leads; raises StoryError."""
        for link in self.links:
            if re.search(pattern, link):
                return urljoin(self.url, link)
        raise StoryError(f"{self.url} has no link such as {pattern}.")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Forms, fields, links, values."""
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("input", "button") and name and self.forms:
            offered = tag == "button" or given.get("type") in ("checkbox", "radio")
            if offered and "checked" not in given:
                self.forms[-1].offered.append((name, value))
            else:
                self.forms[-1].fields[name] = value
        self._in_value = tag == "dd"

    def handle_data(self, data: str) -> None:
        """What stands in the card's fields."""
        if self._in_value and data.strip():
            self.values.append(data.strip())


class Visitor:
    """One browser and one phone, whose messages the emulator keeps."""

    def __init__(self, base_url: str, messages_url: str, language: str) -> None:
        self.number = f"+7900{secrets.randbelow(10**7):07d}"
        self._base_url, self._messages_url = base_url, messages_url
        self._browser = requests.Session()
        self._browser.headers.update({"User-Agent": _SAFARI, "Accept-Language": language})

    def close(self) -> None:
        """Put the phone away."""
        self._browser.close()

    def open(self, path: str) -> Page:
        """A page that must be there."""
        return self._page(self._browser.get(urljoin(self._base_url, path), timeout=10))

    def send(self, page: Page, form: Form, **typed: str | list[str]) -> Page:
        """Send a form; the page that it leads to."""
        address = urljoin(page.url, form.action)
        return self._page(self._browser.post(address, data={**form.fields, **typed}, timeout=10))

    def received(self, pattern: str = "", after: int = 0) -> list[dict[str, Any]]:
        """What came to this phone after so many messages of everybody's, oldest first."""
        entries = self.log(after)
        return [
            each
            for each in entries
            if each.get("to") == self.number and re.search(pattern, each["text"])
        ]

    def log(self, after: int = 0) -> list[dict[str, Any]]:
        """All that was sent to anybody, mail included."""
        answer = requests.get(f"{self._messages_url}/_/log", params={"after": after}, timeout=5)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def code(self) -> str:
        """The code of the newest message that has one, once it is there."""
        text = str(self.message(_CODE.pattern)["text"])
        return str(_CODE.findall(text)[0])

    def message(self, pattern: str, after: int = 0) -> dict[str, Any]:
        """The newest such message to this phone, once it is there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if found := self.received(pattern, after):
                return found[-1]
            time.sleep(_LOOK_SECONDS)
        raise StoryError("No message came to the phone.")

    def write(self, text: str) -> None:
        """Write an SMS to the shop."""
        self._phone("inbound", {"from": self.number, "text": text})

    def call(self, number: str) -> None:
        """Let it ring at this number."""
        self._phone("call", {"from": self.number, "to": number})

    def _phone(self, what: str, body: dict[str, str]) -> None:
        answer = requests.post(f"{self._messages_url}/_/{what}", json=body, timeout=10)
        status = answer.json().get("status", 0)
        expect(200 <= status < 300, f"The webhook for '{what}' answered {status}.")

    @staticmethod
    def _page(answer: requests.Response) -> Page:
        if not answer.ok:
            raise StoryError(f"{answer.url} answered {answer.status_code}.")
        return Page(answer)
