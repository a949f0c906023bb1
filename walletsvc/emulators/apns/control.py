"""The control interface: see what was received, arm failures, mint and retire devices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from walletsvc.core.errors import InputError
from walletsvc.emulators.apns.answers import STATUS_BY_REASON, is_token, is_topic
from walletsvc.emulators.apns.faults import DEFAULT_SECONDS, Fault
from walletsvc.emulators.apns.plain_http import Handler, HttpRequest, HttpResponse, json_response
from walletsvc.emulators.apns.state import State
from walletsvc.emulators.reading import number, parse

MAX_WAIT: Final = 60.0
_HELLO: Final = (
    "Control interface of an emulator of Apple's push service for Wallet; pushes go to the port"
    " below this one.\n"
    "GET /_/log?after=&token=&wait=&limit=  GET, POST, DELETE /_/faults  GET, POST /_/settings"
    "  GET /_/connections  POST /_/devices  POST /_/devices/<token>/unregister\n"
)

_Milliseconds = Annotated[int, Field(ge=0, lt=2**53)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FaultIn(_Body):
    """What to break; see `faults.Fault`."""

    fault: str
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    # It has to fit into one frame.
    reason: Annotated[str, Field(max_length=200)] | None = None
    timestamp: _Milliseconds | None = None
    token: str | None = None


class SettingsIn(_Body):
    """What a running emulator can change."""

    max_concurrent_streams: Annotated[int, Field(ge=0, lt=2**31)]


class DeviceIn(_Body):
    """For which topic the device has a pass; none means any."""

    topic: str | None = None


class UnregisterIn(_Body):
    """Since when the device is gone, in ms since 1970; none means now."""

    timestamp: _Milliseconds | None = None


def _token(text: str) -> str:
    if not is_token(text):
        raise InputError("token: expected an even number of hex digits, 64 to 200.")
    return text.lower()


class Control:
    """Answers the control interface's requests."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """One request, one answer; raises InputError for a bad one."""
        handlers = self._handlers(request.path)
        if handlers is None:
            return json_response({"error": f"There is nothing at {request.path}."}, 404)
        handler = handlers.get(request.method)
        if handler is None:
            allowed = ", ".join(handlers)
            body = json_response({"error": f"Use {allowed} here."}).body
            return HttpResponse(body, 405, allow=allowed)
        return await handler(request)

    def _handlers(self, path: str) -> Mapping[str, Handler] | None:
        """What can be done at a path, by method."""
        match path.split("/")[1:]:
            case [""]:
                return {"GET": self._hello}
            case ["_", "log"]:
                return {"GET": self._log}
            case ["_", "faults"]:
                return {"GET": self._faults, "POST": self._arm, "DELETE": self._disarm}
            case ["_", "settings"]:
                return {"GET": self._settings, "POST": self._change_settings}
            case ["_", "connections"]:
                return {"GET": self._connections}
            case ["_", "devices"]:
                return {"POST": self._mint}
            case ["_", "devices", token, "unregister"]:
                return {"POST": partial(self._unregister, token)}
        return None

    async def _hello(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(_HELLO.encode(), content_type="text/plain; charset=utf-8")

    async def _log(self, request: HttpRequest) -> HttpResponse:
        query = request.query
        unknown = sorted(query.keys() - {"after", "token", "wait", "limit"})
        if unknown:
            raise InputError(f"{unknown[0]}: not known; known are after, token, wait, limit.")
        after = int(number(query, "after", 0))
        limit = int(number(query, "limit", 0)) or None
        token = _token(query["token"]) if "token" in query else None
        clock = asyncio.get_running_loop().time
        deadline = clock() + min(number(query, "wait", 0), MAX_WAIT)
        journal = self._state.journal
        while not (lines := journal.after(after, token, limit)):
            left = deadline - clock()
            if left <= 0:
                break
            await journal.wait(token, left)
        return HttpResponse(b"[" + b",\n".join(lines) + b"]\n")

    async def _faults(self, _: HttpRequest) -> HttpResponse:
        return json_response({"armed": self._state.faults.as_json()})

    async def _arm(self, request: HttpRequest) -> HttpResponse:
        given = parse(FaultIn, request.body)
        if given.seconds is not None and given.fault != "slow":
            raise InputError("body.seconds: only the fault slow takes seconds.")
        if given.timestamp is not None and STATUS_BY_REASON.get(given.fault) != 410:
            raise InputError("body.timestamp: only Unregistered and ExpiredToken carry one.")
        if given.reason is not None and given.fault != "goaway":
            raise InputError("body.reason: only the fault goaway carries one.")
        self._state.faults.arm(
            Fault(
                given.fault,
                given.count,
                DEFAULT_SECONDS if given.seconds is None else given.seconds,
                "Shutdown" if given.reason is None else given.reason,
                given.timestamp,
                None if given.token is None else _token(given.token),
            )
        )
        return await self._faults(request)

    async def _disarm(self, request: HttpRequest) -> HttpResponse:
        self._state.faults.clear()
        self._state.release()
        return await self._faults(request)

    async def _settings(self, _: HttpRequest) -> HttpResponse:
        return json_response({"max_concurrent_streams": self._state.max_concurrent_streams})

    async def _change_settings(self, request: HttpRequest) -> HttpResponse:
        self._state.limit_streams(parse(SettingsIn, request.body).max_concurrent_streams)
        return await self._settings(request)

    async def _connections(self, _: HttpRequest) -> HttpResponse:
        return json_response(self._state.connections_as_json())

    async def _mint(self, request: HttpRequest) -> HttpResponse:
        topic = parse(DeviceIn, request.body).topic
        if topic is not None and not is_topic(topic):
            raise InputError("body.topic: expected a pass type id such as pass.com.example.card.")
        return json_response({"token": self._state.mint(topic), "topic": topic}, 201)

    async def _unregister(self, token: str, request: HttpRequest) -> HttpResponse:
        token = _token(token)
        timestamp = parse(UnregisterIn, request.body).timestamp
        return json_response(
            {"token": token, "timestamp": self._state.unregister(token, timestamp)}
        )
