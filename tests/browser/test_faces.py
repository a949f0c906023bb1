"""Cards and gift cards as whoever has the link sees them, and the pages that say no."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Browser

from tests.browser.card_shots import furnish
from tests.browser.looks import WIDTHS
from tests.browser.shop import Street
from tests.browser.test_joining import LANGUAGES, audit, phone
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.enrolment import settings as enrolment

HALF_A_LINE = 10  # pixels; letters may reach a little beyond theirs
USED_UP = ("card-closed", "gift-expired", "gift-owed")  # dimmed on purpose: they are of no use


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_face_is_fit_for_everybody(browser: Browser, street: Street, language: str) -> None:
    """Long names and large sums too, and links that lead nowhere."""
    with street.database.write_tx() as session:
        tokens = furnish(session, street)
    with phone(browser, language) as context:
        page = context.new_page()
        for name in tokens.keys() - USED_UP:
            page.goto(f"{street.base_url}/c/{tokens[name]}?lang={language}")
            audit(page)


def test_a_sum_of_money_stays_on_one_line(browser: Browser, street: Street) -> None:
    """However large; and a long name is not cut where there is room below."""
    with street.database.write_tx() as session:
        token = furnish(session, street)["gift-big"]
    for width in WIDTHS:
        with browser.new_context(viewport={"width": width, "height": 780}) as context:
            page = context.new_page()
            page.goto(f"{street.base_url}/c/{token}?lang=ru")
            sum_ = page.locator(".card-primary dd")
            assert sum_.inner_text().replace("\xa0", " ") == "1 234 567,50 ₽"
            assert sum_.evaluate(
                "each => each.clientHeight < 1.5 * parseFloat(getComputedStyle(each).fontSize)"
            )
            name = page.locator(".card-row dd").first
            assert name.evaluate("each => each.scrollHeight - each.clientHeight") < HALF_A_LINE


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_closed_form_and_a_wrong_address(browser: Browser, street: Street, language: str) -> None:
    with street.database.write_tx() as session:
        there = enrolment.of(session, street.shop.points)
        enrolment.change(
            session, street.shop.points, replace(there, open=False), actor=OPERATOR, now=utcnow()
        )
    with phone(browser, language) as context:
        page = context.new_page()
        page.goto(f"{street.base_url}/join/guest?lang={language}")
        assert page.locator(".banner .card-name").inner_text() == "Карта гостя"
        audit(page)
        page.goto(f"{street.base_url}/join/nothing")
        audit(page)
