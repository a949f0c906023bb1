"""Processes that end with the process that started them, however that one ends; their heap."""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MARK: Final = "_WALLETSVC_PARENT"
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_POLL_SECONDS: Final = 1.0
_M_ARENA_MAX: Final = -8  # glibc's malloc.h


def parent_mark() -> dict[str, str]:
    """Environment variables for a child that calls `die_with_parent`.

    They let it notice a parent that was gone before the child could ask to be told.
    """
    return {_MARK: str(os.getpid())}


def die_with_parent(otherwise: int | None = None, *, grace: float = 15.0) -> None:
    """End this process when its parent ends: SIGTERM at once, SIGKILL after `grace` seconds.

    The parent is the one that marked itself in the environment, else the process `otherwise`.
    Without either somebody started this process by hand, and it outlives that shell.

    Call it first thing in the child, from its main thread, rather than between fork and exec in
    the parent, where little is safe. Linux sends the signal itself, when the *thread* that made
    this process ends: start such children from a thread that lasts. Elsewhere a thread watches.
    A forked child of this process has to call it again.
    """
    parent = int(os.environ.pop(_MARK, "0")) or otherwise
    if parent is None:
        return
    told_by_kernel = _ask_kernel()
    if told_by_kernel and os.getppid() != parent:  # too late to be told
        os.kill(os.getpid(), signal.SIGTERM)
    watcher = threading.Thread(
        target=_follow, args=(parent, told_by_kernel, grace), name="parent-watch", daemon=True
    )
    watcher.start()


def share_one_heap() -> None:
    """Let all threads of this process allocate from one heap; call it before there are any.

    glibc gives each thread its own, so that threads do not wait for each other. Python's hardly
    ever allocate at the same time, and with one heap the next of them takes the memory that is
    in the processor's cache still. Other C libraries have nothing of the kind.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (OSError, AttributeError, TypeError):
        return


def keep_what_there_is() -> None:
    """Tell the collector that what there is now stays until the process ends.

    Call it when a process has started. Otherwise each full collection looks through all modules
    again, which was two fifths of the processor time of publishing, and a twentieth of serving.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def keeping_all() -> Iterator[None]:
    """Import a program in this block: what it makes stays, and the collector leaves it alone.

    It ran while the modules were made, again and again through all of them that there were: a
    quarter of the time from a command to its first line.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def _ask_kernel() -> bool:
    """Whether the kernel will send SIGTERM when the parent dies."""
    if sys.platform != "linux":
        return False
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return False
    return int(prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)) == 0


def _follow(parent: int, told_by_kernel: bool, grace: float) -> None:
    _wait_for_end(parent)
    if not told_by_kernel:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    # Still here: a handler hangs, or SIGTERM is ignored.
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_end(parent: int) -> None:
    """Block until `parent` is not our parent any more, without waking up where Linux allows."""
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(parent)
        except OSError:
            pass  # an old kernel, a strict sandbox, or gone already: the loop below sees it
        else:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while os.getppid() == parent:
                poll.poll()
            os.close(descriptor)
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
