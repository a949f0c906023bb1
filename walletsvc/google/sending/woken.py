"""A thread that waits to be told that there may be something to do."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Woken(ABC):
    """The frame of such a thread; what it does when woken is its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work in a thread from now on."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do, or the end has come."""
        self._wake.set()

    def join(self) -> None:
        """Wait until what is under way is settled."""
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Until the end comes."""
