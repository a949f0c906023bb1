"""The control interface: what happened, what is to fail, and what people do with their phones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from walletsvc.core.clock import rfc3339
from walletsvc.core.errors import NotFound, Refused, WalletsvcError
from walletsvc.emulators.google.faults import ANSWERS, CALLBACKS, TRANSPORT, Fault
from walletsvc.emulators.google.http import Request, Response
from walletsvc.emulators.google.links import USER, LinkError
from walletsvc.emulators.reading import number, parse

if TYPE_CHECKING:
    from walletsvc.emulators.google.server import GoogleEmulator

MAX_WAIT: Final = 60.0
_LONGEST: Final = 10 * 366 * 86_400


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_by_name=False)


class FaultIn(_Body):
    """What to break; see `faults.Fault`."""

    fault: str
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    method: str | None = None
    resource: str | None = None
    id: str | None = None
    part: bool | None = None
    seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    applied: bool = False


class QuotaIn(_Body):
    """Requests per second of an issuer; none means no limit. A burst defaults to one second's."""

    requests_per_second: Annotated[float, Field(gt=0)] | None
    burst: Annotated[float, Field(ge=1)] | None = None


class ClockIn(_Body):
    """Move the emulator's clock on, or set it."""

    advance_seconds: Annotated[float, Field(ge=0, le=_LONGEST)] = 0.0
    at: AwareDatetime | None = None


class SwitchesIn(_Body):
    """See `store.Switches`."""

    review_at_once: bool | None = None
    check_images: bool | None = None
    shuffle_batches: bool | None = None


class TokensIn(_Body):
    """End tokens (of one account, or all), or change how long new ones live."""

    revoke: bool = False
    account: str | None = None
    lifetime: Annotated[int, Field(ge=1, le=86_400)] | None = None


class HoldIn(_Body):
    """Whose wallet an object comes into or leaves, and whether the issuer is told."""

    object_id: Annotated[str, Field(alias="objectId")]
    user: str = USER
    callback: bool = True


class IssuerIn(_Body):
    """Open an issuer or change it; permissions replace those it has."""

    issuer_id: Annotated[str, Field(alias="issuerId", pattern=r"^[0-9]{1,20}$")]
    name: str | None = None
    merchant_locations: Annotated[bool | None, Field(alias="merchantLocations")] = None
    permissions: dict[str, str] | None = None


class ReviewIn(_Body):
    """What the reviewer decides about a class."""

    status: Annotated[str, Field(pattern=r"^(approved|rejected)$")] = "approved"


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value) + b"\n", status)


_Handler = Callable[[Request], Any]


