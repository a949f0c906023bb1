"""Pictures of joining: `python -m tests.browser.shots FOLDER [LOOK ...]`.

Every page at three widths, in both languages, light and dark, to be looked at by people. A look
is called `ru-light-360`.
"""

from __future__ import annotations

from dataclasses import replace

from flask import abort
from playwright.sync_api import Browser, Page
from sqlmodel import select

from tests.browser.looks import Look, forget_limits, picture
from tests.browser.shop import Street
from tests.messaging.making import add_gateway
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.enrolment import settings as enrolment
from walletsvc.enrolment.posters import service as posters
from walletsvc.enrolment.posters.drawing import Size
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.proving.models import PhoneProof, Route
from walletsvc.people.consents import service as consents
from walletsvc.programmes.service import create_discount_programme
from walletsvc.programmes.terms import service as terms

_NAMES = {"ru": ("Анна", "Кузнецова", "Пётр"), "en": ("Anna", "Campbell", "Peter")}
_TERMS = """# Скидка

Скидка 15 % действует на всё меню с 11:00 до 14:00.

- Покажите карту до оплаты.
- С другими скидками она не складывается."""
_ERRORS = (400, 403, 404, 429, 500, 503)


def fill(page: Page, phone: str, first: str) -> None:
    """What everybody fills in."""
    page.locator("#phone").fill(phone)
    page.locator("#first_name").fill(first)
    page.locator("#agree").check()


def joining(page: Page, street: Street, look: Look, phone: str) -> None:
    """Once through all pages, with every mistake."""
    first, last, other = _NAMES[look.language]
    page.goto(f"{street.base_url}/j/{street.source.code}?lang={look.language}")
    page.goto(f"{street.base_url}/join/guest?s={street.source.code}&lang={look.language}")
    look.shoot(page, "form")
    page.locator("#phone").fill("12345")
    page.locator("#email").fill("anna")
    page.locator("[name=birthday_day]").fill("31")
    page.locator("[name=birthday_month]").fill("2")
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    look.shoot(page, "form-open")
    page.locator("button.do").click()
    look.shoot(page, "form-wrong")
    for part in ("day", "month"):
        page.locator(f"[name=birthday_{part}]").fill("")
    page.locator("#email").fill("")
    fill(page, phone, first)
    page.locator("#last_name").fill(last)
    page.locator("button.do").click()
    look.shoot(page, "code")
    page.locator("#code").fill("000000")
    page.locator("button.do").first.click()
    look.shoot(page, "code-wrong")
    page.locator("#code").fill(street.codes()[-1])
    page.locator("button.do").first.click()
    page.wait_for_url("**/c/**")
    look.shoot(page, "done")
    page.goto(f"{street.base_url}/join/guest/code")
    look.shoot(page, "done-already")
    family(page, street, look, phone, other)


def family(page: Page, street: Street, look: Look, phone: str, name: str) -> None:
    """Somebody else with the same phone, who calls first."""
    page.goto(f"{street.base_url}/join/guest")
    fill(page, phone, name)
    page.locator("details.box summary").click()
    page.locator("#plastic_number").fill("77 000 12")
    page.locator("button.do").click()
    page.locator("button[value=call]").click()
    look.shoot(page, "call-waiting")
    with street.database.write_tx() as session:
        for proof in session.exec(select(PhoneProof).where(PhoneProof.route == Route.CALL)):
            proof.reference = "+78005550001"
    page.reload()
    page.locator("button.do").first.click()
    look.shoot(page, "call")
    page.locator("button[value=sms]").click()
    page.locator("#code").fill(street.codes()[-1])
    look.shoot(page, "code-filled")
    page.locator("button.do").first.click()
    look.shoot(page, "who")


def texts(page: Page, street: Street, look: Look) -> None:
    """What is read, and what went wrong."""
    page.goto(f"{street.base_url}/terms/guest")
    look.shoot(page, "terms")
    page.goto(f"{street.base_url}/terms/closed?version=1")
    look.shoot(page, "terms-former")
    page.goto(f"{street.base_url}/join/closed")
    look.shoot(page, "closed")
    with street.database.write_tx() as session:
        found = consents.current_texts(session, street.shop.organisation.id, utcnow())
        ids = {purpose.value: text.public_id for purpose, text in found.items()}
    for purpose, text in ids.items():
        page.goto(f"{street.base_url}/consents/{text}")
        look.shoot(page, f"consent-{purpose}")
    for status in _ERRORS:
        page.goto(f"{street.base_url}/broken/{status}")
        look.shoot(page, f"error-{status}")
    for place in ("start", "recordPurchase", "errors"):
        page.goto(f"{street.base_url}/api/docs#{place}")
        look.shoot(page, f"docs-{place}", whole=False)


def furnish(street: Street) -> None:
    """A second way to prove a phone, terms with a past, a form that is closed, broken pages."""
    street.app.add_url_rule("/broken/<int:status>", "broken", lambda status: abort(status))
    now = utcnow()
    with street.database.write_tx() as session:
        add_gateway(session, now, Channel.CALL)
        there = enrolment.of(session, street.shop.points)
        wanted = replace(there, routes=(Route.SMS, Route.CALL))
        enrolment.change(session, street.shop.points, wanted, actor=OPERATOR, now=now)
        closed = create_discount_programme(
            session, organisation_id=street.shop.organisation.id, slug="closed",
            name="Клуб любителей поздних завтраков", now=now,
        )  # fmt: skip
        for body in (_TERMS, f"{_TERMS}\n\nСкидка действует и по воскресеньям."):
            terms.publish(
                session, closed, title={"ru": "Правила клуба любителей поздних завтраков"},
                body={"ru": body}, actor=OPERATOR, now=now,
            )  # fmt: skip


def posters_of(street: Street, look: Look) -> None:
    """The posters of a language."""
    for size in Size:
        with street.database.read_tx() as session:
            pdf = posters.poster(
                session, street.source, base_url="https://cards.nordshore.example",
                language=look.language, size=size, now=utcnow(),
            )  # fmt: skip
        (look.folder / f"poster-{look.language}-{size.value}.pdf").write_bytes(pdf)


def shoot_all(browser: Browser, street: Street, looks: list[Look]) -> None:
    """Every page in every look."""
    furnish(street)
    for look in looks:
        posters_of(street, look)
        forget_limits(street)
        with look.context(browser) as context:
            page = context.new_page()
            joining(page, street, look, f"+7900111{look.number:04}")
            texts(page, street, look)


if __name__ == "__main__":
    picture(shoot_all)
