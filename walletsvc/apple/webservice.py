"""Apple's pass web service, and the download of a pass from its page.

Source of paths, statuses and bodies: Apple, "Adding a Web Service to Update Passes". Where
phones do otherwise than the text, the phones are right; the comments say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import orjson
import structlog
from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from walletsvc.apple import logbook, registrations
from walletsvc.apple.serving import MEDIA_TYPE, Caller, Serving
from walletsvc.apple.shortcut import ROUTE
from walletsvc.core.errors import NotFound
from walletsvc.passes import stored
from walletsvc.passes.events import Event, EventBuffer
from walletsvc.passes.models import EventKind, Wallet
from walletsvc.passes.service import find_by_link
from walletsvc.passes.stored import Stored
from walletsvc.web.context import Deps
from walletsvc.web.front import reraise
from walletsvc.web.requests import parse_json, read_json

log = structlog.get_logger(__name__)

_LIBRARY = re.compile(r"^[\x21-\x7e]{1,128}$")


class RegisterBody(BaseModel):
    """What a device sends to register. Unknown keys are ignored: Apple may add some."""

    model_config = ConfigDict(extra="ignore")

    pushToken: Annotated[  # noqa: N815 - Apple's name
        str, StringConstraints(strict=True, pattern=r"^[\x21-\x7e]{1,200}$")
    ]


class LogBody(BaseModel):
    """Lines a device wants us to know."""

    model_config = ConfigDict(extra="ignore")

    logs: list[Annotated[str, StringConstraints(strict=True)]] = Field(max_length=1000)


@dataclass(frozen=True)
class WebService:
    """The endpoints' shared means."""

    deps: Deps
    serving: Serving
    events: EventBuffer

    def authorised(self, pass_type: str, serial: str) -> Stored:
        """The pass that the request's token belongs to; raises Unauthenticated."""
        return self.serving.opened(pass_type, serial, request.headers.get("Authorization", ""))

    def register(self, library: str, pass_type: str, serial: str) -> Response:
        """201 for a new registration, 200 for a known one; both store the push token."""
        now = self.deps.clock()
        pass_ = self.authorised(pass_type, serial)
        _check_library(library)
        body = read_json(RegisterBody)
        with self.deps.database.write_tx() as session:
            created = registrations.register(
                session, library=library, push_token=body.pushToken, pass_=pass_, now=now
            )
        return _empty(201 if created else 200)

    def unregister(self, library: str, pass_type: str, serial: str) -> Response:
        """200, also when the device was not registered: what it asked for is so."""
        pass_ = self.authorised(pass_type, serial)
        with self.deps.database.write_tx() as session:
            registrations.unregister(session, library=library, pass_=pass_, now=self.deps.clock())
        return _empty(200)

    def list_changed(self, library: str, pass_type: str) -> Response:
        """Serials changed since the tag, or 204 with nothing in it.

        There is no token in this call: the device's identifier is the secret. A body in the
        204 would be logged by phones as a malformed answer.
        """
        with self.deps.database.read_tx() as session:
            changed = registrations.changed_since(
                session,
                library=library,
                pass_type=pass_type,
                tag=request.args.get("passesUpdatedSince"),
            )
        if changed is None:
            return _empty(204)
        self.events.add(_asked(changed, self.deps.clock()))
        if changed.tag is None:
            return _empty(204)
        response = Response(mimetype="application/json")
        response.set_data(
            orjson.dumps({"serialNumbers": changed.serials, "lastUpdated": changed.tag})
        )
        return response

    def get_pass(self, pass_type: str, serial: str) -> Response:
        """The pass as it is now, for whom `Shortcut` leaves to the application."""
        reraise(request)
        return self._serve(self.authorised(pass_type, serial))

    def download(self, token: str) -> Response:
        """The pass behind a page token, for a phone that does not have it yet."""
        with self.deps.database.read_tx() as session:
            subject = find_by_link(session, token)
        pass_ = subject.passes.get(Wallet.APPLE) if subject else None
        found = stored.by_id(self.deps.database, pass_.id) if pass_ is not None else None
        if found is None:
            raise NotFound("There is no card at this address.")
        response = self._serve(found, page=True)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def log(self) -> Response:
        """Keep what devices complain about; they are not authenticated, so little of it."""
        # A NUL that a device let slip must not cost us what it had to say.
        body = parse_json(request, request.get_data().replace(b"\\u0000", b" "), LogBody)
        with self.deps.database.write_tx() as session:
            logbook.store(session, body.logs, now=self.deps.clock())
        return _empty(200)

    def _serve(self, found: Stored, *, page: bool = False) -> Response:
        caller = Caller(
            if_none_match=request.headers.get("If-None-Match", ""),
            if_modified_since=request.headers.get("If-Modified-Since", ""),
            agent=request.headers.get("User-Agent", ""),
            head=request.method == "HEAD",
        )
        answer = self.serving.answer(found, caller, page=page)
        return Response(answer.body, answer.status, answer.headers, mimetype=MEDIA_TYPE)


def _asked(changed: registrations.Changed, now: datetime) -> Event:
    """That a device listed what changed."""
    detail = {"since": changed.since, "answered": changed.tag, "serials": len(changed.serials)}
    return Event(
        now, EventKind.ASKED, changed.pass_type_id, device_id=changed.device_id, detail=detail
    )


def _empty(status: int) -> Response:
    """An answer without a body, and without the header that would announce one."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def _check_library(library: str) -> None:
    if not _LIBRARY.match(library):
        raise NotFound("The device library identifier is not one.")


def create(deps: Deps, serving: Serving) -> Blueprint:
    """The blueprint; phones append `/v1/...` to the web service URL in the pass."""
    service = WebService(deps, serving, serving.events)
    blueprint = Blueprint("apple", __name__)
    registration = "/apple/v1/devices/<library>/registrations/<pass_type>/<serial>"

    def route(rule: str, method: str, view: Callable[..., Response]) -> None:
        blueprint.add_url_rule(
            rule,
            f"{method.lower()}_{len(blueprint.deferred_functions)}",
            view,
            methods=[method],
            strict_slashes=False,
        )

    route(registration, "POST", service.register)
    route(registration, "DELETE", service.unregister)
    route("/apple/v1/devices/<library>/registrations/<pass_type>", "GET", service.list_changed)
    route(ROUTE, "GET", service.get_pass)
    route("/apple/v1/log", "POST", service.log)
    route("/p/<token>.pkpass", "GET", service.download)
    return blueprint
