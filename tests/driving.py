"""Drives services and a small model through one random history, with retries and crashes.

Every verb runs as the REST dispatch runs it: in one transaction with its idempotency key. Some are
cut off at one of their statements or at the commit and sent again, some are sent twice.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Generic, TypeVar

import pytest
from sqlmodel import Session

from tests.ledger.crashing import Crash, crashing
from tests.ledger.dice import HOW
from walletsvc.core.errors import WalletsvcError
from walletsvc.storage import idempotency
from walletsvc.storage.engine import Database

M = TypeVar("M")


class Refusal(Exception):
    """The model refuses; `error` is the name of the class that the service must raise."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


def refuse(wrong: bool, error: str) -> None:
    """Refuse when that is so."""
    if wrong:
        raise Refusal(error)


@dataclass
class Driver(Generic[M]):
    """One history. `stored` is all that the verbs may change, `told` what the model says of it."""

    database: Database
    now: datetime
    dice: Random
    model: M
    stored: Callable[[Session], Any]
    told: Callable[[M], Any]
    keys: int = 0
    refused: int = 0
    done: dict[str, int] = field(default_factory=dict)

    def act(self, verb: Callable[[Session], str], foretell: Callable[[M], Any]) -> Any:
        """Let the service do what the model foretells, and compare; None when both refuse.

        `verb` returns what the service answers, in text; the answer is what this returns.
        """
        self.keys += 1
        foretold = copy.deepcopy(self.model)
        before = self.read()
        how = HOW(self.dice)
        answer = None
        if how not in (None, "twice"):
            try:
                with crashing(self.database.engine, how):
                    answer = self.send(verb)
            except (Crash, WalletsvcError):
                assert self.read() == before, "a crash left something behind"
        error = None
        try:
            foretell(foretold)
        except Refusal as refusal:
            error = refusal.error
        if error is not None:
            with pytest.raises(WalletsvcError) as caught:
                self.send(verb)
            assert type(caught.value).__name__ == error, caught.value
            assert self.read() == before, "a refusal left something behind"
            self.refused += 1
            return None
        answer = answer or self.send(verb)
        self.model = foretold
        after = self.read()
        if how == "twice":
            assert self.send(verb) == answer
            assert self.read() == after, "the second request changed something"
        assert after == self.told(self.model)
        return answer

    def send(self, verb: Callable[[Session], str]) -> str:
        """As the REST dispatch does it."""
        print_ = idempotency.fingerprint(b"this")
        with self.database.write_tx() as session:
            kept = idempotency.begin(session, "till", str(self.keys), print_, self.now)
            if kept is not None:
                return kept.body.decode()
            body = verb(session)
            answer = idempotency.Answer(200, body.encode())
            idempotency.finish(session, "till", str(self.keys), answer)
            return body

    def read(self) -> Any:
        """What is stored now."""
        with self.database.read_tx() as session:
            return self.stored(session)
