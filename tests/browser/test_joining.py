"""A customer in the shop, with a phone's browser: from the poster to the card."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.shop import Street

LANGUAGES = ("ru", "en")
ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; SM-A105F) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/120.0.0.0 Mobile Safari/537.36"
)
NAMES = {"ru": ("Анна", "Кузнецова", "Пётр"), "en": ("Anna", "Campbell", "Peter")}
DONE = {"ru": "Ваша карта готова", "en": "Your card is ready"}


def phone(browser: Browser, language: str, **options: Any) -> BrowserContext:
    """A cheap phone whose owner speaks this language."""
    return browser.new_context(
        viewport={"width": 360, "height": 740},
        user_agent=ANDROID,
        has_touch=True,
        is_mobile=True,
        locale={"ru": "ru-RU", "en": "en-GB"}[language],
        **options,
    )


FINGER = 44  # pixels: what a finger hits
_SMALL = """() => [...document.querySelectorAll(
    "button:not(.unseen), summary, a, .tick label, .input"
)].filter(each => {
    const box = each.getBoundingClientRect();
    const inText = getComputedStyle(each).display === "inline";
    return box.width && !inText && box.height < %d;
}).map(each => each.outerHTML.slice(0, 120))"""


def audit(page: Page) -> None:
    """axe-core finds nothing serious here, nothing sticks out of the screen, and whatever stands by
    itself to be pressed is large enough for a finger. It has an icon, or browsers ask for one."""
    found = json.loads(json.dumps(Axe().run(page).response))["violations"]
    serious = [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found
               if each["impact"] in ("serious", "critical")]  # fmt: skip
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(_SMALL % FINGER) == []
    assert page.locator("link[rel=icon]").count() == 1


def watched(page: Page) -> list[str]:
    """What the browser complains of, from now on."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in (
        "error", "warning") else None)  # fmt: skip
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    return complaints


@pytest.mark.parametrize("language", LANGUAGES)
def test_from_the_poster_to_the_card(browser: Browser, street: Street, language: str) -> None:
    """With the fingers of a person, in under a minute, and without a word of complaint."""
    with phone(browser, language) as context:
        page = context.new_page()
        complaints = watched(page)
        began = time.monotonic()
        page.goto(f"{street.base_url}/j/{street.source.code}")
        assert page.locator("html").get_attribute("lang") == language
        audit(page)
        first, last, _ = NAMES[language]
        # Three characters a second, as people type on glass.
        page.locator("#phone").press_sequentially("89001234567", delay=30)
        page.locator("#first_name").press_sequentially(first, delay=30)
        page.locator("#last_name").press_sequentially(last, delay=30)
        page.locator("#agree").check()
        page.locator("button.do").click()
        audit(page)
        assert page.locator("#code").evaluate("field => field === document.activeElement")
        code = street.codes()[-1]
        page.keyboard.insert_text(f" {code[:3]} {code[3:]} ")  # as it is pasted
        page.keyboard.press("Enter")
        page.wait_for_url("**/c/**")
        assert DONE[language] in page.locator("[role=status]").inner_text()
        assert first in page.locator("article.card").inner_text()
        assert time.monotonic() - began < 60
        audit(page)
        assert complaints == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_javascript(browser: Browser, street: Street, language: str) -> None:
    """Mistakes, the language, the family's choice: all of it is forms and links."""
    first, _, other = NAMES[language]
    with phone(browser, language, java_script_enabled=False) as context:
        page = context.new_page()
        for name in (first, other):
            page.goto(f"{street.base_url}/join/guest")
            page.locator("#phone").fill("123")
            page.locator("#first_name").fill(name)
            page.locator("#phone").press("Enter")  # sends the form, does not change the language
            page.locator("[role=alert]").first.wait_for()
            assert page.locator("html").get_attribute("lang") == language
            foreign = "en" if language == "ru" else "ru"
            page.locator(f".tongues button[lang={foreign}]").click()
            assert page.locator("html").get_attribute("lang") == foreign
            page.locator(f".tongues button[lang={language}]").click()
            assert page.locator("#first_name").input_value() == name
            page.locator("#phone").fill("+7 900 123-45-67")
            page.locator("#agree").check()
            page.locator("button.do").click()
            page.locator("#code").fill(street.codes()[-1])
            page.locator("#code").press("Enter")
            if name == other:
                page.locator("button.person").last.click()
            page.wait_for_url("**/c/**")
        assert len(street.codes()) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_fit_for_everybody(
    browser: Browser, street: Street, language: str, scheme: Any
) -> None:
    """The pages with mistakes, the choice, the terms, in both looks."""
    first, last, other = NAMES[language]
    with phone(browser, language, color_scheme=scheme) as context:
        page = context.new_page()
        form = f"{street.base_url}/join/guest?lang={language}"
        page.goto(form)
        page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
        audit(page)
        page.locator("button.do").click()
        assert page.locator("#phone").evaluate("field => field === document.activeElement")
        audit(page)
        for name, surname in ((first, last), (other, "")):
            page.goto(form)
            page.locator("#phone").fill("89007654321")
            page.locator("#first_name").fill(name)
            page.locator("#last_name").fill(surname)
            page.locator("#agree").check()
            page.locator("button.do").click()
            page.locator("#code").fill("000000")
            page.locator("button.do").first.click()
            page.locator("#code-wrong").wait_for()
            audit(page)
            page.locator("#code").fill(street.codes()[-1])
            page.locator("button.do").first.click()
            if name == first:
                page.wait_for_url("**/c/**")
        page.wait_for_url("**/who")
        audit(page)
        page.goto(f"{street.base_url}/terms/guest")
        audit(page)


def test_the_form_is_light(browser: Browser, street: Street) -> None:
    """Everything the first page fetches is under 100 KB, and from here."""
    with phone(browser, "ru") as context:
        page = context.new_page()
        answers: list[Any] = []
        page.on("response", lambda answer: answers.append(answer))
        page.goto(f"{street.base_url}/join/guest", wait_until="networkidle")
        assert {urlsplit(answer.url).netloc for answer in answers} == {
            urlsplit(street.base_url).netloc
        }
        weight = sum(len(answer.body()) for answer in answers)
        assert len(answers) >= 4
        assert weight < 100 * 1024, {answer.url: len(answer.body()) for answer in answers}


def test_each_field_brings_its_keyboard(browser: Browser, street: Street) -> None:
    """And what the phone knows of its owner it may fill in."""
    with phone(browser, "en") as context:
        page = context.new_page()
        page.goto(f"{street.base_url}/join/guest")
        for name, keyboard, known in (
            ("phone", "tel", "tel"),
            ("first_name", None, "given-name"),
            ("last_name", None, "family-name"),
            ("birthday_year", "numeric", "bday-year"),
            ("email", "email", "email"),
        ):
            field = page.locator(f"[name={name}]")
            assert field.get_attribute("inputmode") == keyboard
            assert field.get_attribute("autocomplete") == known
            # Smaller letters make an iPhone zoom in and never out again.
            assert field.evaluate("each => parseFloat(getComputedStyle(each).fontSize)") >= 16
