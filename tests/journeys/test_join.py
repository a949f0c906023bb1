"""A customer before a poster, with a phone: from the printed code to points on the card.

Chromium on a phone's screen, the real processes, and the pace of a person.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from cryptography import x509
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.apple.material import document, verified
from tests.browser.test_joining import DONE, LANGUAGES, NAMES, audit, phone, watched
from tests.journeys import street as streets
from tests.journeys.street import Street
from walletsvc.cli.demo.seed import PASS_TYPES
from walletsvc.core.clock import utcnow
from walletsvc.emulators.phone import load_roots, open_package

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
# Milliseconds: five characters a second. The short form hurries, and has less time for the rest.
KEYSTROKE = 200 if LONG else 20
MINUTE = 60.0 if LONG else 50.0
FORM_BYTES = 100_000
WORTH = {"amount": 94_000, "currency": "RUB"}
POINTS = "47"  # five per cent of that


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """One shop for all who come by."""
    with streets.running(tmp_path_factory.mktemp("street")) as found:
        yield found


class Watch:
    """A stop-watch that does not count what no customer does."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def stopped(self) -> Iterator[None]:
        before = time.monotonic()
        yield
        self._began += time.monotonic() - before


def scanned(poster: Path) -> str:
    """What a camera reads off the printed page."""
    image = pypdfium2.PdfDocument(poster)[0].render(scale=2).to_pil()
    (code,) = zxingcpp.read_barcodes(image)
    assert code.format == zxingcpp.BarcodeFormat.QRCode
    return str(code.text)


def type_in(page: Page, selector: str, text: str) -> None:
    """Letter by letter."""
    page.locator(selector).press_sequentially(text, delay=KEYSTROKE)


def read_code(page: Page, street: Street, number: str) -> str:
    """The code of the message to this phone, read where people read the demo's messages."""
    inbox = page.context.new_page()
    inbox.goto(street.messages_url)
    message = inbox.locator("article", has_text=number).first
    message.wait_for(timeout=10_000)
    found = re.search(r"\b\d{6}\b", message.inner_text())
    inbox.close()
    assert found is not None
    return found.group()


def weight(page: Page) -> list[int]:
    """The sizes of all that pages fetch from now on."""
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(
        0 if answer.status in range(300, 400) else len(answer.body())))  # fmt: skip
    return sizes


def downloaded(page: Page, folder: Path) -> bytes:
    """The card's file, by the link on its page."""
    with page.expect_download() as coming:
        page.locator("a[href$='.pkpass']").click()
    file = folder / "card.pkpass"
    coming.value.save_as(file)
    return file.read_bytes()


def check_pass(package: bytes, street: Street, folder: Path, at: datetime) -> dict[str, Any]:
    """Apple's rules hold, says openssl and says a phone that shares nothing with us."""
    roots: tuple[x509.Certificate, ...] = load_roots(street.posters.parent / "certs" / "roots")
    opened = open_package(package, now=at, roots=roots)
    assert opened.chain.trusted
    assert opened.pass_type == PASS_TYPES[0]
    (root,) = [each for each in roots if each.subject == opened.chain.certificates[-1].issuer]
    return document(verified(package, root, folder, at))


def spend_money(street: Street, number: str) -> None:
    """At the till: who is it, and a purchase."""
    (member,) = street.till("/members/search", {"phone": number})["items"]
    (card,) = member["cards"]
    body = {"source": "till", "external_id": secrets.token_hex(8), "card_id": card["id"]}
    assert str(street.till("/purchases", {**body, "total": WORTH})["earned"]) == POINTS


def await_points(page: Page) -> None:
    """The customer looks at the page again."""
    for _ in range(20):
        if POINTS in page.locator("article.card dd").all_inner_texts():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError("the page does not show the points")


