"""What the scenes are played with: tills that call REST, phones, and a clock."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import click
import requests

from walletsvc.app import Installation
from walletsvc.cli.demo.shop import Keys, Shop
from walletsvc.core.errors import WalletsvcError
from walletsvc.emulators.android import AndroidPhone
from walletsvc.emulators.google.budget import ALLOWANCE
from walletsvc.emulators.phone import Phone, Update

PATIENCE_SECONDS: Final = 15.0
# Where Google's card shows what a template's field shows.
_LINES: Final = {"points": "loyaltyPoints", "balance": "balance"}


class StoryError(WalletsvcError):
    """A step of the story did not hold."""

    code = "story"
    title = "The demo does not work"


@dataclass(frozen=True)
class Till:
    """Whoever calls REST with one key."""

    base_url: str
    key: str

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call that must succeed."""
        return self._good("POST", path, self._call("POST", path, json=body))

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call that replaces something and must succeed."""
        return self._good("PUT", path, self._call("PUT", path, json=body))

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """A reading call that must succeed."""
        return self._good("GET", path, self._call("GET", path, params=query))

    def refused(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call that must not succeed: the problem it was answered with."""
        answer = self._call("POST", path, json=body)
        if answer.ok:
            raise StoryError(f"POST {path} succeeded, although it must not.")
        problem: dict[str, Any] = answer.json()
        return problem

    def _call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        if method == "POST":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        return requests.request(
            method, f"{self.base_url}/api/v1{path}", headers=headers, timeout=10, **more
        )

    @staticmethod
    def _good(method: str, path: str, answer: requests.Response) -> dict[str, Any]:
        if not answer.ok:
            raise StoryError(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        body: dict[str, Any] = answer.json()
        return body


@dataclass(frozen=True)
class Tills:
    """Who calls: the chain's office, a till in each of two branches, the hotel's restaurant."""

    office: Till
    first: Till
    second: Till
    hotel: Till

    @classmethod
    def of(cls, base_url: str, keys: Keys) -> Self:
        """With these keys."""
        secret = (keys.chain, keys.first_till, keys.second_till, keys.hotel)
        return cls(*(Till(base_url, each) for each in secret))


@dataclass
class Stage:
    """What the story is played with: `hers` is Vera's phone, `his` her husband's, and `android`
    another one of hers. `told` counts what Android announced, by object id."""

    installation: Installation
    shop: Shop
    tills: Tills
    hers: Phone
    his: Phone
    android: AndroidPhone
    told: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line with the time since the story began."""
        click.echo(f"  {time.monotonic() - self.started:7.2f} s  {text}")

    def show(self, lines: Iterable[str]) -> None:
        """A piece of a report, under the line that announced it."""
        for line in lines:
            click.echo(f"{'':15}{line}".rstrip())

    def wait(self, phone: Phone, key: str, expected: float, *, passes: int = 1) -> Update:
        """Until so many passes of the phone were updated, each with `expected` in field `key`.

        The last update is returned.
        """
        for _ in range(passes):
            update = phone.wait_for_update(PATIENCE_SECONDS)
            value = update.after.values[key]
            if value != expected:
                raise StoryError(f"The phone has {value!r} in '{key}', not {expected!r}.")
        return update

    def follow(
        self,
        what: str,
        call: tuple[Till, str, dict[str, Any]],
        key: str,
        expected: float,
        *,
        passes: int = 1,
        google: str | None = None,
    ) -> dict[str, Any]:
        """Make a call that Vera's phone must follow, and her Android phone the object `google`;
        say how long everything took."""
        till, path, body = call
        sent = time.monotonic()
        answer = till.post(path, body)
        answered = time.monotonic()
        update = self.wait(self.hers, key, expected, passes=passes)
        pushed = "" if update.pushed_at is None else f"push after {ms(update.pushed_at - sent)}, "
        message = update.messages[0] if update.messages else "no message"
        self.say(
            f"{what}: answered in {ms(answered - sent)}, {pushed}"
            f"on the phone after {ms(update.installed_at - sent)}: “{message}”"
        )
        if google is not None:
            self.show([self._on_android(google, _LINES[key], expected, sent)])
        return answer

    def _on_android(self, object_id: str, line: str, expected: float, sent: float) -> str:
        """Wait until Google's copy says it too and, while the allowance of a day lasts, was
        announced for it just once; how it went, in words."""
        before = self.told[object_id]
        due = min(before + 1, ALLOWANCE)
        deadline = sent + PATIENCE_SECONDS
        at = None
        while True:
            shown = self.android.cards[object_id].lines[line]
            if shown.value == expected and self.told[object_id] >= due:
                break
            found = self.android.look(deadline - time.monotonic())
            expect(bool(found), f"Android shows {shown.shown}, announced {self.told[object_id]}.")
            for seen in found:
                self.told[seen.card.object_id] += len(seen.announced)
                at = seen.at if at is None and seen.card.object_id == object_id else at
        told = self.told[object_id]
        expect(told == due, f"Android announced {told - before} times, not {due - before}.")
        how = f"announced ({told} of {ALLOWANCE} a day)" if told > before else "silently"
        return f"in Google Wallet after {ms((at or time.monotonic()) - sent)}, {how}"

    def day(self, days: int) -> date:
        """The day so many days from now, where the programme is."""
        here = self.installation.clock().astimezone(ZoneInfo(self.shop.loyalty.time_zone))
        return (here + timedelta(days=days)).date()

    def last_day(self, ends: str | None) -> str:
        """The last day of what ends at this moment, where the programme is."""
        if ends is None:
            return "without end"
        last = datetime.fromisoformat(ends) - timedelta(microseconds=1)
        return f"{last.astimezone(ZoneInfo(self.shop.loyalty.time_zone)):%Y-%m-%d}"


def expect(holds: bool, what: str) -> None:
    """Raises StoryError saying what does not hold."""
    if not holds:
        raise StoryError(what)


def ms(seconds: float) -> str:
    """A time for people."""
    return f"{seconds * 1000:.0f} ms"
