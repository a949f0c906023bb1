"""The holder at the card's page, with a phone's browser: the live code, and every page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.account_shots import furnish, log_in
from tests.browser.shop import Street
from tests.browser.test_joining import LANGUAGES, audit, phone, watched
from tests.storefront.account.house import Past
from walletsvc.core.clock import utcnow
from walletsvc.people.sessions import service as sessions

PAGES = ("", "/purchases", "/purchases/{purchase}", "/certificates", "/settings", "/phone")


@pytest.fixture
def past(street: Street) -> Past:
    """A holder with a past, whose card has codes of the moment."""
    return furnish(street)


def drawn(page: Page) -> str:
    return page.locator("#live .live-code").inner_html()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_of_the_holder(
    browser: Browser, street: Street, past: Past, language: str
) -> None:
    """Nothing serious for axe, nothing wider than the screen, no word of complaint, and light."""
    with phone(browser, language) as context:
        page = context.new_page()
        complaints, weights = watched(page), []
        page.on("response", lambda answer: weights.append(len(answer.body()))
                if answer.status == 200 else None)  # fmt: skip
        base = f"{street.base_url}/c/{past.card.link_token}"
        page.goto(f"{base}/login")
        audit(page)
        log_in(page, street, past.card)
        for name in PAGES:
            weights.clear()
            page.goto(base + name.format(purchase=past.purchases[0].public_id))
            for details in page.locator("details").all():
                details.evaluate("each => { each.open = true }")
            audit(page)
            assert sum(weights) < 200_000, name
        assert complaints == []


def test_the_code_renews_itself(browser: Browser, street: Street, past: Past) -> None:
    """When its time is over the next one is fetched and drawn, and the ring begins anew."""
    with phone(browser, "en") as context:
        page = context.new_page()
        log_in(page, street, past.card)
        page.clock.install()
        page.reload()
        complaints = watched(page)
        for _ in range(3):
            page.locator("#live .live-code").evaluate("each => each.replaceChildren()")
            with page.expect_response("**/code.svg") as answer:
                page.clock.run_for(31_000)
            assert 0 < float(answer.value.headers["x-code-seconds"]) <= 30
            expect(page.locator("#live .live-code svg path")).to_have_count(1)
            expect(page.locator("#live .ring-left")).to_have_class("ring-left runs")
        box = page.locator("#live .live-code svg").bounding_box()
        assert box is not None
        assert box["width"] > 150
        assert complaints == []


def test_without_a_connection_the_code_says_so(
    browser: Browser, street: Street, past: Past
) -> None:
    """An old code is not shown as if it were good; with the connection comes a new one."""
    with phone(browser, "en") as context:
        page = context.new_page()
        log_in(page, street, past.card)
        page.clock.install()
        page.reload()
        context.set_offline(True)
        page.clock.run_for(33_000)
        expect(page.get_by_text("No connection: the code is out of date")).to_be_visible()
        context.set_offline(False)
        page.clock.run_for(16_000)
        expect(page.get_by_text("The code renews itself")).to_be_visible()
        expect(page.locator("#live")).not_to_have_class("card-code-box late")


def test_who_is_logged_out_elsewhere_sees_no_more_codes(
    browser: Browser, street: Street, past: Past
) -> None:
    with phone(browser, "en") as context:
        page = context.new_page()
        log_in(page, street, past.card)
        page.clock.install()
        page.reload()
        with street.database.write_tx() as session:
            sessions.close_all(session, past.card.person_id, utcnow())
        page.clock.run_for(31_000)
        expect(page.get_by_role("link", name="Log in to my card")).to_be_visible()
        assert page.locator("#live").count() == 0


def test_without_javascript(browser: Browser, street: Street, past: Past) -> None:
    """The page loads itself anew in time, and everything else is forms and links."""
    with phone(browser, "ru", java_script_enabled=False) as context:
        page = context.new_page()
        log_in(page, street, past.card)
        wait = page.locator('noscript meta[http-equiv="refresh"]').get_attribute("content")
        assert wait is not None
        assert 1 <= int(wait) <= 31
        page.get_by_role("link", name="Настройки").click()
        page.get_by_role("button", name="English").click()
        assert page.locator("html").get_attribute("lang") == "en"
        page.get_by_role("button", name="Log out here").click()
        expect(page.get_by_role("link", name="Log in to my card")).to_be_visible()