@pytest.mark.parametrize("language", LANGUAGES)
def test_from_the_poster_to_the_first_points(
    browser: Browser, street: Street, language: str, tmp_path: Path
) -> None:
    """In under a minute: form, code, card, pass, a purchase; nothing complains on the way."""
    number = f"+7900{secrets.randbelow(10**7):07d}"
    first, last, _ = NAMES[language]
    poster = next(street.posters.glob(f"*-{language}.pdf"))
    link = scanned(poster)
    assert link == f"{street.base_url}/j/{poster.name.partition('-')[0]}"
    with phone(browser, language) as context:
        page = context.new_page()
        complaints, sizes, watch = watched(page), weight(page), Watch()
        page.goto(link)
        assert page.locator("html").get_attribute("lang") == language
        with watch.stopped():
            assert 5_000 < sum(sizes) < FORM_BYTES
            audit(page)
        type_in(page, "#phone", number.replace("+7", "8"))
        type_in(page, "#first_name", first)
        type_in(page, "#last_name", last)
        page.locator("#agree").check()
        page.locator("button.do").click()
        page.locator("#code").wait_for()
        with watch.stopped():
            audit(page)
        type_in(page, "#code", read_code(page, street, number))
        page.locator("button.do").first.click()
        page.wait_for_url("**/c/**")
        assert DONE[language] in page.locator("[role=status]").inner_text()
        assert first in page.locator("article.card").inner_text()
        with watch.stopped():
            audit(page)
        package = downloaded(page, tmp_path)
        shown = check_pass(package, street, tmp_path, utcnow())
        number_on_card = re.sub(r"\D", "", page.locator("figcaption").inner_text())
        assert number_on_card in shown["barcodes"][0]["message"]
        spend_money(street, number)
        await_points(page)
        assert watch.seconds < MINUTE
        with watch.stopped():
            audit(page)
        # A download ends its navigation, which Chromium counts as a failed one.
        assert [each for each in complaints if not each.endswith(".pkpass")] == []


def test_without_a_code_by_a_call(browser: Browser, street: Street) -> None:
    """A number is found and shown, it rings there, and the page notices by itself."""
    number = f"+7900{secrets.randbelow(10**7):07d}"
    with phone(browser, "ru") as context:
        page = context.new_page()
        complaints = watched(page)
        page.goto(f"{street.base_url}/join/nordshore")
        page.locator("#phone").fill(number)
        page.locator("#first_name").fill("Тимур")
        page.locator("#agree").check()
        page.locator("button.do").click()
        page.locator("button[name=route][value=call]").click()
        ring = page.locator("a[href^='tel:']")
        ring.wait_for(timeout=20_000)
        audit(page)
        shown = (ring.get_attribute("href") or "").removeprefix("tel:")
        street.rings(number, shown)
        page.get_by_role("heading", name="Номер подтверждён").wait_for(timeout=20_000)
        audit(page)
        page.locator("button.do").first.click()
        page.wait_for_url("**/c/**")
        assert "Тимур" in page.locator("article.card").inner_text()
        assert complaints == []


def shown_code(page: Page) -> str:
    """What a scanner reads off the phone's screen."""
    picture = page.locator("#live .live-code").screenshot(scale="css")
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    return str(found[0].text) if found else ""


def test_the_holder_logs_in_and_the_code_renews_itself(browser: Browser, street: Street) -> None:
    """A code by SMS opens the page; its QR pays once, and a picture of the former one does not."""
    street.office("PATCH", "/programmes/nordshore", {"code_policy": "time_based"})
    number = f"+7900{secrets.randbelow(10**7):07d}"
    body = {"programme": "nordshore", "phone": number, "first_name": "Вера", "language": "ru"}
    joined = street.till("/members", body)
    spend_money(street, number)
    with phone(browser, "ru") as context:
        page = context.new_page()
        complaints = watched(page)
        page.goto(joined["page_url"])
        page.get_by_role("link", name="Войти").click()
        audit(page)
        page.locator("#phone").fill(number)
        page.locator("button.do").click()
        page.locator("#code").fill(read_code(page, street, number))
        page.locator("button.do").first.click()
        page.locator("#live").wait_for()
        audit(page)
        assert POINTS in page.locator(".sum").inner_text()
        former = shown_code(page)
        assert former.startswith(joined["card"]["number"])
        assert len(former) > len(joined["card"]["number"])
        deadline = time.monotonic() + 60
        while (later := shown_code(page)) in ("", former):
            assert time.monotonic() < deadline
            page.wait_for_timeout(500)
        taken = street.till("/scans", {"text": later})
        assert taken["presentation"]
        assert taken["problems"] == []
        refused = street.till("/scans", {"text": former})
        assert refused.get("presentation") is None
        assert refused["problems"] == ["code_old"]
        paid = street.till(
            "/purchases",
            {
                "source": "till",
                "external_id": secrets.token_hex(8),
                "card_id": taken["card"]["id"],
                "presentation": taken["presentation"],
                "total": WORTH,
                "points": int(POINTS),
            },
        )
        assert paid["points"] == int(POINTS)
        assert complaints == []
