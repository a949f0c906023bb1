"""Pictures of what everybody with a card's link sees: `python -m tests.browser.card_shots FOLDER
[LOOK ...]`.

On an iPhone, an Android phone and a desktop, with Google Wallet; gift cards in all their states.
"""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Browser
from sqlmodel import Session

from tests.browser.looks import AGENTS, Look, forget_limits, picture
from tests.browser.shop import Street
from tests.google.desk import account_key
from tests.google.shop import HOUSE
from tests.passes.shop import DIALECTS, TILL, certificate, member, product_template
from tests.storefront.test_landing import ANDROID, IPHONE
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.core.clock import utcnow
from walletsvc.ledger import service as ledger
from walletsvc.passes.templates import publish
from walletsvc.programmes.models import CodePolicy, Programme

_DEVICES = {"iphone": IPHONE, "android": ANDROID, "desktop": AGENTS[1440]}


def furnish(session: Session, street: Street) -> dict[str, str]:
    """Cards to look at: the token of each by its name."""
    now, shop = utcnow(), street.shop
    publish(
        session, programme_id=shop.gift.id, pass_type_id=shop.gift_type.id,
        template=product_template("gift"), dialects=DIALECTS, now=now,
    )  # fmt: skip
    session.get_one(Programme, shop.points.id).code_policy = CodePolicy.TIME_BASED
    plain = member(session, shop, now, points=1250)
    long = member(
        session, shop, now, points=12_345_678, first="Александра-Виктория",
        last="Константинопольская-Заболоцкая", phone="+79000003000",
    )  # fmt: skip
    closed = member(session, shop, now, phone="+79000004000")
    session.get_one(Card, closed.id).closed_at = now
    soon = now + timedelta(days=300)
    gift = certificate(session, shop, now, face_value=500_000, expires_at=soon)
    big = certificate(
        session, shop, now, face_value=123_456_750, recipient="Александра-Виктория Константинова",
        expires_at=soon,
    )  # fmt: skip
    part = certificate(session, shop, now, face_value=300_000, recipient="")
    ledger.debit(session, part.account_id, 135_050, actor=TILL, reason="x", now=now)
    over, owed = (certificate(session, shop, now, expires_at=soon) for _ in range(2))
    over.expires_at = owed.expires_at = now - timedelta(days=3)
    owed.origin = Origin.PAID
    made: dict[str, Card | Certificate] = {
        "card": plain, "card-long": long, "card-closed": closed, "gift": gift, "gift-big": big,
        "gift-part": part, "gift-expired": over, "gift-owed": owed,
    }  # fmt: skip
    return {name: each.link_token for name, each in made.items()} | {"unknown": "0" * 22}


def shoot_all(browser: Browser, street: Street, looks: list[Look]) -> None:
    """Every page in every look, on the device that the width is of; two cards on all of them."""
    with street.database.write_tx() as session:
        tokens = furnish(session, street)
    for look in looks:
        forget_limits(street)
        for device, agent in _DEVICES.items():
            with look.context(browser, user_agent=agent) as context:
                page = context.new_page()
                for name, token in tokens.items():
                    if device != "desktop" and name not in ("card", "gift"):
                        continue
                    page.goto(f"{street.base_url}/c/{token}?lang={look.language}")
                    look.shoot(page, f"{name}-{device}")
                if device == "android":
                    page.goto(f"{street.base_url}/g/{tokens['card']}")
                    look.shoot(page, "google-later")


if __name__ == "__main__":
    picture(shoot_all, google_issuer_id=HOUSE.issuer_id, google_key=account_key())
