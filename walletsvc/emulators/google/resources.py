"""The methods on classes and objects: insert, get, list, patch, update, addMessage."""

from __future__ import annotations

import base64
from collections.abc import Callable, Container, Mapping
from typing import Any, Final

import orjson

from walletsvc.core.clock import rfc3339
from walletsvc.emulators.google import images, rules
from walletsvc.emulators.google.budget import notifying_fields
from walletsvc.emulators.google.errors import ApiError, Json, invalid_resource, malformed
from walletsvc.emulators.google.schema import TYPES, ResourceType, check, normalise
from walletsvc.emulators.google.store import Store, Stored

_NEVER_KEPT: Final = ("notifyPreference", *rules.READ_ONLY)
_NOTIFIES: Final = "TEXT_AND_NOTIFY"


def parse(body: bytes) -> Any:
    """A body in JSON; ApiError 400 when it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed("", "Invalid JSON payload received.") from error


def merge(kept: Json, patch: Json) -> Json:
    """Patch semantics: null removes, objects merge, everything else (arrays too) is replaced."""
    merged = dict(kept)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = merge(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = value
    return merged


class Resources:
    """Every method takes the e-mail address of whoever calls and raises ApiError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def insert(self, kind: ResourceType, email: str, body: Any) -> bytes:
        """A new class or object; 409 when the id is taken."""
        wanted = self.judge(kind, email, body)
        with self._store.lock:
            self._refuse_taken(kind, wanted["id"])
            now = rfc3339(self._store.now())
            return self._present(self._store.put(kind, _with_defaults(kind, wanted, now)))

    def judge(
        self, kind: ResourceType, email: str, body: Any, classes: Container[str] = ()
    ) -> Json:
        """What would be kept of a new resource; `classes` are about to be inserted with it."""
        wanted = merge({}, self._accepted(kind, body))
        issuer_id = rules.issuer_of(wanted.get("id"))
        with self._store.lock:
            self._store.accounts.allow(email, issuer_id)
            self._refuse_taken(kind, wanted["id"])
        self._check_images(kind, wanted, wanted)
        with self._store.lock:
            self._complete(kind, wanted, wanted, None, classes)
        return wanted

    def _refuse_taken(self, kind: ResourceType, resource_id: str) -> None:
        if self._store.find(resource_id) is not None:
            message = f"{kind.schema} {resource_id} already exists."
            raise ApiError(409, "alreadyExists", message)

    def get(self, kind: ResourceType, email: str, resource_id: str) -> bytes:
        """A class, or an object with its class."""
        with self._store.lock:
            stored = self._known(kind, email, resource_id, write=False)
            self._store.expire(stored)
            return self._present(stored, with_class=True)

    def page(self, kind: ResourceType, email: str, query: Mapping[str, str]) -> bytes:
        """Classes of an issuer or objects of a class, in pages when `maxResults` is given."""
        with self._store.lock:
            found = self._listed(kind, email, query)
            start, size = _page(query, len(found))
            shown = found[start : start + size]
            for stored in shown:
                self._store.expire(stored)
            fragments = [orjson.Fragment(self._present(stored, True)) for stored in shown]
        pagination: Json = {"kind": "walletobjects#pagination", "resultsPerPage": len(shown)}
        if start + size < len(found):
            pagination["nextPageToken"] = base64.urlsafe_b64encode(
                str(start + size).encode()
            ).decode()
        return orjson.dumps({"pagination": pagination, "resources": fragments})

    def patch(self, kind: ResourceType, email: str, resource_id: str, body: Any) -> bytes:
        """Merge into what is kept; arrays are replaced whole."""
        patch = self._accepted(kind, body)
        return self._change(kind, email, resource_id, body, patch, merge)

    def update(self, kind: ResourceType, email: str, resource_id: str, body: Any) -> bytes:
        """Replace everything but what the platform sets: messages that are not named are gone."""
        wanted = self._accepted(kind, body)

        def replaced(kept: Json, given: Json) -> Json:
            platform: Json = {key: kept[key] for key in rules.READ_ONLY if key in kept}
            return merge({"id": resource_id, **platform}, given)

        return self._change(kind, email, resource_id, body, wanted, replaced)

    def add_message(self, kind: ResourceType, email: str, resource_id: str, body: Any) -> bytes:
        """Show a message in a pass, or in all passes of a class. The same id twice shows twice."""
        check("AddMessageRequest", body)
        message = body.get("message")
        if not message:
            raise invalid_resource("message is required.")
        rules.check_message(message, "message")
        message = merge({}, normalise("Message", message))
        with self._store.lock:
            stored = self._known(kind, email, resource_id)
            messages = [*stored.body.get("messages", ()), message]
            merged = {**stored.body, "messages": messages}
            rules.check_fields(kind, merged, ("messages",))
            self._notify(stored, {}, [message])
            self._keep(stored, merged)
            resource = orjson.Fragment(self._present(stored))
            return orjson.dumps({"resource": resource})

    def _accepted(self, kind: ResourceType, body: Any) -> Json:
        """A body of the schema in Google's form, without what only the platform sets."""
        normalised = normalise(kind.schema, check(kind.schema, body))
        for key in _NEVER_KEPT:
            normalised.pop(key, None)
        if normalised.get("id") is None:
            normalised.pop("id", None)
        return normalised

    def _known(
        self, kind: ResourceType, email: str, resource_id: str, *, write: bool = True
    ) -> Stored:
        self._store.accounts.allow(email, rules.issuer_of(resource_id), write=write)
        stored = self._store.find_kind(kind, resource_id)
        if stored is not None:
            return stored
        missing = rules.class_not_found if kind.is_class else rules.object_not_found
        raise missing(resource_id)

    def _change(
        self,
        kind: ResourceType,
        email: str,
        resource_id: str,
        body: Json,
        change: Json,
        apply: Callable[[Json, Json], Json],
    ) -> bytes:
        """Patch or update: the rules, the notifications it asks for, and only then the change."""
        if kind.is_class:
            with self._store.lock:
                seen = apply(self._known(kind, email, resource_id).body, change)
            self._check_images(kind, seen, change)
        with self._store.lock:
            stored = self._known(kind, email, resource_id)
            if change.get("id") not in (None, resource_id):
                raise invalid_resource("The id of the body is not that of the path.")
            merged = apply(stored.body, change)
            self._complete(kind, merged, change, stored)
            self._notify(stored, notifying_fields(kind.schema, body), change.get("messages") or [])
            self._keep(stored, merged)
            return self._present(stored)

    def _complete(
        self,
        kind: ResourceType,
        merged: Json,
        named: Json,
        stored: Stored | None,
        classes: Container[str] = (),
    ) -> None:
        """All rules on what would be kept; sets the review status of a class."""
        rules.check_required(kind, merged)
        rules.check_fields(kind, merged, named)
        issuer_id = rules.issuer_of(merged["id"])
        if named.get("merchantLocations"):
            self._check_places_allowed(issuer_id)
        if kind.is_class:
            if "reviewStatus" in rules.REQUIRED[kind.schema]:
                merged["reviewStatus"] = rules.next_review_status(
                    None if stored is None else stored.body["reviewStatus"],
                    merged["reviewStatus"],
                    at_once=self._store.switches.review_at_once,
                )
            return
        if stored is None and merged["classId"] in classes:
            rules.check_same_issuer(merged["classId"], issuer_id)
        elif stored is None:
            self._check_class(kind, merged["classId"], issuer_id)
        elif merged["classId"] != stored.body["classId"]:
            raise invalid_resource("classId of an object cannot be changed.")
        if named.get("linkedObjectIds"):
            self._check_links(merged["id"], merged["linkedObjectIds"], issuer_id)

    def _check_places_allowed(self, issuer_id: str) -> None:
        if not self._store.accounts.issuers[issuer_id].merchant_locations:
            raise invalid_resource("This issuer is not allow-listed for merchantLocations.")

    def _check_class(self, kind: ResourceType, class_id: object, issuer_id: str) -> None:
        rules.check_same_issuer(class_id, issuer_id)
        found = self._store.find_kind(TYPES[f"{kind.family}Class"], str(class_id))
        if found is None:
            raise rules.class_not_found(str(class_id))
        rules.check_usable(found.id, found.body.get("reviewStatus"))

    def _check_links(self, object_id: str, linked: Any, issuer_id: str) -> None:
        for target_id in linked:
            if rules.issuer_of(target_id) != issuer_id or target_id == object_id:
                raise invalid_resource(f"{target_id} cannot be linked to {object_id}.")
            target = self._store.find(target_id)
            if target is None or target.kind.is_class:
                raise rules.object_not_found(target_id)
            if target.body.get("linkedObjectIds"):
                raise invalid_resource(f"{target_id} has linked objects itself.")

    def _check_images(self, kind: ResourceType, wanted: Json, named: Json) -> None:
        if kind.is_class and self._store.switches.check_images:
            images.check_images(wanted, named)

    def _notify(self, stored: Stored, fields: Json, messages: Any) -> None:
        """Spend and log what a change makes buzz; raises quotaExceeded before anything is kept."""
        buzzing = [item for item in messages if item.get("messageType") == _NOTIFIES]
        count = bool(fields) + len(buzzing)
        if not count or not (stored.kind.is_class or stored.users):
            return
        now, buzzes = self._store.now(), self._store.buzzes
        buzzes.spend(stored.id, now, count)
        told: list[tuple[str, Json]] = [("UPDATE", {"fields": fields})] if fields else []
        told += [
            ("MESSAGE", {"messageId": item.get("id"), "header": item.get("header"),
                         "text": item.get("body")})
            for item in buzzing
        ]  # fmt: skip
        for kind, what in told:
            if stored.kind.is_class:
                holders = [item.id for item in self._store.members(stored.id) if item.users]
                buzzes.buzz_holders(holders, stored.id, f"CLASS_{kind}", now, **what)
            else:
                buzzes.buzz(stored.id, kind, now, **what)

    def _keep(self, stored: Stored, merged: Json) -> None:
        stored.body = merged
        stored.rendered = None

    def _listed(self, kind: ResourceType, email: str, query: Mapping[str, str]) -> list[Stored]:
        if kind.is_class:
            issuer_id = query.get("issuerId", "")
            self._store.accounts.allow(email, issuer_id, write=False)
            return self._store.classes(kind, issuer_id)
        class_id = query.get("classId", "")
        self._known(TYPES[f"{kind.family}Class"], email, class_id, write=False)
        return self._store.members(class_id)

    def _present(self, stored: Stored, with_class: bool = False) -> bytes:
        if not with_class or stored.kind.is_class:
            return orjson.dumps(stored.body)
        parent = self._store.class_of(stored)
        if parent.rendered is None:
            parent.rendered = orjson.dumps(parent.body)
        return orjson.dumps({**stored.body, "classReference": orjson.Fragment(parent.rendered)})


def _with_defaults(kind: ResourceType, body: Json, now: str) -> Json:
    """What answers carry although nobody sent it; some of it is in no enum."""
    kept = {"kind": kind.kind, **body}
    if kind.is_class:
        kept.setdefault("viewUnlockRequirement", "viewUnlockRequirementUnspecified")
        kept.setdefault("multipleDevicesAndHoldersAllowedStatus", "statusUnspecified")
        return kept
    kept["hasUsers"] = False
    if kind.family == "generic":
        kept.setdefault("state", "active")
        kept.setdefault("genericType", "genericTypeUnspecified")
    else:
        kept["hasLinkedDevice"] = False
        kept.setdefault("disableExpirationNotification", False)
        kept["version"] = "1"
    if "balance" in kept:
        kept.setdefault("balanceUpdateTime", {"date": now})
    return kept


def _page(query: Mapping[str, str], total: int) -> tuple[int, int]:
    """Where a page starts and how much it holds; everything when no size is asked for."""
    try:
        size = int(query.get("maxResults") or total or 1)
        token = query.get("token")
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError as error:
        raise invalid_resource("maxResults or token is not valid.") from error
    if size < 1 or start < 0:
        raise invalid_resource("maxResults or token is not valid.")
    return start, size
