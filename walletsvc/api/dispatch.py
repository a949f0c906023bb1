"""From a request to its answer: who asks, may they, is it valid, was it asked before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from pydantic import BaseModel, ValidationError
from sqlmodel import Session
from werkzeug import Request

from walletsvc.access.admission import Once, admit
from walletsvc.access.models import ApiKey
from walletsvc.access.service import find_key
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.core.errors import (
    FieldError,
    Forbidden,
    IdempotencyKeyRequired,
    InputError,
    Unauthenticated,
    WalletsvcError,
)
from walletsvc.storage import idempotency, limits
from walletsvc.storage.idempotency import Answer
from walletsvc.web import json_body
from walletsvc.web.context import Deps
from walletsvc.web.requests import parse_json

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
# A longer body costs more to check than it takes to look at the API key first.
_READ_FOR_ANYBODY: Final = 16 * 1024
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]+)")


@dataclass(frozen=True)
class Done:
    """What was answered, and whether it had been answered before."""

    answer: Answer
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    query: BaseModel | None
    body: BaseModel | None
    dry_run: bool
    once: Once | None = None


class _Tried(Exception):
    """A dry run came to its end: carries the answer past the transaction, undoing it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Asking:
    """A request for an operation, read whole: a slow client holds no connection."""

    deps: Deps
    operation: Operation
    request: Request
    path: Mapping[str, str]
    raw: bytes
    now: datetime


def respond(deps: Deps, operation: Operation, request: Request, path: Mapping[str, str]) -> Done:
    """Do what the operation says, in one transaction."""
    raw = request.get_data(cache=True)
    asking = _Asking(deps, operation, request, path, raw, deps.clock())
    tries = _count_try(asking)
    writes = operation.writes or operation.keeps
    open_tx = deps.database.write_tx if writes else deps.database.read_tx
    try:
        with open_tx() as session:
            done = _answer(asking, session)
    except _Tried as tried:
        done = Done(tried.answer)
    limits.give_back(deps.database, tries, asking.now)
    return done


def _count_try(asking: _Asking) -> Sequence[tuple[limits.Limit, str]]:
    """Count the try of a limited call before it is made, in transactions that end first: a
    crowd that waits for a second connection while it holds one would never go on.

    What is malformed is not a try: it is refused here, before it counts.
    """
    limited = asking.operation.limits
    if limited is None:
        return ()
    with asking.deps.database.read_tx() as session:
        wanted = limited(_authenticate(session, asking), asking.path)
    _query(asking)
    _idempotency_key(asking)
    _body(asking)
    limits.take(asking.deps.database, wanted, asking.now)
    return wanted


def _answer(asking: _Asking, session: Session) -> Done:
    operation, now = asking.operation, asking.now
    secret = _secret(asking.request)
    if len(asking.raw) > _READ_FOR_ANYBODY:
        _authenticate(session, asking)
    try:
        asked = _asked(asking)
    except WalletsvcError:
        _authenticate(session, asking)  # who may not ask is told that first
        raise
    once = asked.once
    if once is None:
        key, former = _authenticate(session, asking), None
    else:
        admitted = admit(session, secret, operation.scope, once, now)
        key = _allowed(admitted and admitted.key, operation)
        former = admitted and admitted.former
    if former is not None:
        return Done(former, replayed=True)
    call = Call(asking.deps, session, key, now, asking.path, asked.body, asked.query)
    result = operation.handler(call)
    answer = Answer(operation.status, result.model_dump_json().encode())
    if asked.dry_run:
        raise _Tried(answer)
    if once is not None:
        idempotency.finish(session, once.scope(key), once.key, answer)
    return Done(answer)


def _asked(asking: _Asking) -> _Asked:
    """What the request says, checked as far as its form goes."""
    query = _query(asking)
    dry_run = bool(getattr(query, "dry_run", False))
    named = None if dry_run else _idempotency_key(asking)
    body = _body(asking)
    if named is None:
        return _Asked(query, body, dry_run)
    request = asking.request
    print_ = idempotency.fingerprint(
        request.method.encode(), request.path.encode(), request.query_string, asking.raw
    )
    return _Asked(query, body, dry_run, Once(asking.operation.id, named, print_))


def _authenticate(session: Session, asking: _Asking) -> ApiKey:
    return _allowed(find_key(session, _secret(asking.request)), asking.operation)


def _secret(request: Request) -> str:
    match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    if match is None:
        raise Unauthenticated("Send 'Authorization: Bearer <api key>'.")
    return match[1]


def _allowed(key: ApiKey | None, operation: Operation) -> ApiKey:
    if key is None:
        raise Unauthenticated("The API key is not known or was revoked.")
    structlog.contextvars.bind_contextvars(caller=key.public_id)
    if operation.scope not in key.scopes:
        raise Forbidden(
            f"The API key lacks the scope '{operation.scope}'.", scope=str(operation.scope)
        )
    return key


def _idempotency_key(asking: _Asking) -> str | None:
    rule = asking.operation.key
    if rule is KeyRule.NONE:
        return None
    given = asking.request.headers.get(KEY_HEADER)
    if given is None:
        if rule is KeyRule.OPTIONAL:
            return None
        message = "is needed: a retry of this call must not do it twice"
        raise IdempotencyKeyRequired(
            f"{KEY_HEADER} {message}.", (FieldError(KEY_HEADER, message, "required"),)
        )
    if not _KEY.fullmatch(given):
        message = "must be 1 to 200 printable ASCII characters without spaces"
        raise InputError(
            f"{KEY_HEADER} {message}.", (FieldError(KEY_HEADER, message, "invalid_format"),)
        )
    return given


def _query(asking: _Asking) -> BaseModel | None:
    model, request = asking.operation.query, asking.request
    if model is None and not request.query_string:
        return None
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        name = repeated[0][:200]
        raise InputError(
            f"The parameter '{name}' is given twice.",
            (FieldError(name, "is given twice", "duplicate_key"),),
        )
    if model is None:
        if request.args:
            name = next(iter(request.args))[:200]
            raise InputError(
                f"'{name}' is not a parameter of this call.",
                (FieldError(name, "is not a parameter of this call", "unknown_field"),),
            )
        return None
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise json_body.invalid(error) from None


def _body(asking: _Asking) -> BaseModel | None:
    if asking.operation.body is not None:
        return parse_json(asking.request, asking.raw, asking.operation.body)
    if asking.raw:
        raise InputError(
            "This call takes no body.",
            (FieldError(json_body.BODY, "must be empty", "unknown_field"),),
        )
    return None