class Control:
    """Answers everything below `/_/`."""

    def __init__(self, emulator: GoogleEmulator) -> None:
        self._emulator = emulator

    def handle(self, request: Request) -> Response:
        """One request, one answer."""
        handlers = self._handlers(request.path.split("/")[2:])
        try:
            if handlers is None:
                raise NotFound(f"There is nothing at {request.path}.")
            handler = handlers.get(request.method)
            if handler is None:
                return _json({"error": f"Use {', '.join(handlers)} here."}, 405)
            return _json(handler(request))
        except WalletsvcError as error:
            return _json({"error": error.detail}, error.status)

    def _handlers(self, path: list[str]) -> Mapping[str, _Handler] | None:
        emulator = self._emulator
        match path:
            case ["log"]:
                return {"GET": self._log}
            case ["buzzes"]:
                return {"GET": self._buzzes}
            case ["callbacks"]:
                return {"GET": lambda _: emulator.callbacks.log()}
            case ["state"]:
                return {"GET": lambda _: emulator.state()}
            case ["faults"]:
                return {"GET": self._faults, "POST": self._arm, "DELETE": self._disarm}
            case ["quota"]:
                return {"GET": lambda _: emulator.quota.as_json(), "POST": self._set_quota}
            case ["clock"]:
                return {"GET": self._clock, "POST": self._move_clock}
            case ["switches"]:
                return {"GET": self._switches, "POST": self._switch}
            case ["tokens"]:
                return {"POST": self._change_tokens}
            case ["save"]:
                return {"POST": lambda request: self._hold(request, True)}
            case ["remove"]:
                return {"POST": lambda request: self._hold(request, False)}
            case ["issuers"]:
                return {"POST": self._change_issuer}
            case ["objects", resource_id] | ["classes", resource_id]:
                return {"GET": lambda _: emulator.resource(resource_id)}
            case ["classes", class_id, "review"]:
                return {"POST": lambda request: self._review(class_id, request)}
        return None

    def _log(self, request: Request) -> Any:
        query = request.query
        wait = min(number(query, "wait"), MAX_WAIT)
        limit = int(number(query, "limit")) or None
        return self._emulator.journal.after(int(number(query, "after")), limit, wait)

    def _buzzes(self, request: Request) -> Any:
        after = int(number(request.query, "after"))
        return self._emulator.buzzes(after, request.query.get("objectId"))

    def _faults(self, _: Request) -> Any:
        known = [*ANSWERS, *TRANSPORT, *CALLBACKS]
        return {"armed": self._emulator.faults.as_json(), "known": known}

    def _arm(self, request: Request) -> Any:
        self._emulator.faults.arm(Fault(**parse(FaultIn, request.body).model_dump()))
        return self._faults(request)

    def _disarm(self, request: Request) -> Any:
        self._emulator.faults.clear()
        return self._faults(request)

    def _set_quota(self, request: Request) -> Any:
        wanted = parse(QuotaIn, request.body)
        self._emulator.quota.set(wanted.requests_per_second, wanted.burst)
        return self._emulator.quota.as_json()

    def _clock(self, _: Request) -> Any:
        return {"now": rfc3339(self._emulator.store.now())}

    def _move_clock(self, request: Request) -> Any:
        wanted = parse(ClockIn, request.body)
        if wanted.at is not None:
            self._emulator.set_clock(
                datetime.fromtimestamp(wanted.at.timestamp(), wanted.at.tzinfo)
            )
        self._emulator.advance(timedelta(seconds=wanted.advance_seconds))
        return self._clock(request)

    def _switches(self, _: Request) -> Any:
        switches = self._emulator.store.switches
        return {name: getattr(switches, name) for name in SwitchesIn.model_fields}

    def _switch(self, request: Request) -> Any:
        wanted = parse(SwitchesIn, request.body).model_dump(exclude_none=True)
        for name, value in wanted.items():
            setattr(self._emulator.store.switches, name, value)
        return self._switches(request)

    def _change_tokens(self, request: Request) -> Any:
        wanted = parse(TokensIn, request.body)
        with self._emulator.store.lock:
            tokens = self._emulator.store.tokens
            tokens.lifetime = wanted.lifetime or tokens.lifetime
            revoked = tokens.revoke(wanted.account) if wanted.revoke else 0
            return {"revoked": revoked, "lifetime": tokens.lifetime}

    def _hold(self, request: Request, holds: bool) -> Any:
        wanted = parse(HoldIn, request.body)
        try:
            changed = self._emulator.links.hold(
                wanted.object_id, wanted.user, holds=holds, callback=wanted.callback
            )
        except LinkError as error:
            raise Refused(f"{error}.") from error
        return {"objectId": wanted.object_id, "hasUsers": self._held(wanted), "changed": changed}

    def _held(self, wanted: HoldIn) -> bool:
        return bool(self._emulator.resource(wanted.object_id)["hasUsers"])

    def _change_issuer(self, request: Request) -> Any:
        wanted = parse(IssuerIn, request.body)
        with self._emulator.store.lock:
            issuer = self._emulator.store.accounts.open_issuer(wanted.issuer_id)
            issuer.name = wanted.name or issuer.name
            if wanted.merchant_locations is not None:
                issuer.merchant_locations = wanted.merchant_locations
            if wanted.permissions is not None:
                issuer.permissions = dict(wanted.permissions)
            return {**issuer.as_json(), "permissions": issuer.permissions}

    def _review(self, class_id: str, request: Request) -> Any:
        self._emulator.review(class_id, parse(ReviewIn, request.body).status)
        return self._emulator.resource(class_id)
