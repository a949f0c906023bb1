"""Classes and objects as Google keeps them, in memory.

Bodies are kept in the form of answers (see `schema`). One lock is held for a whole request to
one resource; nobody may wait for the network inside it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from walletsvc.core.clock import Clock, utcnow
from walletsvc.emulators.google.accounts import Accounts
from walletsvc.emulators.google.auth import Tokens
from walletsvc.emulators.google.budget import Buzzes
from walletsvc.emulators.google.errors import Json
from walletsvc.emulators.google.schema import TYPES, ResourceType, canonical

SNAPSHOT: Final = 1


@dataclass(slots=True)
class Stored:
    """A class or an object; `users` are who has the object in a wallet."""

    kind: ResourceType
    body: Json
    users: set[str] = field(default_factory=set)
    # Of a class, rendered for `classReference`; None when it is to be rendered again.
    rendered: bytes | None = None

    @property
    def id(self) -> str:
        """The resource id."""
        return str(self.body["id"])


@dataclass(slots=True)
class Switches:
    """How the emulator behaves where Google depends on people or on the outside.

    `review_at_once`: a class under review is approved at once. `check_images`: image addresses
    of classes are fetched. `shuffle_batches`: the parts of a batch are applied in any order, as
    Google says it may.
    """

    review_at_once: bool = True
    check_images: bool = False
    shuffle_batches: bool = True


class Store:
    """Everything the emulator remembers of an issuer's cards."""

    def __init__(self, accounts: Accounts, clock: Clock = utcnow) -> None:
        self.lock = threading.RLock()
        self.accounts = accounts
        self.tokens = Tokens(accounts)
        self.buzzes = Buzzes()
        self.switches = Switches()
        self.offset = timedelta()
        self._clock = clock
        self._resources: dict[str, Stored] = {}
        # Object ids by class id, in order of insertion, for lists and messages to holders.
        self._members: dict[str, dict[str, None]] = {}

    def now(self) -> datetime:
        """The emulator's present, which `POST /_/clock` moves."""
        return self._clock() + self.offset

    def find(self, resource_id: str) -> Stored | None:
        """The class or object with this id; they share one space of names."""
        return self._resources.get(resource_id)

    def find_kind(self, kind: ResourceType, resource_id: str) -> Stored | None:
        """The resource with this id if it is of this type."""
        stored = self._resources.get(resource_id)
        return stored if stored is not None and stored.kind is kind else None

    def class_of(self, stored: Stored) -> Stored:
        """The class of an object."""
        return self._resources[stored.body["classId"]]

    def put(self, kind: ResourceType, body: Json) -> Stored:
        """Keep a new resource."""
        stored = Stored(kind, body)
        self._resources[stored.id] = stored
        if not kind.is_class:
            self._members.setdefault(body["classId"], {})[stored.id] = None
        return stored

    def members(self, class_id: str) -> list[Stored]:
        """The objects of a class, oldest first."""
        return [self._resources[key] for key in self._members.get(class_id, ())]

    def classes(self, kind: ResourceType, issuer_id: str) -> list[Stored]:
        """The classes of an issuer, oldest first."""
        return [
            stored
            for key, stored in self._resources.items()
            if stored.kind is kind and key.startswith(f"{issuer_id}.")
        ]

    def set_user(self, stored: Stored, user: str, *, holds: bool) -> bool:
        """Somebody saves or removes an object; whether that changed anything."""
        before = user in stored.users
        (stored.users.add if holds else stored.users.discard)(user)
        stored.body["hasUsers"] = bool(stored.users)
        return before != holds

    def expire(self, stored: Stored) -> None:
        """A pass whose time is over is expired from then on."""
        end = ((stored.body.get("validTimeInterval") or {}).get("end") or {}).get("date")
        if end is None or canonical(stored.body.get("state")) != "active":
            return
        moment = datetime.fromisoformat(end)
        now = self.now()
        if moment.tzinfo is None:
            now = now.replace(tzinfo=None)
        if moment < now:
            stored.body["state"] = "expired"

    def counts(self) -> Json:
        """How much there is, by type."""
        counted: Json = dict.fromkeys(TYPES, 0)
        saved = 0
        for stored in self._resources.values():
            counted[stored.kind.path] += 1
            saved += bool(stored.users)
        return {**counted, "saved": saved}

    def dump(self) -> bytes:
        """What outlives a restart: resources, holders, spent allowances, invitations."""
        kept: Json = {
            "snapshot": SNAPSHOT,
            "resources": [
                [stored.kind.path, stored.body, sorted(stored.users)]
                for stored in self._resources.values()
            ],
            "spent": self.buzzes.dump(),
            "issuers": {
                issuer.issuer_id: [issuer.name, issuer.permissions, issuer.merchant_locations]
                for issuer in self.accounts.issuers.values()
            },
        }
        return orjson.dumps(kept)

    def load(self, data: bytes) -> None:
        """Take over what `dump` gave; nothing when another version wrote it."""
        kept: Any = orjson.loads(data)
        if kept.get("snapshot") != SNAPSHOT:
            return
        for path, body, users in kept["resources"]:
            self.put(TYPES[path], body).users = set(users)
        self.buzzes.load(kept["spent"])
        for issuer_id, (name, permissions, locations) in kept["issuers"].items():
            issuer = self.accounts.open_issuer(issuer_id)
            issuer.name, issuer.permissions, issuer.merchant_locations = (
                name,
                permissions,
                locations,
            )
