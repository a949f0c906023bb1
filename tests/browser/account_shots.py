"""Pictures of a card's page behind the log-in: `python -m tests.browser.account_shots FOLDER`.

Every page at three widths, in both languages, light and dark, to be looked at by people.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser import chromium
from tests.browser.shop import Street, running
from tests.browser.shots import WIDTHS
from tests.passes.shop import DIALECTS, product_template
from tests.storefront.account.house import PHONE, Past, live_in, publish_rules
from walletsvc.app import event_handlers
from walletsvc.cards.models import Card
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.jobs import events
from walletsvc.passes.templates import publish
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import ConsentChannel, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.storage import columns
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import upgrade

AGENTS = {
    360: "Mozilla/5.0 (Linux; Android 10; SM-A105F) AppleWebKit/537.36 Chrome/120.0 Mobile",
    768: "Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605 Version/18 Safari/6",
    1440: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
}


def furnish(street: Street, policy: CodePolicy = CodePolicy.TIME_BASED) -> Past:
    """A holder with a past, in a programme with codes of the moment."""
    now = utcnow()
    with street.database.write_tx() as session:
        publish(
            session,
            programme_id=street.shop.gift.id,
            pass_type_id=street.shop.gift_type.id,
            template=product_template("gift"),
            dialects=DIALECTS,
            now=now,
        )
        publish_rules(session, street.shop, now - timedelta(days=99))
        past = live_in(session, street.shop, now)
        session.get_one(Programme, street.shop.points.id).code_policy = policy
        person = session.get_one(Person, past.card.person_id)
        texts = consents.current_texts(session, street.shop.organisation.id, now)
        for purpose, channels in ((Purpose.DATA, ()), (Purpose.ADVERTISING, (ConsentChannel.SMS,))):
            consents.give(
                session, person, text=texts[purpose], channels=channels, way=Way.FORM,
                language="ru", phone=PHONE, proof_id=None, actor=OPERATOR, now=now,
            )  # fmt: skip
    return past


def log_in(page: Page, street: Street, card: Card, phone: str = PHONE) -> None:
    """From the card's page to what only its holder sees."""
    page.goto(f"{street.base_url}/c/{card.link_token}/login")
    page.locator("#phone").fill(phone)
    page.locator("button.do").first.click()
    page.locator("#code").fill(street.codes()[-1])
    page.locator("button.do").first.click()
    page.wait_for_url(f"**/c/{card.link_token}")


def shoot_all(browser: Browser, street: Street, past: Past, folder: Path) -> None:
    """Every page in every look."""
    base = f"{street.base_url}/c/{past.card.link_token}"
    looks = itertools.product(("ru", "en"), ("light", "dark"), WIDTHS)
    for number, (language, scheme, width) in enumerate(looks):
        context = browser.new_context(
            viewport={"width": width, "height": 780},
            color_scheme=scheme,  # type: ignore[arg-type]
            user_agent=AGENTS[width],
        )
        page = context.new_page()
        suffix = f"{language}-{scheme}-{width}"

        def shoot(name: str, page: Page = page, suffix: str = suffix) -> None:
            page.screenshot(path=folder / f"{name}-{suffix}.png", full_page=True)

        page.goto(f"{base}?lang={language}")
        shoot("public")
        page.goto(f"{base}/login")
        shoot("login")
        with street.database.write_tx() as session:  # the limits are those of one phone
            session.connection().exec_driver_sql("DELETE FROM limit_counters")
        page.locator("#phone").fill(PHONE)
        page.locator("button.do").first.click()
        shoot("login-code")
        page.locator("#code").fill(street.codes()[-1])
        page.locator("button.do").first.click()
        page.wait_for_url(f"**/c/{past.card.link_token}")
        page.locator("details.why summary").first.click()
        shoot("card")
        page.goto(f"{base}/purchases")
        shoot("purchases")
        page.goto(f"{base}/purchases/{past.purchases[0].public_id}")
        shoot("receipt")
        page.goto(f"{base}/purchases/{past.purchases[3].public_id}")
        shoot("receipt-returned")
        page.goto(f"{base}/certificates")
        if number == 0:
            shoot("certificates-none")
            page.locator("#code").fill("WRONG")
            page.locator("button.do").first.click()
            shoot("certificates-wrong")
            page.locator("#code").fill(past.certificate.code)
            page.locator("button.do").first.click()
        shoot("certificates")
        page.goto(f"{base}/settings")
        shoot("settings")
        page.goto(f"{base}/phone")
        shoot("phone")
        page.locator("button.do").first.click()
        shoot("phone-code")
        page.locator("#code").fill(street.codes()[-1])
        page.locator("button.do").first.click()
        shoot("phone-new")
        context.close()


def main(folder: Path) -> None:
    """With a database of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    columns.unlock("secret-key-for-pictures-that-is-long-enough")
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name) / "pg") as server:
        database = Database(server.start(), pool_size=8, carried=events.carried(event_handlers()))
        upgrade(database)
        with running(database, Path(name)) as street, chromium.launched() as browser:
            shoot_all(browser, street, furnish(street), folder)
        database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
