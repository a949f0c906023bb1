"""The looks that pages are pictured in: three widths, both languages, light and dark."""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import chromium
from tests.browser.shop import Street, running
from walletsvc.app import event_handlers
from walletsvc.jobs import events
from walletsvc.storage import columns
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import upgrade

WIDTHS: Final = (360, 768, 1440)
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
AGENTS: Final = {
    360: "Mozilla/5.0 (Linux; Android 10; SM-A105F) AppleWebKit/537.36 Chrome/120.0 Mobile",
    768: "Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605 Version/18 Safari/6",
    1440: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
}


@dataclass(frozen=True)
class Look:
    """One way to see a page; `number` tells them apart."""

    number: int
    language: str
    scheme: Literal["light", "dark"]
    width: int
    folder: Path

    @property
    def name(self) -> str:
        """As files and the command line call it."""
        return f"{self.language}-{self.scheme}-{self.width}"

    def context(self, browser: Browser, **more: Any) -> BrowserContext:
        """A browser of its own that looks like this."""
        options = {"user_agent": AGENTS[self.width], "reduced_motion": "reduce"} | more
        return browser.new_context(
            viewport={"width": self.width, "height": 780}, color_scheme=self.scheme, **options
        )

    def shoot(self, page: Page, name: str, *, whole: bool = True) -> None:
        """Keep the page as it is now, or as much of it as is in sight."""
        page.screenshot(path=self.folder / f"{name}-{self.name}.png", full_page=whole)


def looks(folder: Path, wanted: Sequence[str]) -> Iterator[Look]:
    """All of them, or those named."""
    for number, (language, scheme, width) in enumerate(
        itertools.product(("ru", "en"), SCHEMES, WIDTHS)
    ):
        look = Look(number, language, scheme, width, folder)
        if not wanted or look.name in wanted:
            yield look


def picture(shoot_all: Callable[[Browser, Street, list[Look]], None], **settings: Any) -> None:
    """What the scripts do: `FOLDER [LOOK ...]`, with a shop on a database of its own."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    columns.unlock("secret-key-for-pictures-that-is-long-enough")
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name) / "pg") as server:
        database = Database(server.start(), pool_size=8, carried=events.carried(event_handlers()))
        upgrade(database)
        with running(database, Path(name), **settings) as street, chromium.launched() as browser:
            shoot_all(browser, street, list(looks(folder, sys.argv[2:])))
        database.close()


def forget_limits(street: Street) -> None:
    """The limits are those of one phone and one address; pictures ask more often."""
    with street.database.write_tx() as session:
        session.connection().exec_driver_sql("DELETE FROM limit_counters")
