"""Pictures of the public pages: `python -m tests.browser.shots FOLDER`.

Every page at three widths, in both languages, light and dark, to be looked at by people.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser import chromium
from tests.browser.shop import Street, running
from walletsvc.app import event_handlers
from walletsvc.jobs import events
from walletsvc.storage import columns
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import upgrade

WIDTHS = (360, 768, 1440)
_NAMES = {"ru": ("Анна", "Кузнецова", "Пётр"), "en": ("Anna", "Campbell", "Peter")}
Shoot = Callable[[Page, str], None]


def fill(page: Page, phone: str, first: str) -> None:
    """What everybody fills in."""
    page.get_by_label("Телефон", exact=False).or_(page.get_by_label("Phone")).first.fill(phone)
    page.locator("#first_name").fill(first)
    page.locator("#agree").check()


def story(page: Page, street: Street, language: str, phone: str, shoot: Shoot) -> None:
    """Once through all pages."""
    first, last, other = _NAMES[language]
    page.goto(f"{street.base_url}/j/{street.source.code}?lang={language}")
    page.goto(f"{street.base_url}/join/guest?s={street.source.code}&lang={language}")
    shoot(page, "form")
    page.locator("#phone").fill("12345")
    page.locator("#email").fill("anna")
    page.locator("[name=birthday_day]").fill("31")
    page.locator("[name=birthday_month]").fill("2")
    page.locator("button.do").click()
    shoot(page, "form-wrong")
    for part, value in (("day", ""), ("month", "")):
        page.locator(f"[name=birthday_{part}]").fill(value)
    page.locator("#email").fill("")
    fill(page, phone, first)
    page.locator("#last_name").fill(last)
    page.locator("button.do").click()
    shoot(page, "code")
    page.locator("#code").fill("000000")
    page.locator("button.do").first.click()
    shoot(page, "code-wrong")
    page.locator("#code").fill(street.codes()[-1])
    page.locator("button.do").first.click()
    page.wait_for_url("**/c/**")
    shoot(page, "card")
    page.goto(f"{street.base_url}/join/guest")
    fill(page, phone, other)
    page.locator("button.do").click()
    page.locator("#code").fill(street.codes()[-1])
    page.locator("button.do").first.click()
    shoot(page, "who")
    page.goto(f"{street.base_url}/terms/guest")
    shoot(page, "terms")
    page.goto(f"{street.base_url}/join/gift")
    shoot(page, "closed")


def shoot_all(browser: Browser, street: Street, folder: Path) -> None:
    """Every page in every look."""
    looks = itertools.product(("ru", "en"), ("light", "dark"), WIDTHS)
    for number, (language, scheme, width) in enumerate(looks):
        context = browser.new_context(
            viewport={"width": width, "height": 780},
            color_scheme=scheme,  # type: ignore[arg-type]
            device_scale_factor=1,
        )
        page = context.new_page()

        def shoot(page: Page, name: str, suffix: str = f"{language}-{scheme}-{width}") -> None:
            page.screenshot(path=folder / f"{name}-{suffix}.png", full_page=True)

        story(page, street, language, f"+7900111{number:04}", shoot)
        context.close()


def main(folder: Path) -> None:
    """With a database of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    columns.unlock("secret-key-for-pictures-that-is-long-enough")
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name) / "pg") as server:
        database = Database(server.start(), pool_size=8, carried=events.carried(event_handlers()))
        upgrade(database)
        with running(database, Path(name)) as street, chromium.launched() as browser:
            shoot_all(browser, street, folder)
        database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
