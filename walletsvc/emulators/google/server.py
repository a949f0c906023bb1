"""The emulator put together: in a test's process, or as a process of its own."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from walletsvc.core.clock import Clock, rfc3339, utcnow
from walletsvc.core.closing import Closing
from walletsvc.core.errors import NotFound
from walletsvc.emulators.google.accounts import (
    DEFAULT_ISSUER,
    Accounts,
    make_key,
    write_secret,
)
from walletsvc.emulators.google.api import Api
from walletsvc.emulators.google.budget import ALLOWANCE
from walletsvc.emulators.google.callbacks import Callbacks
from walletsvc.emulators.google.control import Control
from walletsvc.emulators.google.errors import Json
from walletsvc.emulators.google.faults import Fault, Faults
from walletsvc.emulators.google.front import Front
from walletsvc.emulators.google.http import HOST, Request, Response, Server
from walletsvc.emulators.google.journal import Journal
from walletsvc.emulators.google.links import USER, Links
from walletsvc.emulators.google.quota import Quota
from walletsvc.emulators.google.signing import Signer
from walletsvc.emulators.google.store import Store

STATE_FILE: Final = "state.json"
KEEP_SECONDS: Final = 5.0


class GoogleEmulator(Closing):
    """A running emulator; a context manager, so that a test ends it.

    `folder` keeps accounts, the root key of callbacks and, over restarts, all cards.
    """

    def __init__(self, port: int = 0, folder: Path | None = None, clock: Clock = utcnow) -> None:
        """Listens at once; port 0 is any free one. Raises ConfigurationError."""
        self._folder = folder
        self.faults = Faults()
        self.quota = Quota()
        self.journal = Journal(clock=clock)
        self.store = Store(Accounts(folder), clock)
        if folder is not None and (folder / STATE_FILE).exists():
            self.store.load((folder / STATE_FILE).read_bytes())
        self.signer = Signer(folder)
        # The server listens before the rest is there, since addresses need its port.
        self._ready = threading.Event()
        self._server = Server(self._handle, port)
        self.port = self._server.port
        self.base_url = f"http://{HOST}:{self.port}"
        self.callbacks = Callbacks(self.signer, self.faults)
        self.links = Links(self.store, self.callbacks, self.base_url)
        api = Api(self.store, self.links, self.faults, self.journal, self.quota)
        self._front = Front(self, api, Control(self))
        self._ready.set()
        self._closed = threading.Event()
        self._keeper = threading.Thread(target=self._keep_on, name="google-keeper", daemon=True)
        if folder is not None:
            self._keeper.start()

    def close(self) -> None:
        """Stop, and keep what is to be kept."""
        self._closed.set()
        self.faults.clear()
        self.journal.close()
        self._server.close()
        self.callbacks.close()
        if self._keeper.is_alive():
            self._keeper.join()
        self.keep()

    def _keep_on(self) -> None:
        kept = self.journal.last
        while not self._closed.wait(KEEP_SECONDS):
            if self.journal.last != kept:
                kept = self.journal.last
                self.keep()

    def keep(self) -> None:
        """Write everything down, when there is a folder for it."""
        if self._folder is not None:
            with self.store.lock:
                dumped = self.store.dump()
            write_secret(self._folder / STATE_FILE, dumped)

    def _handle(self, request: Request) -> Response | None:
        self._ready.wait()
        return self._front.handle(request)

    def account(
        self,
        issuer_id: str = DEFAULT_ISSUER,
        role: str = "WRITER",
        private_key: str | None = None,
    ) -> Json:
        """The key of a new service account, as in its file; no role: it was not invited.

        Tests that need no key of their own give one in PEM, since making it takes a moment.
        """
        key, known = make_key(f"{self.base_url}/token", issuer_id, role, private_key)
        with self.store.lock:
            self.store.accounts.add(known)
        return key

    def write_account(self, path: Path, issuer_id: str = DEFAULT_ISSUER) -> str:
        """The key file of a new service account; returns its e-mail address."""
        key = self.account(issuer_id)
        write_secret(path, orjson.dumps(key))
        return str(key["client_email"])

    def resource(self, resource_id: str) -> Json:
        """A class or object as it is kept; raises NotFound."""
        with self.store.lock:
            stored = self.store.find(resource_id)
            if stored is None:
                raise NotFound(f"There is no class or object {resource_id}.")
            self.store.expire(stored)
            return dict(stored.body)

    def save(self, object_id: str, user: str = USER, *, callback: bool = True) -> None:
        """Somebody adds an object to a wallet; raises LinkError when there is none."""
        self.links.hold(object_id, user, holds=True, callback=callback)

    def remove(self, object_id: str, user: str = USER, *, callback: bool = True) -> None:
        """Somebody removes an object from a wallet."""
        self.links.hold(object_id, user, holds=False, callback=callback)

    def arm(self, fault: str, **limits: Any) -> None:
        """Let the next answers or callbacks fail; see `faults.Fault`."""
        self.faults.arm(Fault(fault, **limits))

    def buzzes(self, after: int = 0, object_id: str | None = None) -> list[Json]:
        """What would have buzzed, newest last."""
        with self.store.lock:
            return self.store.buzzes.log(after, object_id)

    def log(self, after: int = 0) -> list[Json]:
        """What was asked, newest last."""
        return self.journal.after(after)

    def advance(self, time: timedelta) -> None:
        """Move the emulator's clock: allowances come back, passes expire."""
        with self.store.lock:
            self.store.offset += time

    def set_clock(self, now: datetime) -> None:
        """Set the emulator's clock; it goes on from there."""
        with self.store.lock:
            self.store.offset += now - self.store.now()

    def review(self, class_id: str, status: str) -> None:
        """The reviewer decides: `approved` or `rejected`; raises NotFound."""
        with self.store.lock:
            stored = self.store.find(class_id)
            if stored is None or "reviewStatus" not in stored.body:
                raise NotFound(f"There is no class {class_id} to review.")
            stored.body["reviewStatus"] = status
            stored.rendered = None

    def notifications_left(self, resource_id: str) -> int:
        """How many notifications a pass (or class) has left of its three in 24 hours."""
        with self.store.lock:
            return self.store.buzzes.left(resource_id, self.store.now())

    def state(self) -> Json:
        """Everything at a glance."""
        with self.store.lock:
            return {
                "now": rfc3339(self.store.now()),
                **self.store.counts(),
                "requests": self.journal.last,
                "batches": self._front.batches,
                "buzzes": len(self.store.buzzes.log()),
                "callbacks_pending": self.callbacks.pending(),
                "quota": self.quota.as_json(),
                "armed": self.faults.as_json(),
                "issuers": sorted(self.store.accounts.issuers),
                "allowance": ALLOWANCE,
            }
