"""What every edge is built from; passed in, never global."""

from __future__ import annotations

from dataclasses import dataclass

from walletsvc.core.clock import Clock, utcnow
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database


@dataclass(frozen=True)
class Deps:
    """The adapters of one web process."""

    settings: Settings
    database: Database
    clock: Clock = utcnow
