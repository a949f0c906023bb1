"""The API by path: one call in, a status and a body out; and what is written down of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from walletsvc.emulators.google.errors import ApiError, Json, no_such_path, too_many_requests
from walletsvc.emulators.google.faults import Fault, Faults, Target
from walletsvc.emulators.google.fields import select
from walletsvc.emulators.google.journal import Journal
from walletsvc.emulators.google.links import Links
from walletsvc.emulators.google.quota import Quota
from walletsvc.emulators.google.resources import Resources, parse
from walletsvc.emulators.google.schema import TYPES, ResourceType, check
from walletsvc.emulators.google.store import Store

PREFIX: Final = "/walletobjects/v1/"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API; `batch` is the number of the batch it came in, if any."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    authorization: str | None
    batch: int | None = None
    content_id: str | None = None

    def segments(self) -> list[str]:
        """The path below the version; empty for anything else."""
        return self.path[len(PREFIX) :].split("/") if self.path.startswith(PREFIX) else []

    def target(self) -> Target:
        """What faults are compared with."""
        collection, _, rest = self.path.removeprefix(PREFIX).partition("/")
        return Target(self.method, collection, rest.split("/")[0], self.batch is not None)


class Api:
    """Answers calls."""

    def __init__(
        self, store: Store, links: Links, faults: Faults, journal: Journal, quota: Quota
    ) -> None:
        self._store = store
        self._resources = Resources(store)
        self._links = links
        self._faults = faults
        self._journal = journal
        self._quota = quota

    def perform(self, call: Call) -> tuple[int, bytes]:
        """The answer to one call; never raises ApiError."""
        fault = self._faults.take_answer(call.target())
        email: str | None = None
        reason = None
        try:
            if fault is not None and not fault.applied:
                raise fault.error()
            email = self._store.tokens.identify(call.authorization)
            if not self._quota.take(self._issuer(call, email)):
                raise too_many_requests()
            status, body = 200, self._execute(call, email)
            if fault is not None:
                raise fault.error()
            if "fields" in call.query:
                body = select(body, call.query["fields"])
        except ApiError as error:
            status, reason, body = error.status, error.reason, error.body()
        self._record(call, email, status, reason, fault)
        return status, body

    def _record(
        self, call: Call, email: str | None, status: int, reason: str | None, fault: Fault | None
    ) -> None:
        entry: Json = {
            "method": call.method,
            "path": call.path,
            "query": dict(call.query),
            "batch": call.batch,
            "account": email,
            "status": status,
            "reason": reason,
            "fault": fault and fault.fault,
        }
        self._journal.add(entry, call.body)

    def _issuer(self, call: Call, email: str) -> str:
        """Whose quota a call uses: the issuer in its path or query, else the account's."""
        segments = call.segments()
        named = (
            segments[1]
            if len(segments) > 1
            else (call.query.get("issuerId") or call.query.get("classId") or "")
        )
        issuer_id = named.partition(".")[0]
        if issuer_id.isdigit():
            return issuer_id
        for issuer in self._store.accounts.issuers.values():
            if email in issuer.permissions:
                return issuer.issuer_id
        return ""

    def _execute(self, call: Call, email: str) -> bytes:
        match call.segments():
            case [collection, *rest] if collection in TYPES:
                return self._on_resource(call, TYPES[collection], email, rest)
            case ["issuer", *rest]:
                return self._on_issuer(call, email, rest)
            case ["permissions", issuer_id]:
                return self._on_permissions(call, email, issuer_id)
            case ["jwt"] if call.method == "POST":
                return orjson.dumps(self._links.insert(parse(call.body)))
            case ["jwt", "validate"] if call.method == "POST":
                self._links.validate(parse(call.body), email)
                return b"{}"
        raise no_such_path(call.method, call.path)

    def _on_resource(self, call: Call, kind: ResourceType, email: str, rest: list[str]) -> bytes:
        resources = self._resources
        match call.method, rest:
            case "PATCH", [resource_id]:
                return resources.patch(kind, email, resource_id, parse(call.body))
            case "GET", [resource_id]:
                return resources.get(kind, email, resource_id)
            case "PUT", [resource_id]:
                return resources.update(kind, email, resource_id, parse(call.body))
            case "POST", [resource_id, "addMessage"]:
                return resources.add_message(kind, email, resource_id, parse(call.body))
            case "POST", []:
                return resources.insert(kind, email, parse(call.body))
            case "GET", []:
                return resources.page(kind, email, call.query)
        raise no_such_path(call.method, call.path)

    def _on_issuer(self, call: Call, email: str, rest: list[str]) -> bytes:
        accounts = self._store.accounts
        with self._store.lock:
            match call.method, rest:
                case "GET", []:
                    own = [
                        issuer.as_json()
                        for issuer in accounts.issuers.values()
                        if email in issuer.permissions
                    ]
                    return orjson.dumps({"resources": own})
                case "GET", [issuer_id]:
                    return orjson.dumps(accounts.allow(email, issuer_id, write=False).as_json())
                case "PATCH", [issuer_id]:
                    issuer = accounts.allow(email, issuer_id)
                    change: Any = check("Issuer", parse(call.body))
                    issuer.name = change.get("name") or issuer.name
                    issuer.extra.update(
                        {
                            key: change[key]
                            for key in ("homepageUrl", "contactInfo")
                            if key in change
                        }
                    )
                    return orjson.dumps(issuer.as_json())
        raise no_such_path(call.method, call.path)

    def _on_permissions(self, call: Call, email: str, issuer_id: str) -> bytes:
        with self._store.lock:
            issuer = self._store.accounts.allow(email, issuer_id, write=call.method != "GET")
            if call.method == "PUT":
                wanted = check("Permissions", parse(call.body)).get("permissions") or []
                # The whole list is replaced: an account that forgets itself locks itself out.
                issuer.permissions = {item["emailAddress"]: item["role"].upper() for item in wanted}
            elif call.method != "GET":
                raise no_such_path(call.method, call.path)
            return orjson.dumps(issuer.permissions_as_json())
