"""Several processes that live and end as one: what `up`, `worker` and `demo` run.

A child that dies is started again, after waits that grow while it goes on dying. Each child is
a program of its own in its own process group, so that the terminal's Ctrl-C reaches only the
supervisor, which then stops everybody once and in order. Children that call
`core.processes.die_with_parent` at their start also end when the supervisor is killed.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, Final, Self

import structlog

from walletsvc.core.errors import ConfigurationError
from walletsvc.core.processes import parent_mark

log = structlog.get_logger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_POLL_SECONDS: Final = 0.1
# Nobody waits for this: a dead child is started again half a second later at the earliest.
_TEND_SECONDS: Final = 0.5
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 30.0
# Who ran so long can run: its end counts as its first. Who refuses to go on sooner after its
# very first start was never able to.
_STEADY_SECONDS: Final = 60.0
_TRIAL_SECONDS: Final = 10.0


@dataclass
class _Child:
    name: str
    argv: list[str]
    env: dict[str, str]
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    ends: int = 0  # in a row
    due: float | None = None  # when to start it again

    def outcome(self) -> str | None:
        """How it ended, in words; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        if code < 0:
            return f"signal {-code}, {signal.strsignal(-code)}"
        return f"exit code {code}"

    def never_worked(self) -> bool:
        """Whether it ended of its own will at its very first start: trying again is no use."""
        early = time.monotonic() - self.started < _TRIAL_SECONDS
        return self.ends == 0 and early and self.process.returncode > 0

    def next_wait(self) -> float:
        """Seconds until it is started again: 0.5 to 1, up to 15 to 30 if it goes on ending."""
        if time.monotonic() - self.started >= _STEADY_SECONDS:
            self.ends = 0
        longest = min(_FIRST_WAIT * 2**self.ends, _LONGEST_WAIT)
        self.ends += 1
        return random.uniform(longest / 2, longest)  # noqa: S311 - spreads, guards nothing

    def kill_group(self) -> None:
        """Kill it with whatever it started and left behind."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left (macOS says so with the second)


class Supervisor:
    """Starts named child processes in order, watches them, and stops them all together.

    Use it as a context manager, in the main thread: inside the block, the first SIGTERM, SIGINT
    or SIGHUP ends the block with SystemExit (128 + signal), except in `run_until_signal`, which
    returns. Leaving the block stops the children.
    """

    def __init__(self, *, grace: float = 20.0) -> None:
        """`grace`: seconds that children have between SIGTERM and SIGKILL."""
        self._grace = grace
        self._children: list[_Child] = []
        self._signal: int | None = None
        self._signalled = threading.Event()
        self._deferring = False
        self._former_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup: a closed terminal is no reason to end
            self._former_handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Start one child; with `ready`, wait until that answers True.

        `env` is added to this process's environment. Raises ConfigurationError when the program
        cannot be started, when any child ends meanwhile, or after `timeout` seconds.
        """
        self._deferring = True
        words, added = list(argv), dict(env or {})
        try:
            process = _launch(words, added)
        except OSError as error:
            raise ConfigurationError(f"{name} cannot be started: {error.strerror}.") from error
        else:
            self._children.append(_Child(name, words, added, process))
        finally:
            self._deferring = False
        self.wait(name, ready, timeout)

    def wait(self, name: str, ready: Callable[[], bool] | None, timeout: float) -> None:
        """Wait until `ready` answers True; raises as `start` does, naming `name`."""
        self._deferring = True
        try:
            self._wait_until_ready(name, ready, timeout)
        finally:
            self._deferring = False
        if self._signal is not None:  # it came after the last look
            raise SystemExit(128 + self._signal)

    def run_until_signal(
        self,
        *,
        started: Callable[[], None] = lambda: None,
        stopping: Callable[[], None] = lambda: None,
    ) -> int:
        """Wait for a signal, starting again whoever ends meanwhile; stop everybody; the exit code.

        `started` is called first: whoever reads what it says may send the signal. `stopping` is
        called when a signal came, before the children are asked to end. The code is 0 after a
        signal. Only a child that gives up right after its first start ends everybody: the code
        is the child's then, and one line on stderr names it.
        """
        self._deferring = True
        started()
        code = 0
        while not self._signalled.wait(_TEND_SECONDS):
            hopeless = self._tend()
            if hopeless is not None:
                _report(
                    f"{hopeless.name} stopped unexpectedly ({hopeless.outcome()}); "
                    "stopping the others."
                )
                code = hopeless.process.returncode
                break
        else:
            stopping()
        self.stop()
        return code

    def _tend(self) -> _Child | None:
        """Look after children that ended; returns one that it is no use to start again."""
        for child in self._children:
            if child.process.poll() is None:
                continue
            if child.due is None:
                if child.never_worked():
                    return child
                wait = child.next_wait()
                child.due = time.monotonic() + wait
                log.error(
                    "a part stopped unexpectedly and is started again",
                    part=child.name,
                    outcome=child.outcome(),
                    in_seconds=round(wait, 1),
                )
            elif time.monotonic() >= child.due:
                self._start_again(child)
        return None

    @staticmethod
    def _start_again(child: _Child) -> None:
        child.kill_group()  # what it left behind had the wait to finish
        try:
            child.process = _launch(child.argv, child.env)
        except OSError as error:  # out of memory or processes, for now
            child.due = time.monotonic() + child.next_wait()
            log.warning("a part cannot be started", part=child.name, error=error.strerror)
            return
        child.started, child.due = time.monotonic(), None
        log.warning("a part was started again", part=child.name)

    def stop(self) -> None:
        """Ask all children to end, latest first; kill those that do not. Harmless when repeated."""
        self._deferring = True
        children = self._children[::-1]
        for child in children:
            child.process.terminate()
        deadline = time.monotonic() + self._grace
        for child in children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _report(f"{child.name} did not stop within {self._grace:g} s and is killed.")
            child.kill_group()
            child.process.wait()
        self._children.clear()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signal is not None:
            return  # stopping already: a second Ctrl-C must not cut that short
        self._signal = number
        self._signalled.set()
        if not self._deferring:
            raise SystemExit(128 + number)

    def _first_ended(self) -> _Child | None:
        return next((c for c in self._children if c.process.poll() is not None), None)

    def _wait_until_ready(
        self, name: str, ready: Callable[[], bool] | None, timeout: float
    ) -> None:
        deadline = time.monotonic() + timeout
        while True:
            if self._signal is not None:
                raise SystemExit(128 + self._signal)
            ended = self._first_ended()
            if ended is not None:
                raise ConfigurationError(f"{ended.name} stopped while starting: {ended.outcome()}.")
            if ready is None or ready():
                break
            if time.monotonic() > deadline:
                raise ConfigurationError(f"{name} is not ready after {timeout:g} s.")
            self._signalled.wait(_POLL_SECONDS / 2)


def _launch(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        env={**os.environ, **env, **parent_mark()},
        stdin=subprocess.DEVNULL,
        process_group=0,
    )


def _report(line: str) -> None:
    print(f"walletsvc: {line}", file=sys.stderr, flush=True)


def port_is_free(host: str, port: int, setting: str = "WALLETSVC_PORT") -> None:
    """Check that a server may listen on this address.

    Raises ConfigurationError that names `setting` (the port's) when it may not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} is taken: stop the other program or set {setting}"
        elif error.errno == errno.EACCES:
            message = f"port {port} is reserved for the system: set {setting}"
        else:
            message = f"nothing can listen on {host}, port {port}: {error.strerror}"
        raise ConfigurationError(message) from error
