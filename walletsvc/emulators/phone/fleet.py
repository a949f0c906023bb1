"""Many phones in one process: a pool of threads acts on whatever pushes come in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cryptography import x509

from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.closing import Closing
from walletsvc.emulators.phone.errors import TimedOut
from walletsvc.emulators.phone.events import Report, Update, silent
from walletsvc.emulators.phone.pushes import Pushes
from walletsvc.emulators.phone.transport import Transport
from walletsvc.emulators.phone.wallet import Phone

# Beyond this the threads wait for each other and for the server, not for the network.
_MOST_THREADS = 16


class Fleet(Closing):
    """`devices` phones that share one push stream, one transport and a few threads.

    A phone that objects to something is counted in `failures` and goes on.
    `updates` counts the updates of each device.
    """

    def __init__(
        self,
        pushes: Pushes,
        devices: int,
        *,
        roots: Sequence[x509.Certificate] = (),
        language: str = "ru",
        report: Report = silent,
        transport: Transport | None = None,
        on_update: Callable[[Phone, Update], None] | None = None,
        clock: Clock = utcnow,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.failures: list[BaseException] = []
        self._pushes = pushes
        self._own_transport = transport is None
        self._transport = transport or Transport()
        self._on_update = on_update
        self._timer = timer
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(min(_MOST_THREADS, devices), "phone")
        self.phones = [
            Phone(
                pushes,
                roots=roots,
                language=language,
                report=report,
                transport=self._transport,
                on_pending=self._schedule,
                clock=clock,
                timer=timer,
            )
            for _ in range(devices)
        ]
        self.updates: dict[str, int] = {phone.device: 0 for phone in self.phones}

    def close(self) -> None:
        """Switch all phones off."""
        for phone in self.phones:
            phone.close()
        self._transport.hurry()
        self._pool.shutdown(cancel_futures=True)
        if self._own_transport:
            self._transport.close()

    def add(self, urls: Sequence[str]) -> None:
        """Have every phone add and register every pass; raises the first objection."""

        def add_all(phone: Phone) -> None:
            for url in urls:
                phone.add(url)

        self._everyone(add_all)

    def remove_all(self) -> None:
        """Have every phone unregister and forget its passes; raises the first objection."""
        self._everyone(Phone.remove_all)

    def wait(self, *, updates: int | None, timeout: float | None) -> None:
        """Return once every device had that many updates; with None, when the time is over.

        Raises the first objection of any phone, and TimedOut when updates are missing.
        """
        deadline = None if timeout is None else self._timer() + timeout
        with self._changed:
            while updates is None or min(self.updates.values()) < updates:
                if self.failures:
                    raise self.failures[0]
                left = None if deadline is None else deadline - self._timer()
                if left is not None and left <= 0:
                    if updates is None:
                        return
                    late = sum(1 for count in self.updates.values() if count < updates)
                    raise TimedOut(
                        f"{late} of {len(self.phones)} phones had fewer than {updates} "
                        f"updates within {timeout:g} s"
                    )
                self._changed.wait(left)
            if self.failures:
                raise self.failures[0]

    def _everyone(self, step: Callable[[Phone], None]) -> None:
        futures: list[Future[None]] = [self._pool.submit(step, phone) for phone in self.phones]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()

    def _schedule(self, phone: Phone) -> None:
        if self._pushes.failure is not None:
            self._fail(self._pushes.failure)
            return
        try:
            future = self._pool.submit(self._follow, phone)
        except RuntimeError:
            return  # the pool is shut: the phones have been switched off
        future.add_done_callback(self._note_failure)

    def _note_failure(self, future: Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._fail(error)

    def _follow(self, phone: Phone) -> None:
        updates = phone.handle_pushes()
        if self._on_update is not None:
            for update in updates:
                self._on_update(phone, update)
        with self._changed:
            self.updates[phone.device] += len(updates)
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self.failures.append(error)
            self._changed.notify_all()
