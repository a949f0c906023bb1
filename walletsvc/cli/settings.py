"""The settings of a command that runs as a process."""

from __future__ import annotations

from walletsvc import settings
from walletsvc.settings import Settings
from walletsvc.web import logs


def load_settings() -> Settings:
    """The settings, with logging set up as they say."""
    loaded = settings.load()
    logs.configure(loaded.log_format, loaded.log_level)
    return loaded
