"""Asking Google what it holds: in the bulk lane's turn, again when it does not answer.

Nothing is changed by asking, so whatever is not answered is asked again. What concerns everything
ends the comparison: the sender, not this, stops an issuer and tries it again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from walletsvc.core.clock import Clock
from walletsvc.google.answers import Action, action, backoff, explain
from walletsvc.google.client import Answer, ApiRequest, GoogleClient, class_path, object_path
from walletsvc.google.limiter import Limiter
from walletsvc.google.models import Kind
from walletsvc.google.reconciling.comparing import FIELDS
from walletsvc.jobs.changes import Lane

PAGE: Final = 200
TRIES: Final = 6
_FIRST: Final = timedelta(milliseconds=250)
_LONGEST: Final = timedelta(minutes=1)
_NAP: Final = 0.5
_MISSING: Final = frozenset({Action.INSERT, Action.CREATE_CLASS})
_AGAIN: Final = frozenset({Action.RETRY, Action.UNKNOWN})


class Halted(Exception):
    """The comparison cannot go on; the text says why."""


@dataclass
class Asker:
    """Asks for one issuer (`pass_type_id`). `stopped` is looked at whenever it waits, `patience`
    is how many seconds it waits for a turn while others need all there are."""

    client: GoogleClient
    limiter: Limiter
    pass_type_id: int
    clock: Clock
    stopped: Callable[[], bool] = lambda: False
    patience: float = 600.0
    rng: random.Random = field(default_factory=random.Random)

    def look_at_class(self, kind: Kind, class_id: str) -> dict[str, Any] | None:
        """A class as Google has it; None when it has none."""
        answer = self._ask([ApiRequest("GET", class_path(kind, class_id))])[0]
        return _body(answer)

    def pages(self, kind: Kind, class_id: str) -> Iterator[list[dict[str, Any]]]:
        """All objects of a class, in pieces; none when Google does not have the class."""
        wanted = f"pagination(nextPageToken),resources({_mask(kind)})"
        token: str | None = None
        while True:
            query = {"classId": class_id, "maxResults": PAGE, "fields": wanted}
            if token is not None:
                query["token"] = token
            path = f"{object_path(kind)}?{urlencode(query)}"
            body = _body(self._ask([ApiRequest("GET", path)])[0])
            if body is None:
                return
            yield body.get("resources") or []
            following = (body.get("pagination") or {}).get("nextPageToken")
            if not following:
                return
            if following == token:
                raise Halted("Google's list of objects does not go on: its pages repeat.")
            token = following

    def look_at(self, named: Sequence[tuple[Kind, str]]) -> list[dict[str, Any] | None]:
        """Objects as Google has them at this moment, in order; None for those it has not."""
        found: list[dict[str, Any] | None] = []
        for first in range(0, len(named), self.limiter.most):
            piece = named[first : first + self.limiter.most]
            calls = [
                ApiRequest("GET", f"{object_path(kind, name)}?fields={_mask(kind)}")
                for kind, name in piece
            ]
            found += [_body(answer) for answer in self._ask(calls)]
        return found

    def _ask(self, calls: Sequence[ApiRequest]) -> list[Answer]:
        """The answers, in order: what was asked for, or that there is no such thing."""
        answers: dict[int, Answer] = {}
        left = list(range(len(calls)))
        for tries in range(1, TRIES + 1):
            self._turn(len(left))
            came = self.client.batch([calls[n] for n in left], self._granted)
            answers.update(zip(left, came, strict=True))
            left = [n for n in left if action(answers[n]) in _AGAIN]
            refused = [each for each in came if action(each) in (Action.STOP, Action.OURS)]
            if refused:
                raise Halted(explain(refused[0]))
            if not left:
                return [answers[n] for n in range(len(calls))]
            if tries < TRIES:
                pause = backoff(tries, self.rng, first=_FIRST, longest=_LONGEST)
                self._sleep(pause.total_seconds())
        raise Halted(explain(answers[left[0]]))

    def _granted(self, count: int) -> bool:
        """Wait for a turn for those that are asked once more."""
        self._turn(count)
        return True

    def _turn(self, count: int) -> None:
        """Wait for a turn of the bulk lane."""
        deadline = time.monotonic() + self.patience
        while True:
            turn = self.limiter.take(self.pass_type_id, count, Lane.BULK, now=self.clock())
            self._sleep(turn.seconds if turn.granted else min(turn.seconds, _NAP))
            if turn.granted:
                return
            if time.monotonic() > deadline:
                raise Halted("What is due at Google leaves no room: see `walletsvc google status`.")

    def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond being told to stop."""
        deadline = time.monotonic() + seconds
        while True:
            if self.stopped():
                raise Halted("It was told to stop.")
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _NAP))


def _body(answer: Answer) -> dict[str, Any] | None:
    return None if action(answer) in _MISSING else answer.body or {}


def _mask(kind: Kind) -> str:
    return ",".join(("id", "hasUsers", "messages(id)", *FIELDS[kind]))
