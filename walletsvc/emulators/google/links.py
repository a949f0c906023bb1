"""Save links: JWTs that put objects into somebody's wallet, by id or with everything in them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from walletsvc.emulators.google.auth import BadJwt, is_time, verify_jwt
from walletsvc.emulators.google.callbacks import Callbacks
from walletsvc.emulators.google.errors import ApiError, Json, invalid_resource
from walletsvc.emulators.google.resources import Resources
from walletsvc.emulators.google.schema import BY_PLURAL, ResourceType, check
from walletsvc.emulators.google.store import Store, Stored

MAX_LINK: Final = 1800
PAGE: Final = "/gp/v/save/"
USER: Final = "phone"
_LEEWAY: Final = 300
_ONE_USER: Final = ("oneUserAllDevices", "oneUserOneDevice")
_Item = tuple[ResourceType, Json]


class LinkError(Exception):
    """Why a link does not work; for the error page."""


@dataclass(frozen=True, slots=True)
class Link:
    """A verified link: who signed it and what it holds, classes first."""

    email: str
    items: tuple[_Item, ...]

    def objects(self) -> list[str]:
        """The ids of the objects that it saves."""
        return [str(body.get("id")) for kind, body in self.items if not kind.is_class]


def _read_items(payload: object) -> tuple[_Item, ...]:
    if not isinstance(payload, dict) or not payload:
        raise LinkError("payload is missing or empty")
    items: list[_Item] = []
    for name, bodies in payload.items():
        kind = BY_PLURAL.get(name)
        if kind is None or not isinstance(bodies, list):
            raise LinkError(f"payload.{name} is not a list of resources that is known")
        if not all(isinstance(body, dict) for body in bodies):
            raise LinkError(f"payload.{name} holds something that is no resource")
        items += [(kind, body) for body in bodies]
    if all(kind.is_class for kind, _ in items):
        raise LinkError("payload has no object to save")
    return tuple(sorted(items, key=lambda item: not item[0].is_class))


def _check_claims(claims: Json) -> None:
    if claims.get("aud") != "google":
        raise LinkError('aud must be "google"')
    if claims.get("typ") != "savetowallet":
        raise LinkError('typ must be "savetowallet"')
    now = time.time()
    if not is_time(claims.get("iat")) or claims["iat"] > now + _LEEWAY:
        raise LinkError("iat must be the time of issue")
    if "exp" in claims and (not is_time(claims["exp"]) or claims["exp"] < now):
        raise LinkError("the link has expired")
    origins = claims.get("origins", [])
    if not isinstance(origins, list) or not all(map(_is_origin, origins)):
        raise LinkError("origins must be a list of web origins")


def _is_origin(origin: object) -> bool:
    """`https://shop.example`, or the bare host that Google's samples use."""
    if not isinstance(origin, str) or not origin:
        return False
    parts = urlsplit(origin if "://" in origin else f"https://{origin}")
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")


