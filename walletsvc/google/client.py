"""Requests to Google's Wallet API: one at a time, or a batch in one multipart request.

Nothing is retried here and nothing is raised for what Google or the network says: an `Answer`
tells it, and whoever asked decides (`answers.py`). Only a token that was refused is renewed, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson
import requests
from google.auth import exceptions
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError, SSLError

from walletsvc.core.errors import ConfigurationError
from walletsvc.google import multipart
from walletsvc.google.models import Kind
from walletsvc.settings import Settings

SCOPE: Final = "https://www.googleapis.com/auth/wallet_object.issuer"
ROOT: Final = "/walletobjects/v1/"
MOST_PARTS: Final = 1000
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0  # for one request, and between two pieces of a batch's answer
# Reasons of our own, beside Google's: the request never left, or there is no token to send it with.
NOT_SENT: Final = "notSent"
TOKEN_REFUSED: Final = "tokenRefused"  # noqa: S105 - a reason
BATCH_REFUSED: Final = "batchRefused"  # says nothing of its parts

_UNAUTHORISED: Final = 401
_WHOLE: Final = (400, 404, 411, 413)  # what is wrong with a batch, not with what it asks
_MOST_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A call; `path` is below `/walletobjects/v1/` (`object_path`, `class_path`), with a query if
    there is one. Ask for `?fields=id` where the answer's body is of no interest."""

    method: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. Without a `status` nothing was answered: then `transport_error` says
    why, and unless `reason` is one of ours nobody knows whether the call was applied.

    `reason` is Google's `errors[0].reason` (or its status word) and `message` its text, both
    empty for success.
    """

    status: int | None
    reason: str = ""
    message: str = ""
    body: dict[str, Any] | None = None
    transport_error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether Google did as it was asked."""
        return self.status is not None and 200 <= self.status < 300


def class_path(kind: Kind, class_id: str = "", verb: str = "") -> str:
    """The path of a class, or of all classes of the kind: for inserting."""
    return _path(f"{kind}Class", class_id, verb)


def object_path(kind: Kind, object_id: str = "", verb: str = "") -> str:
    """The path of an object, or of all objects of the kind: for inserting."""
    return _path(f"{kind}Object", object_id, verb)


def _path(collection: str, resource_id: str, verb: str) -> str:
    return "/".join(filter(None, (collection, quote(resource_id, safe="."), verb)))


