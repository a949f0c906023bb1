"""The past of one family: three cards, one account, and who did what."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from walletsvc.cards.groups import service as groups
from walletsvc.cli.demo import guests
from walletsvc.cli.demo.people import FAMILY
from walletsvc.cli.demo.shop import TILL, Shop, pass_time, past_noon


def live(session: Session, shop: Shop, now: datetime) -> None:
    """Parents and a child join one by one, share what they have, and spend it."""
    mother, father, daughter = FAMILY
    first, second, third = shop.branches

    def ago(days: float) -> datetime:
        return past_noon(now) - timedelta(days=days)

    irina = guests.join(session, shop, mother, ago(100))
    guests.buy(session, shop, irina, 1900, first, ago(95))
    guests.buy(session, shop, irina, 2100, first, ago(70))
    pass_time(session, irina.account_id, ago(60))
    egor = guests.join(session, shop, father, ago(80))
    guests.buy(session, shop, egor, 1640, third, ago(64))
    pass_time(session, egor.account_id, ago(60))
    _, code = groups.invite(session, irina, actor=TILL, now=ago(60))
    groups.join(session, egor, code, actor=TILL, now=ago(59.9), branch_id=first.id)

    sonya = guests.join(session, shop, daughter, ago(45))
    pass_time(session, irina.account_id, ago(45))
    groups.approve(
        session, sonya, irina, reason="Дочь, 9 лет; телефон мамы", actor=TILL, now=ago(44.9),
        branch_id=second.id,
    )  # fmt: skip
    guests.buy(session, shop, egor, 3400, third, ago(40))
    guests.spend(session, sonya, 60, second, ago(30))
    guests.buy(session, shop, irina, 1720, first, ago(21))
    guests.spend(session, irina, 120, first, ago(12))
    guests.spend(session, egor, 80, shop.restaurant, ago(6))
    guests.buy(session, shop, egor, 4800, third, ago(3))
    pass_time(session, irina.account_id, now)
