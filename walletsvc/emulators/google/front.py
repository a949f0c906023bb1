"""Every request by its address: the API, batches, tokens, the save page, the key server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import orjson

from walletsvc.emulators.google import batch, pages
from walletsvc.emulators.google.api import PREFIX, Api, Call
from walletsvc.emulators.google.auth import OAuthError
from walletsvc.emulators.google.control import Control
from walletsvc.emulators.google.errors import ApiError, Json, no_such_path
from walletsvc.emulators.google.faults import Target
from walletsvc.emulators.google.http import Request, Response
from walletsvc.emulators.google.links import PAGE, LinkError

if TYPE_CHECKING:
    from walletsvc.emulators.google.server import GoogleEmulator

KEYS: Final = "/gp/m/issuer/keys"
_KEYS_CACHED: Final = 3600
_HELLO: Final = (
    b"An emulator of Google Wallet: /walletobjects/v1, /batch, /token, /gp/v/save/<jwt>,"
    b" /gp/m/issuer/keys. Control: GET /_/state, /_/log, /_/buzzes, /_/callbacks, /_/faults.\n"
)
# Lines of the log carry no link: a JWT in an address is a secret.
_SAVE_LOGGED: Final = f"{PAGE}…"


class Front:
    """Sends requests where they belong, with the failures that were armed for them."""

    def __init__(self, emulator: GoogleEmulator, api: Api, control: Control) -> None:
        self._emulator = emulator
        self._api = api
        self._control = control
        # Batches are applied in any order; always the same one, so that a failure comes again.
        self._random = random.Random(0)
        self.batches = 0

    def handle(self, request: Request) -> Response | None:
        """The answer; None when the connection is to be cut instead."""
        if request.path.startswith("/_/"):
            return self._control.handle(request)
        try:
            calls = self._calls(request)
        except ApiError as error:
            return self._refused(request, error)
        own = Target(request.method, _resource(request.path))
        faults = self._emulator.faults
        fault = faults.take_transport([own, *(call.target() for call in calls)])
        kind = fault.fault if fault else ""
        if kind == "drop_before":
            return None
        if fault is not None and kind in ("slow", "hang_before"):
            faults.hold(fault.delay)
            if kind == "hang_before":
                return None
        response = self._answer(request, calls, own)
        if fault is not None and kind == "hang_after":
            faults.hold(fault.delay)
        return None if kind in ("drop_after", "hang_after") else response

    def _calls(self, request: Request) -> list[Call]:
        """The API calls that a request makes; ApiError for a batch that cannot be read."""
        authorization = request.headers.get("authorization")
        if request.path.startswith(PREFIX):
            return [Call(request.method, request.path, request.query, request.body, authorization)]
        if _resource(request.path) != "batch":
            return []
        if request.method != "POST":
            raise no_such_path(request.method, request.path)
        store = self._emulator.store
        with store.lock:
            store.tokens.identify(authorization)
            self.batches += 1
            number = self.batches
        return [
            Call(
                part.method,
                part.path,
                part.query,
                part.body,
                part.authorization or authorization,
                number,
                part.content_id,
            )
            for part in batch.read(request.headers.get("content-type", ""), request.body)
        ]

    def _answer(self, request: Request, calls: list[Call], own: Target) -> Response:
        if calls and calls[0].batch is None:
            status, body = self._api.perform(calls[0])
            return Response(body, status)
        # Armed by name: for a batch as a whole, the token, a page.
        fault = self._emulator.faults.take_answer(own)
        if fault is not None and not fault.applied:
            return self._refused(request, fault.error())
        response = self._batch(calls) if calls else self._other(request)
        return response if fault is None else self._refused(request, fault.error())

    def _batch(self, calls: list[Call]) -> Response:
        """Apply the parts, in any order, and answer in theirs."""
        order = list(range(len(calls)))
        if self._emulator.store.switches.shuffle_batches:
            self._random.shuffle(order)
        answers: list[tuple[int, bytes]] = [(0, b"")] * len(calls)
        for index in order:
            answers[index] = self._api.perform(calls[index])
        content_type, body = batch.render(
            [(call.content_id, *answer) for call, answer in zip(calls, answers, strict=True)]
        )
        return Response(body, 200, content_type)

    def _other(self, request: Request) -> Response:
        """Everything that is not the API."""
        match request.method, request.path:
            case "POST", "/token":
                response = self._token(request)
            case "GET", "/":
                return Response(_HELLO, content_type="text/plain; charset=utf-8")
            case "GET", path if path == KEYS:
                body = orjson.dumps(self._emulator.signer.published())
                headers = {"Cache-Control": f"public, max-age={_KEYS_CACHED}"}
                response = Response(body, headers=headers)
            case (("GET" | "POST"), path) if path.startswith(PAGE):
                response = self._save_page(request)
            case _:
                return self._refused(request, no_such_path(request.method, request.path))
        self._record(request, response.status)
        return response

    def _token(self, request: Request) -> Response:
        form = dict(parse_qsl(request.body.decode("latin-1")))
        store = self._emulator.store
        try:
            with store.lock:
                answer, _ = store.tokens.grant(form, f"{self._emulator.base_url}/token")
        except OAuthError as error:
            return Response(error.body, 400)
        return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"})

    def _save_page(self, request: Request) -> Response:
        links = self._emulator.links
        try:
            link = links.read(request.path.removeprefix(PAGE))
            if request.method == "POST":
                action = dict(parse_qsl(request.body.decode("latin-1"))).get("action")
                if action == "add":
                    links.save(link)
                elif action == "remove":
                    for object_id in link.objects():
                        links.hold(object_id, holds=False)
            return pages.save_page(links.shown(link))
        except LinkError as error:
            return pages.error_page(str(error))

    def _refused(self, request: Request, error: ApiError) -> Response:
        self._record(request, error.status, error.reason)
        return Response(error.body(), error.status)

    def _record(self, request: Request, status: int, reason: str | None = None) -> None:
        path = _SAVE_LOGGED if request.path.startswith(PAGE) else request.path
        entry: Json = {"method": request.method, "path": path, "status": status, "reason": reason}
        self._emulator.journal.add(entry)


def _resource(path: str) -> str:
    """What faults call an address that is no call of the API itself."""
    if path == "/batch" or path.startswith("/batch/"):
        return "batch"
    if path.startswith(PAGE):
        return "save"
    return {"/token": "token", KEYS: "keys"}.get(path, "")
