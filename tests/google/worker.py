"""A sender as a process that may be killed, forked from one that has imported everything.

As in production, but that it gives up waiting sooner and that a dead one's rows come back sooner.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.oauth2 import service_account

import walletsvc
from tests.google.shop import HOUSE
from walletsvc.core.clock import utcnow
from walletsvc.google.client import SCOPE, GoogleClient
from walletsvc.google.due import GOOGLE
from walletsvc.google.limiter import Limiter
from walletsvc.google.sending.sender import GoogleSender
from walletsvc.jobs.signals import Listener
from walletsvc.storage import columns
from walletsvc.storage.engine import Database

LEASE = timedelta(seconds=4)
DOUBT = timedelta(seconds=2)
RATE = 400.0


for module in pkgutil.walk_packages(walletsvc.__path__, "walletsvc."):
    if module.name.endswith(".models"):
        importlib.import_module(module.name)


def main(url: str, google: str, key: dict[str, Any], log: Path) -> None:
    """Send until SIGTERM; what it says goes into the log."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(written, 1)
    os.dup2(written, 2)
    columns.unlock("test-secret-key-that-is-long-enough-0001")
    database = Database(url)
    made = service_account.Credentials.from_service_account_info(key, scopes=[SCOPE])
    client = GoogleClient(made, google, connect_seconds=1.0, read_seconds=1.0)
    sender = GoogleSender(
        database,
        client,
        Limiter(database, RATE),
        HOUSE,
        clock=utcnow,
        lease=LEASE,
        doubt=DOUBT,
        stop=stop,
    )
    with Listener(database.conninfo, GOOGLE) as listener:
        sender.run(listener.wait, 0.2)
    database.close()
