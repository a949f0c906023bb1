"""One declaration per call. It registers the route, validates the input and documents both."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session

from walletsvc.access.models import ApiKey
from walletsvc.access.rules import Scope
from walletsvc.core.actor import Actor
from walletsvc.core.errors import (
    Forbidden,
    IdempotencyKeyRequired,
    IdempotencyMismatch,
    InputError,
    LengthRequired,
    NotFound,
    TooLarge,
    TooManyTries,
    Unauthenticated,
    Unavailable,
    WalletsvcError,
    WrongContentType,
)
from walletsvc.storage.limits import Limit
from walletsvc.web.context import Deps
from walletsvc.web.requests import MAX_BODY


class KeyRule(enum.Enum):
    """Whether a call takes an Idempotency-Key."""

    NONE = enum.auto()
    OPTIONAL = enum.auto()
    REQUIRED = enum.auto()


@dataclass(frozen=True)
class Call:
    """One request, authenticated and valid, inside its transaction."""

    deps: Deps
    session: Session
    key: ApiKey
    now: datetime
    path: Mapping[str, str]
    body: Any
    query: Any

    @property
    def actor(self) -> Actor:
        """Who acts: the API key."""
        return Actor("api-key", self.key.public_id)


def require_scope(call: Call, scope: Scope) -> None:
    """Raises Forbidden: for what takes another scope than the call's own as well."""
    if scope not in call.key.scopes:
        raise Forbidden(f"The API key lacks the scope '{scope}'.", scope=str(scope))


Handler = Callable[[Call], BaseModel]
# Whose tries are counted, and how many there may be, when this key calls with this path.
Limits = Callable[[ApiKey, Mapping[str, str]], Sequence[tuple[Limit, str]]]


@dataclass(frozen=True)
class Operation:
    """A call of the REST interface. `path` is relative to /api/v1, parameters in braces.

    `problems` are the errors of its own; what every call of its form may answer is added.
    A body may have `most_bytes`. With `limits` a call that fails, unless it is malformed, counts
    against its key's tries. `keeps`: a GET that may have to write down first what it answers.
    `brief`: tills send it by the dozen, and it takes milliseconds.
    """

    id: str
    method: str
    path: str
    tag: str
    scope: Scope
    summary: str
    description: str
    handler: Handler
    answer: type[BaseModel]
    answer_example: Mapping[str, Any]
    status: int = 200
    body: type[BaseModel] | None = None
    body_example: Mapping[str, Any] | None = None
    query: type[BaseModel] | None = None
    key: KeyRule = KeyRule.NONE
    problems: tuple[type[WalletsvcError], ...] = ()
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    limits: Limits | None = None
    keeps: bool = False
    brief: bool = False
    most_bytes: int = MAX_BODY

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"

    @property
    def has_dry_run(self) -> bool:
        """Whether it can be tried without writing."""
        return self.query is not None and "dry_run" in self.query.model_fields

    def all_problems(self) -> list[type[WalletsvcError]]:
        """Every error it may answer, each once, by status."""
        found: list[type[WalletsvcError]] = [Unauthenticated, Forbidden, Unavailable]
        if self.body or self.query or self.key is not KeyRule.NONE:
            found.append(InputError)
        if self.body:
            found += [TooLarge, LengthRequired, WrongContentType]
        elif self.writes:
            found.append(LengthRequired)
        if self.path_parameters:
            found.append(NotFound)
        if self.key is not KeyRule.NONE:
            found.append(IdempotencyMismatch)
        if self.key is KeyRule.REQUIRED:
            found.append(IdempotencyKeyRequired)
        if self.limits is not None:
            found.append(TooManyTries)
        found += self.problems
        return sorted(dict.fromkeys(found), key=lambda error: (error.status, error.code))