class Links:
    """Reads links and does what they say."""

    def __init__(self, store: Store, callbacks: Callbacks, base_url: str) -> None:
        self._store = store
        self._resources = Resources(store)
        self._callbacks = callbacks
        self._base_url = base_url
        # Links that jwt.insert made, by their last segment.
        self._inserted: dict[str, Link] = {}

    def read(self, token: str) -> Link:
        """What a link holds; raises LinkError when Google would show its error page."""
        if token in self._inserted:
            return self._inserted[token]
        if len(token) > MAX_LINK:
            raise LinkError(f"the JWT has {len(token)} characters; {MAX_LINK} is the limit")
        link = self._verified(token)
        self._check(link)
        return link

    def _verified(self, token: str) -> Link:
        with self._store.lock:
            try:
                claims, account = verify_jwt(token, self._store.accounts)
            except BadJwt as error:
                raise LinkError(f"the JWT is not valid: {error}") from error
        _check_claims(claims)
        return Link(account.email, _read_items(claims.get("payload")))

    def _check(self, link: Link) -> None:
        """Everything in it exists, or is whole and would be accepted."""
        try:
            self._missing(link.items, link.email)
        except ApiError as error:
            raise LinkError(error.message) from error

    def _missing(self, items: Iterable[_Item], email: str) -> list[_Item]:
        """What is not there yet, judged; raises ApiError for what cannot be."""
        missing: list[_Item] = []
        new_classes: set[str] = set()
        for kind, body in items:
            resource_id = body.get("id")
            with self._store.lock:
                stored = self._store.find(str(resource_id))
                if stored is not None:
                    if stored.kind is not kind:
                        raise invalid_resource(f"{resource_id} is a {stored.kind.schema}.")
                    self._store.accounts.allow(email, stored.id.partition(".")[0])
                    continue
            self._resources.judge(kind, email, body, new_classes)
            missing.append((kind, body))
            if kind.is_class:
                new_classes.add(str(resource_id))
        return missing

    def insert(self, body: Any) -> Json:
        """jwt.insert: everything in the JWT is inserted; a link for it comes back."""
        token = check("JwtResource", body).get("jwt") or ""
        try:
            link = self._verified(token)
        except LinkError as error:
            raise invalid_resource(f"Invalid JWT: {error}.") from error
        self._create(link)
        name = f"i-{secrets.token_urlsafe(24)}"
        self._inserted[name] = link
        resources: Json = {}
        with self._store.lock:
            for kind, item in link.items:
                stored = self._store.find(item["id"])
                resources.setdefault(kind.plural, []).append(stored.body if stored else item)
        return {"saveUri": f"{self._base_url}{PAGE}{name}", "resources": resources}

    def validate(self, body: Any, email: str) -> None:
        """jwt.validate: would this be accepted; raises ApiError when not."""
        if not isinstance(body, dict) or set(body) not in ({"jwtResource"}, {"jsonResource"}):
            raise invalid_resource("Give either jwtResource or jsonResource.")
        try:
            if "jwtResource" in body:
                items = self._verified(check("JwtResource", body["jwtResource"])["jwt"]).items
            else:
                items = _read_items(_resources_of(body["jsonResource"]))
        except (LinkError, KeyError) as error:
            raise invalid_resource(f"Invalid JWT: {error}.") from error
        self._missing(items, email)

    def _create(self, link: Link) -> None:
        for kind, body in self._missing(link.items, link.email):
            self._resources.insert(kind, link.email, body)

    def save(self, link: Link, user: str = USER) -> None:
        """Somebody taps Add: what is missing is made, the objects are in a wallet."""
        try:
            self._create(link)
        except ApiError as error:
            raise LinkError(error.message) from error
        for object_id in link.objects():
            self.hold(object_id, user, holds=True)

    def hold(self, object_id: str, user: str = USER, *, holds: bool, callback: bool = True) -> bool:
        """An object comes into a wallet or leaves it; whether that changed anything.

        Fires the class's callback. Raises LinkError when there is no such object or when it is
        another user's.
        """
        with self._store.lock:
            stored = self._store.find(object_id)
            if stored is None or stored.kind.is_class:
                raise LinkError(f"object {object_id} does not exist")
            if holds:
                self._check_holder(stored, user)
            changed = self._store.set_user(stored, user, holds=holds)
            if changed and callback:
                parent = self._store.class_of(stored)
                url = (parent.body.get("callbackOptions") or {}).get("url")
                if url:
                    event = "save" if holds else "del"
                    self._callbacks.fire(url, parent.id, stored.id, event, len(stored.users))
        return changed

    def _check_holder(self, stored: Stored, user: str) -> None:
        allowed = self._store.class_of(stored).body.get("multipleDevicesAndHoldersAllowedStatus")
        if allowed in _ONE_USER and stored.users - {user}:
            raise LinkError(f"object {stored.id} is in another user's wallet")

    def shown(self, link: Link) -> list[tuple[Json, Json, bool]]:
        """Object, class and whether it is held, for the page; of fat links what they say."""
        shown: list[tuple[Json, Json, bool]] = []
        given = {str(body.get("id")): body for _, body in link.items}
        with self._store.lock:
            for object_id in link.objects():
                stored = self._store.find(object_id)
                body = stored.body if stored else given[object_id]
                class_id = str(body.get("classId"))
                parent = self._store.find(class_id)
                held = stored is not None and USER in stored.users
                shown.append((body, parent.body if parent else given.get(class_id, {}), held))
        return shown


def _resources_of(resource: object) -> object:
    """The payload inside a jsonResource: Google takes it as JSON text or as it is."""
    if isinstance(resource, dict) and set(resource) == {"json"}:
        resource = resource["json"]
    if isinstance(resource, str):
        try:
            resource = orjson.loads(resource)
        except orjson.JSONDecodeError as error:
            raise LinkError("the JSON cannot be read") from error
    return resource["payload"] if isinstance(resource, dict) and "payload" in resource else resource
