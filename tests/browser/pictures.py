"""The manual's pictures of joining: `python -m tests.browser.pictures docs/images`.

Four screens of a phone side by side, in each language, from the demo's shop.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser import chromium
from tests.browser.test_joining import LANGUAGES, NAMES, phone
from tests.journeys import street as streets
from tests.journeys.street import Street
from tests.journeys.test_join import read_code, spend_money
from walletsvc.storage import columns

_BETWEEN = 24


def _joined(browser: Browser, street: Street, language: str, number: str) -> list[bytes]:
    """Form, code, card, and the holder's page after a purchase."""
    first, last, _ = NAMES[language]
    taken: list[bytes] = []
    with phone(browser, language) as context:
        page = context.new_page()
        page.goto(f"{street.base_url}/join/nordshore")
        taken.append(page.screenshot())
        page.locator("#phone").fill(number)
        page.locator("#first_name").fill(first)
        page.locator("#last_name").fill(last)
        page.locator("#agree").check()
        page.locator("button.do").click()
        page.locator("#code").wait_for()
        taken.append(page.screenshot())
        page.locator("#code").fill(read_code(page, street, number))
        page.locator("button.do").first.click()
        page.wait_for_url("**/c/**")
        spend_money(street, number)
        card = page.url.partition("?")[0]
        taken += _logged_in(page, card, street, number)
    return taken


def _logged_in(page: Page, card: str, street: Street, number: str) -> list[bytes]:
    page.wait_for_timeout(2_000)  # the card follows the purchase
    page.goto(card)
    public = page.screenshot()
    page.goto(f"{card}/login")
    page.locator("#phone").fill(number)
    page.locator("button.do").click()
    page.locator("#code").fill(read_code(page, street, number))
    page.locator("button.do").first.click()
    page.locator("article.card").wait_for()
    return [public, page.screenshot()]


def _side_by_side(screens: list[bytes]) -> Image.Image:
    """One picture on a quiet ground, with few enough colours to be small."""
    images = [Image.open(io.BytesIO(screen)).convert("RGB") for screen in screens]
    width, height = images[0].size
    whole = Image.new(
        "RGB", (len(images) * (width + _BETWEEN) + _BETWEEN, height + 2 * _BETWEEN), "#d9d5cc"
    )
    for number, image in enumerate(images):
        whole.paste(image, (_BETWEEN + number * (width + _BETWEEN), _BETWEEN))
    return whole.quantize(192, dither=Image.Dither.NONE)


def main(folder: Path) -> None:
    """With a shop of its own."""
    columns.unlock(streets.SECRET)
    with (
        tempfile.TemporaryDirectory() as name,
        streets.running(Path(name)) as street,
        chromium.launched() as browser,
    ):
        # A programme whose page has the code that renews itself.
        street.office("PATCH", "/programmes/nordshore", {"code_policy": "time_based"})
        for number, language in enumerate(LANGUAGES):
            screens = _joined(browser, street, language, f"+7900123456{number}")
            _side_by_side(screens).save(folder / f"join-{language}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
