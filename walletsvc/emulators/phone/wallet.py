"""One phone with Apple Wallet: adds passes, registers them, follows pushes, complains.

    with Pushes(control_url) as pushes, Phone(pushes, roots=roots) as phone:
        phone.add("http://127.0.0.1:8000/p/….pkpass")
        ...
        update = phone.wait_for_update(timeout=10)
        print(update.messages)

Behaviour follows Apple, "Adding a Web Service to Update Passes". Where that leaves things
open, the phone is the strict kind: it sends If-Modified-Since (never If-None-Match, which is
for pollers), takes `lastUpdated` over only after every pass it listed was fetched, and objects
to a `Last-Modified` that does not advance with the content.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cryptography import x509

from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.closing import Closing
from walletsvc.emulators.phone.errors import (
    PhoneError,
    ProtocolViolation,
    TimedOut,
)
from walletsvc.emulators.phone.events import (
    Event,
    Kind,
    Report,
    Update,
    changes_between,
    messages_for,
    silent,
)
from walletsvc.emulators.phone.installed import Installed, check_succession
from walletsvc.emulators.phone.package import Package, open_package
from walletsvc.emulators.phone.pushes import Pushes
from walletsvc.emulators.phone.service import Fetched, WebService, read_pass
from walletsvc.emulators.phone.transport import Transport

# A pass's place in the phone, and a tag's: per web service and pass type.
_Key = tuple[str, str]


_T = TypeVar("_T")


class Phone(Closing):
    """A device. Safe to use from several threads; its own work is done one step at a time.

    `language` decides the messages; `roots` are trusted (none: the chain is only reported);
    `on_pending` is called, on the push stream's thread, when a push came in that
    `handle_pushes()` will act on: a pool of phones uses it, `wait_for_update` needs it not.
    `complaints` collects what was sent to the service's log.
    """

    def __init__(
        self,
        pushes: Pushes,
        *,
        roots: Sequence[x509.Certificate] = (),
        language: str = "ru",
        report: Report = silent,
        transport: Transport | None = None,
        on_pending: Callable[[Phone], None] | None = None,
        clock: Clock = utcnow,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = secrets.token_hex(16)
        self.language = language
        self.passes: dict[_Key, Installed] = {}
        self.tags: dict[_Key, str] = {}
        self.tokens: dict[str, str] = {}
        self.complaints: list[str] = []
        self.pushes_received = 0
        self._pushes = pushes
        self._roots = tuple(roots)
        self._report = report
        self._own_transport = transport is None
        self._transport = transport or Transport()
        self._on_pending = on_pending
        self._clock = clock
        self._timer = timer
        self._pending: dict[str, float] = {}
        self._ready: deque[Update] = deque()
        self._changed = threading.Condition()
        self._working = threading.RLock()

    def close(self) -> None:
        """Hang up; registrations stay as they are."""
        for token in self.tokens.values():
            self._pushes.unsubscribe(token)
        if self._own_transport:
            self._transport.close()

    def add(self, url: str) -> Package:
        """Download a pass, check it and register it if it has a web service.

        Raises PackageRefused, ProtocolViolation or Unreachable.
        """
        with self._working:
            answer = self._transport.call("GET", url, follow=True)
            if answer.status != 200:
                raise ProtocolViolation(f"Downloading {url}: status {answer.status}")
            fetched = read_pass(f"Downloading {url}", answer)
            self._tell(Kind.DOWNLOADED, url=url, bytes=len(fetched.data))
            package = self._open(fetched)
            self.passes[package.pass_type, package.serial] = installed = Installed.of(
                package, fetched
            )
            if package.service_url:
                self.register(installed)
            return package

    def register(self, installed: Installed) -> int:
        """Tell the service this device's push token; 201 the first time, then 200."""
        package = installed.package
        with self._working:
            token = self._push_token(package.pass_type)
            status = self._guarded(package, lambda s: s.register(package, token))
            installed.registered = True
            self._tell(Kind.REGISTERED, serial=package.serial, status=status)
            return status

    def restore(self) -> list[int]:
        """Come back with new push tokens, as after a restore: registers every pass again."""
        with self._working:
            for token in self.tokens.values():
                self._pushes.unsubscribe(token)
            self.tokens.clear()
            return [self.register(i) for i in self.passes.values() if i.package.service_url]

    def handle_pushes(self) -> list[Update]:
        """Act on the pushes that came in, one round per pass type however many they were."""
        updates: list[Update] = []
        with self._working:
            while pending := self._take_pending():
                topic, at = pending
                updates += self.on_push(topic, pushed_at=at)
        return updates

    def on_push(self, pass_type: str, *, pushed_at: float | None = None) -> list[Update]:
        """What a push causes: list what changed since the tag, fetch and replace each pass.

        Raises ProtocolViolation, PackageRefused or Unreachable after complaining to the log;
        the tag then stays as it was, so that the next push asks again.
        """
        with self._working:
            services = {
                i.package.service_url: i.package
                for i in self.passes.values()
                if i.package.pass_type == pass_type and i.package.service_url
            }
            updates: list[Update] = []
            for url, package in services.items():
                updates += self._follow((str(url), pass_type), package, pushed_at)
            return updates

    def refresh(self, pass_type: str, serial: str) -> Update | None:
        """Pull to refresh: ask for one pass without a push; None when it is unchanged."""
        with self._working:
            return self._fetch(self.passes[pass_type, serial], None)

    def wait_for_update(self, timeout: float) -> Update:
        """Wait for pushes until one of them brings a new pass; `timeout` in seconds.

        Raises TimedOut, or whatever following the push raised.
        """
        deadline = self._timer() + timeout
        before = self.pushes_received
        while True:
            # One push may update several passes: the others are for the next call.
            self._ready.extend(self.handle_pushes())
            if self._ready:
                return self._ready.popleft()
            if self._pushes.failure is not None:
                raise self._pushes.failure
            with self._changed:
                left = deadline - self._timer()
                if left <= 0:
                    raise TimedOut(
                        f"No update within {timeout:g} s; pushes received meanwhile: "
                        f"{self.pushes_received - before}"
                    )
                if not self._pending:
                    self._changed.wait(left)

    def remove(self, pass_type: str, serial: str) -> None:
        """Delete a pass: unregister it and forget it."""
        with self._working:
            installed = self.passes.pop((pass_type, serial))
            package = installed.package
            if installed.registered:
                self._guarded(package, lambda s: s.unregister(package))
                self._tell(Kind.UNREGISTERED, serial=serial)
            if all(kept != pass_type for kept, _ in self.passes):
                self.tags.pop((package.service_url or "", pass_type), None)
                if token := self.tokens.pop(pass_type, None):
                    self._pushes.unsubscribe(token)

    def remove_all(self) -> None:
        """Delete every pass."""
        for pass_type, serial in list(self.passes):
            self.remove(pass_type, serial)

    def _follow(self, key: _Key, package: Package, pushed_at: float | None) -> list[Update]:
        tag = self.tags.get(key)
        listing = self._guarded(package, lambda s: s.changed(key[1], tag))
        serials = listing.serials if listing else ()
        self._tell(Kind.LISTED, pass_type=key[1], tag=tag, serials=list(serials))
        if listing is None:
            return []
        updates: list[Update] = []
        for serial in serials:
            installed = self.passes.get((key[1], serial))
            if installed is None:
                self._complain(
                    package, f"Asked to update serial number {serial}, which is not here"
                )
            elif update := self._fetch(installed, pushed_at, named=tag is not None):
                updates.append(update)
        self.tags[key] = listing.last_updated
        return updates

    def _fetch(
        self, installed: Installed, pushed_at: float | None, *, named: bool = False
    ) -> Update | None:
        before = installed.package
        since = installed.last_modified
        fetched = self._guarded(before, lambda s: s.fetch(before, since))
        unchanged = f"Asked to update serial number {before.serial}, which is unchanged"
        if fetched is None:
            self._tell(Kind.UNCHANGED, serial=before.serial)
            if named:
                self._complain(before, f"{unchanged} (304)")
            return None
        self._tell(Kind.FETCHED, serial=before.serial, bytes=len(fetched.data))
        after = self._guarded(before, lambda _: self._open(fetched))
        self._guarded(before, lambda _: check_succession(installed, after, fetched))
        self.passes[before.pass_type, before.serial] = Installed.of(
            after, fetched, registered=installed.registered
        )
        if after.face() == before.face():
            self._tell(Kind.UNCHANGED, serial=before.serial)
            self._complain(before, f"{unchanged} (200 with the same content)")
            return None
        return self._announce(before, after, pushed_at)

    def _announce(self, before: Package, after: Package, pushed_at: float | None) -> Update:
        changes = changes_between(before, after, self.language)
        messages = messages_for(changes, after, self.language)
        update = Update(before, after, changes, messages, pushed_at, self._timer())
        self._tell(
            Kind.UPDATED,
            serial=after.serial,
            changes={c.key: [c.shown_before, c.shown_after] for c in changes},
        )
        for message in messages:
            self._tell(Kind.MESSAGE, text=message)
        return update

    def _open(self, fetched: Fetched) -> Package:
        package = open_package(fetched.data, now=self._clock(), roots=self._roots)
        self._tell(Kind.VERIFIED, serial=package.serial, chain=str(package.chain))
        for note in package.notes:
            self._tell(Kind.NOTE, text=note)
        return package

    def _guarded(self, package: Package, step: Callable[[WebService], _T]) -> _T:
        """Take a step with the pass's web service; an objection goes to its log as well."""
        service = self._service(package)
        try:
            return step(service)
        except PhoneError as error:
            self._complain(package, error.detail)
            raise

    def _complain(self, package: Package, text: str) -> None:
        self.complaints.append(text)
        self._tell(Kind.COMPLAINED, text=text)
        line = f"[{self._clock():%Y-%m-%d %H:%M:%S %z}] {text}; web service {package.service_url}"
        status = self._service(package).log([line])
        if status != 200:
            self._tell(Kind.NOTE, text=f"The log call was answered {status or 'not at all'}")

    def _service(self, package: Package) -> WebService:
        def retrying(reason: str, wait: float) -> None:
            self._tell(Kind.RETRYING, reason=reason, seconds=wait)

        return WebService(self._transport, str(package.service_url), self.device, retrying)

    def _push_token(self, topic: str) -> str:
        if topic not in self.tokens:
            token = self._pushes.mint(topic)
            self.tokens[topic] = token
            self._pushes.subscribe(token, self._pushed)
        return self.tokens[topic]

    def _pushed(self, topic: str, at: float) -> None:
        with self._changed:
            if topic:
                self.pushes_received += 1
                self._pending.setdefault(topic, at)
            self._changed.notify_all()
        if topic:
            self._report(Event(Kind.PUSHED, at, self.device, {"topic": topic}))
        if self._on_pending is not None:
            self._on_pending(self)

    def _take_pending(self) -> tuple[str, float] | None:
        with self._changed:
            for topic in self._pending:
                return topic, self._pending.pop(topic)
        return None

    def _tell(self, kind: Kind, **details: Any) -> None:
        self._report(Event(kind, self._timer(), self.device, details))