class GoogleClient:
    """Google's Wallet API as one service account sees it. Any number of threads may share it."""

    def __init__(
        self,
        credentials: service_account.Credentials,
        url: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        connections: int = 8,
    ) -> None:
        """`url` is the API's address without a path."""
        self._url = url
        self._credentials = credentials
        self._timeout = (connect_seconds, read_seconds)
        self._session = AuthorizedSession(
            credentials,
            refresh_status_codes=(_UNAUTHORISED,),
            max_refresh_attempts=1,
        )
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=connections)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def call(self, request: ApiRequest) -> Answer:
        """Make one call."""
        body = None if request.body is None else orjson.dumps(request.body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        found = self._request(request.method, ROOT + request.path, body, headers)
        if isinstance(found, Answer):
            return found
        return _answer(found.status_code, found.content)

    def batch(
        self, calls: Sequence[ApiRequest], turn: Callable[[int], bool] = lambda _: True
    ) -> list[Answer]:
        """Make up to a thousand calls at once; the answers are in the order of the calls.

        When the batch as a whole fails, that is every call's answer. Calls whose token was refused
        are made once more after so many got a `turn`; without one that stays their answer.
        """
        if len(calls) == 1:
            return [self.call(calls[0])]
        answers = self._batch(calls)
        refused = [n for n, answer in enumerate(answers) if answer.status == _UNAUTHORISED]
        # A batch that was refused as a whole was sent again with a new token already.
        if not refused or len(refused) == len(calls):
            return answers
        failure = self._renew_token()
        again = [calls[n] for n in refused]
        if failure is None and not turn(len(again)):
            return answers
        new = [failure] * len(again) if failure else self._batch(again)
        for n, answer in zip(refused, new, strict=True):
            answers[n] = answer
        return answers

    def _batch(self, calls: Sequence[ApiRequest]) -> list[Answer]:
        if len(calls) > MOST_PARTS:
            raise ValueError(f"A batch takes {MOST_PARTS} calls, not {len(calls)}.")
        content_type, body = multipart.write(
            [
                multipart.Part(
                    call.method,
                    ROOT + call.path,
                    b"" if call.body is None else orjson.dumps(call.body),
                )
                for call in calls
            ]
        )
        found = self._request("POST", "/batch", body, {"Content-Type": content_type})
        if isinstance(found, Answer):
            return [found] * len(calls)
        if found.status_code != 200:
            refused = _answer(found.status_code, found.content)
            if found.status_code in _WHOLE:
                refused = replace(refused, reason=BATCH_REFUSED)
            return [refused] * len(calls)
        parts = multipart.read(found.headers.get("Content-Type", ""), found.content)
        return [
            _answer(*parts[n]) if n in parts else Answer(None, transport_error="no answer in batch")
            for n in range(len(calls))
        ]

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> requests.Response | Answer:
        try:
            found: requests.Response = self._session.request(
                method,
                self._url + path,
                data=body,
                headers=headers,
                # For the token as well: the library's own is longer than a lease.
                timeout=self._timeout,
                allow_redirects=False,
            )
        except exceptions.GoogleAuthError as error:
            return _without_token(error)
        except requests.RequestException as error:
            # The text may hold addresses with ids in them: only the kind of failure is told.
            reason = NOT_SENT if _never_left(error) else ""
            return Answer(None, reason=reason, transport_error=type(error).__name__)
        return found

    def _renew_token(self) -> Answer | None:
        """What went wrong, if something did."""
        try:
            self._credentials.refresh(partial(Request(), timeout=self._timeout[1]))
        except exceptions.GoogleAuthError as error:
            return _without_token(error)
        return None


def client_for(settings: Settings, **options: float) -> GoogleClient:
    """The client of an installation; raises ConfigurationError when its key cannot be used."""
    return GoogleClient(credentials(settings), settings.google_url, **options)  # type: ignore[arg-type]


def credentials(settings: Settings) -> service_account.Credentials:
    """The service account's credentials for the Wallet API; raises ConfigurationError."""
    if settings.google_key is None:
        raise ConfigurationError(
            "WALLETSVC_GOOGLE_KEY_FILE is not set: give it the path of the service account's JSON"
            " key."
        )
    try:
        info = orjson.loads(settings.google_key.get_secret_value())
        made = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
    except (ValueError, TypeError, AttributeError, exceptions.GoogleAuthError):
        # Not the library's words: they may quote the key.
        raise ConfigurationError(
            "WALLETSVC_GOOGLE_KEY is not the JSON key of a service account: make one in Google"
            " Cloud (IAM, Service accounts, Keys, JSON) and give its file as"
            " WALLETSVC_GOOGLE_KEY_FILE."
        ) from None
    assert isinstance(made, service_account.Credentials)  # noqa: S101 - for the type checker
    return made


def _answer(status: int, content: bytes) -> Answer:
    try:
        body = orjson.loads(content) if content else None
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        body = None
    if 200 <= status < 300:
        return Answer(status, body=body)
    reason, message = _explanation(body or {})
    return Answer(status, reason, message, body)


def _explanation(body: dict[str, Any]) -> tuple[str, str]:
    """Reason and message of an error, with the fields it names."""
    error = body.get("error")
    if not isinstance(error, dict):
        return "", ""
    listed = error.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else {}
    reason = first.get("reason") if isinstance(first, dict) else None
    return printable(reason or error.get("status") or ""), printable(error.get("message") or "")


def printable(said: object) -> str:
    """What others say, short and without what a log or the database cannot hold."""
    return "".join(c for c in str(said) if c.isprintable())[:_MOST_TEXT]


def _without_token(error: exceptions.GoogleAuthError) -> Answer:
    said = printable(error.args[0] if error.args else type(error).__name__)
    if isinstance(error, exceptions.RefreshError) and not error.retryable:
        return Answer(None, TOKEN_REFUSED, said, transport_error="Google gave no access token")
    return Answer(None, NOT_SENT, transport_error="the token address does not answer")


def _never_left(error: requests.RequestException) -> bool:
    """Whether there was no connection that the request could have gone over."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    return isinstance(reason, NewConnectionError | SSLError)
