"""The Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
MISSING = (
    "The browser tests need Chromium or Chrome: install one (Debian: apt-get install chromium"
    " fonts-dejavu-core) or name it in WALLETSVC_TEST_CHROMIUM."
)


def find() -> str | None:
    """The path of a browser, as `WALLETSVC_TEST_CHROMIUM` or the system has it."""
    given = os.environ.get("WALLETSVC_TEST_CHROMIUM")
    found = (given, *map(shutil.which, _NAMES), *(each for each in _PLACES if Path(each).exists()))
    return next((path for path in found if path), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window; raises RuntimeError where none is installed."""
    path = find()
    if path is None:
        raise RuntimeError(MISSING)
    # The sandbox cannot be had as root; pages are our own.
    options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    options.append("--disable-dev-shm-usage")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":  # `make test` asks whether there is one
    sys.exit(find() is None)
