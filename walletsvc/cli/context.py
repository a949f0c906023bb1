"""What most commands need: settings, the secret key, a database with a current schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from walletsvc import settings as settings_module
from walletsvc.app import Installation, open_installation
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database


@dataclass(frozen=True)
class Runtime:
    """An open installation, as commands see it."""

    settings: Settings
    database: Database
    installation: Installation


@contextmanager
def open_runtime() -> Iterator[Runtime]:
    """Open the installation that the environment describes; bring its schema up to date."""
    with open_installation(settings_module.load()) as installation:
        yield Runtime(installation.settings, installation.database, installation)
