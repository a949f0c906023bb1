"""Apple's pass web service, and the download of a pass from its page.

Source of paths, statuses and bodies: Apple, "Adding a Web Service to Update Passes". Where
phones do otherwise than the text, the phones are right; the comments say so.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import orjson
import structlog
from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from werkzeug.http import http_date, parse_date

from walletsvc.apple import logbook, registrations
from walletsvc.apple.factory import PackageFactory
from walletsvc.core.errors import NotFound, Unauthenticated
from walletsvc.core.ids import secret_token
from walletsvc.passes import stored
from walletsvc.passes.events import Event, EventBuffer
from walletsvc.passes.models import EventKind, Wallet
from walletsvc.passes.publish import Publisher
from walletsvc.passes.service import find_by_link
from walletsvc.passes.stored import Stored
from walletsvc.storage.columns import keyring
from walletsvc.web.context import Deps
from walletsvc.web.requests import parse_json, read_json

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/vnd.apple.pkpass"
_AUTHORIZATION = re.compile(r"^(?:Apple|Android)Pass ([\x21-\x7e]{1,256})$")
_LIBRARY = re.compile(r"^[\x21-\x7e]{1,128}$")
_ODD = re.compile(r"[^\x20-\x7e]+|[\w-]{28,}")
_AGENT_LENGTH = 60


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
    publisher: Publisher
    factory: PackageFactory
    events: EventBuffer
    # Decrypted and compared with when there is no such pass, so that an unknown serial takes the
    # steps of a wrong token.
    no_token: str = field(default_factory=lambda: keyring().encrypt(secret_token()))

    def authorised(self, pass_type: str, serial: str) -> Stored:
        """The pass that the request's token belongs to.

        Raises Unauthenticated for a wrong token and for an unknown pass alike, by the same steps.
        """
        match = _AUTHORIZATION.match(request.headers.get("Authorization", ""))
        found = stored.by_serial(
            self.deps.database, wallet=Wallet.APPLE, pass_type=pass_type, serial=serial
        )
        expected = keyring().decrypt(self.no_token) if found is None else found.auth_token
        given = match[1] if match else ""
        if not hmac.compare_digest(expected.encode(), given.encode()) or found is None:
            raise Unauthenticated("The Authorization header does not open this pass.")
        return found

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
        """The pass as it is now; voided passes too, or their phones would show the old balance."""
        return self._serve(self.authorised(pass_type, serial))

    def download(self, token: str) -> Response:
        """The pass behind a page token, for a phone that does not have it yet."""
        with self.deps.database.read_tx() as session:
            subject = find_by_link(session, token)
        pass_ = subject.passes.get(Wallet.APPLE) if subject else None
        found = stored.by_id(self.deps.database, pass_.id) if pass_ is not None else None
        if found is None:
            raise NotFound("There is no card at this address.")
        response = self._serve(found, count=request.method == "GET")
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def log(self) -> Response:
        """Keep what devices complain about; they are not authenticated, so little of it."""
        # A NUL that a device let slip must not cost us what it had to say.
        body = parse_json(request.get_data().replace(b"\\u0000", b" "), LogBody)
        with self.deps.database.write_tx() as session:
            logbook.store(session, body.logs, now=self.deps.clock())
        return _empty(200)

    def _serve(self, found: Stored, *, count: bool = False) -> Response:
        current = self.publisher.current(self.deps.database, found, self.deps.clock())
        if current.digest is None or current.last_modified is None:
            raise NotFound("This pass has not been published.")
        etag = current.digest.hex()[:32]
        headers = [
            ("ETag", f'W/"{etag}"'),  # weak: every signature differs in its bytes
            ("Last-Modified", http_date(current.last_modified)),
            ("Cache-Control", "private, no-cache"),
        ]
        if _unchanged(etag, current.last_modified):
            self.events.add(self._taken(EventKind.UNCHANGED, current))
            return Response(status=304, headers=headers, mimetype=MEDIA_TYPE)
        with self.deps.database.lazy_read() as session:
            package = self.factory.build(session, current)
        if count:
            with self.deps.database.write_tx() as session:
                registrations.count_download(session, current, self.deps.clock())
        if count or request.method == "GET":
            self.events.add(self._taken(EventKind.FETCHED, current, page=count))
        headers.append(("Content-Disposition", "attachment; filename=card.pkpass"))
        return Response(package, headers=headers, mimetype=MEDIA_TYPE)

    def _taken(self, kind: EventKind, pass_: Stored, *, page: bool = False) -> Event:
        """That the pass was taken, or was there already; `page`: over the address of its page."""
        detail = {"revision": pass_.revision, "agent": _agent(), "page": page}
        return Event(self.deps.clock(), kind, pass_.pass_type_id, pass_.id, detail=detail)


def _asked(changed: registrations.Changed, now: datetime) -> Event:
    """That a device listed what changed."""
    detail = {"since": changed.since, "answered": changed.tag, "serials": len(changed.serials)}
    return Event(
        now, EventKind.ASKED, changed.pass_type_id, device_id=changed.device_id, detail=detail
    )


def _agent() -> str:
    """What asks, as it calls itself: shortened, and nothing but plain characters."""
    return _ODD.sub("", request.headers.get("User-Agent", ""))[:_AGENT_LENGTH].strip()


def _unchanged(etag: str, last_modified: datetime) -> bool:
    """Whether the caller's copy is the present one; an ETag outranks a date (RFC 9110, 13.2.2).

    A date must be the very one that we sent, as nginx has it too: after a restore phones hold
    copies from a time that the database does not know, later than what is right now.
    """
    if request.if_none_match:
        return request.if_none_match.contains_weak(etag)
    since = parse_date(request.headers.get("If-Modified-Since"))
    if since is None:
        return False
    return last_modified.replace(microsecond=0) == since


def _empty(status: int) -> Response:
    """An answer without a body, and without the header that would announce one."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def _check_library(library: str) -> None:
    if not _LIBRARY.match(library):
        raise NotFound("The device library identifier is not one.")


def create(
    deps: Deps, publisher: Publisher, factory: PackageFactory, events: EventBuffer
) -> Blueprint:
    """The blueprint; phones append `/v1/...` to the web service URL in the pass."""
    service = WebService(deps, publisher, factory, events)
    blueprint = Blueprint("apple", __name__)
    registration = "/apple/v1/devices/<library>/registrations/<pass_type>/<serial>"

    def route(rule: str, method: str, view: object) -> None:
        blueprint.add_url_rule(
            rule,
            f"{method.lower()}_{len(blueprint.deferred_functions)}",
            view,  # type: ignore[arg-type]
            methods=[method],
            strict_slashes=False,
        )

    route(registration, "POST", service.register)
    route(registration, "DELETE", service.unregister)
    route("/apple/v1/devices/<library>/registrations/<pass_type>", "GET", service.list_changed)
    route("/apple/v1/passes/<pass_type>/<serial>", "GET", service.get_pass)
    route("/apple/v1/log", "POST", service.log)
    route("/p/<token>.pkpass", "GET", service.download)
    return blueprint
