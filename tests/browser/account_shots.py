"""Pictures of a card's page behind the log-in: `python -m tests.browser.account_shots FOLDER [LOOK
...]`.

Every page at three widths, in both languages, light and dark, to be looked at by people.
"""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Browser, Page

from tests.browser.looks import Look, forget_limits, picture
from tests.browser.shop import Street
from tests.passes.shop import DIALECTS, TILL, member, product_template
from tests.storefront.account.house import OTHER_PHONE, PHONE, Past, live_in, publish_rules
from walletsvc.cards.models import Card
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.ledger import service as ledger
from walletsvc.passes.templates import publish
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import ConsentChannel, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.programmes.models import CodePolicy, Programme


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


def newcomer(street: Street) -> Card:
    """Somebody with a long name, no past, and an awful lot of points to come."""
    now = utcnow()
    with street.database.write_tx() as session:
        card = member(
            session, street.shop, now, first="Александра-Виктория",
            last="Константинопольская-Заболоцкая", phone=OTHER_PHONE,
        )  # fmt: skip
        card.verified_at = now
        ledger.credit(
            session, card.account_id, 12_345_678, source="promotion", actor=TILL, reason="test",
            now=now, available_from=now + timedelta(days=6),
        )  # fmt: skip
    return card


def card_pages(page: Page, street: Street, look: Look, past: Past) -> None:
    """The holder's pages, one after the other."""
    base = f"{street.base_url}/c/{past.card.link_token}"
    page.locator("details.why summary").first.click()
    look.shoot(page, "card")
    page.goto(f"{base}/purchases")
    look.shoot(page, "purchases")
    page.goto(f"{base}/purchases/{past.purchases[0].public_id}")
    look.shoot(page, "receipt")
    page.goto(f"{base}/purchases/{past.purchases[3].public_id}")
    look.shoot(page, "receipt-returned")
    page.goto(f"{base}/certificates")
    page.locator("#code").fill("WRONG")
    page.locator("button.do").first.click()
    look.shoot(page, "certificates-wrong")
    for _ in range(2):
        page.locator("#code").fill(past.certificate.code)
        page.locator("button.do").first.click()
    look.shoot(page, "certificates")
    page.goto(f"{base}/settings")
    page.locator("#channel-sms").check()
    page.get_by_role("button", name="Сохранить").or_(
        page.get_by_role("button", name="Save")
    ).click()
    look.shoot(page, "settings")


def phone_change(page: Page, street: Street, look: Look, base: str) -> None:
    """As far as the new number."""
    page.goto(f"{base}/phone")
    look.shoot(page, "phone")
    page.locator("button.do").first.click()
    look.shoot(page, "phone-code")
    page.locator("#code").fill(street.codes()[-1])
    page.locator("button.do").first.click()
    page.locator("#phone").fill("12")
    page.locator("button.do").first.click()
    look.shoot(page, "phone-new-wrong")


def newcomers_pages(page: Page, street: Street, look: Look, card: Card) -> None:
    """Pages with nothing on them yet."""
    forget_limits(street)
    log_in(page, street, card, OTHER_PHONE)
    base = f"{street.base_url}/c/{card.link_token}"
    for name in ("", "/purchases", "/certificates"):
        page.goto(f"{base}{name}")
        look.shoot(page, f"empty{name.replace('/', '-') or '-card'}")


def shoot_all(browser: Browser, street: Street, looks: list[Look]) -> None:
    """Every page in every look."""
    past, other = furnish(street), newcomer(street)
    base = f"{street.base_url}/c/{past.card.link_token}"
    for look in looks:
        forget_limits(street)
        with look.context(browser) as context:
            page = context.new_page()
            page.goto(f"{base}?lang={look.language}")
            page.goto(f"{base}/login")
            page.locator("#phone").fill("12")
            page.locator("button.do").first.click()
            look.shoot(page, "login-wrong")
            page.locator("#phone").fill(PHONE)
            page.locator("button.do").first.click()
            look.shoot(page, "login-code")
            page.locator("#code").fill(street.codes()[-1])
            page.locator("button.do").first.click()
            page.wait_for_url(f"**/c/{past.card.link_token}")
            card_pages(page, street, look, past)
            phone_change(page, street, look, base)
        with look.context(browser) as context:
            page = context.new_page()
            page.goto(f"{base}?lang={look.language}")
            newcomers_pages(page, street, look, other)


if __name__ == "__main__":
    picture(shoot_all)
