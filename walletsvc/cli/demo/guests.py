"""The past of the forty guests: points that ended, that end soon, that are yet to come."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session

from walletsvc.cards.models import Card
from walletsvc.cli.demo.people import PEOPLE, Member
from walletsvc.cli.demo.shop import PARTNERS_FOR, TILL, Shop, ends_after, pass_time, past_noon
from walletsvc.core.errors import InsufficientFunds
from walletsvc.enrolment.service import enrol
from walletsvc.ledger import service as ledger
from walletsvc.merchants.models import Branch
from walletsvc.programmes.rulebook.basket import Basket
from walletsvc.sales.purchasing import purchase
from walletsvc.sales.sale import Caller, Reference, Sale

_WELCOME_DAYS: Final = 60


def live(session: Session, shop: Shop, now: datetime) -> None:
    """Everybody's past. A fixed seed: every demo shop has the same, so that screenshots compare."""
    dice = random.Random(2026)  # noqa: S311
    for number, member in enumerate(PEOPLE):
        card = _live(session, shop, member, dice, now)
        _favour(session, shop, card, number, now)
        pass_time(session, card.account_id, now)


def join(session: Session, shop: Shop, member: Member, moment: datetime) -> Card:
    """A person becomes a guest and gets the points that everybody begins with."""
    card = enrol(
        session,
        programme=shop.loyalty,
        phone=member.phone,
        first_name=member.first_name,
        last_name=member.last_name,
        language=member.language,
        actor=TILL,
        now=moment,
    ).card
    ledger.credit(
        session, card.account_id, 100, source="welcome", actor=TILL, reason="Приветственные баллы",
        now=moment, card_id=card.id, promotional=True,
        expires_at=ends_after(shop.loyalty, _WELCOME_DAYS, moment),
    )  # fmt: skip
    return card


def buy(
    session: Session, shop: Shop, card: Card, receipt: int, branch: Branch, moment: datetime
) -> None:
    """A purchase of `receipt` roubles, two thirds of it cake, by the rules."""
    pass_time(session, card.account_id, moment)
    cake = receipt * 2 // 3
    lines = [
        {"item": "cappuccino", "group": "drinks", "sum": (receipt - cake) * 100},
        {"item": "honey-cake", "group": "cakes", "sum": cake * 100},
    ]
    purchase(
        session,
        Caller(branch.organisation_id, branch.id, TILL),
        Sale(Basket.model_validate({"lines": lines}), shop.loyalty.currency, card=card.public_id),
        Reference("demo", f"{card.number}-{moment:%Y%m%d%H%M}"),
        moment,
    )


def spend(session: Session, card: Card, points: int, branch: Branch, moment: datetime) -> None:
    """Pay with points, at the chain or at the hotel, which accepts them."""
    pass_time(session, card.account_id, moment)
    try:
        ledger.debit(
            session, card.account_id, points, actor=TILL, reason="Оплата баллами", now=moment,
            branch_id=branch.id, card_id=card.id, acceptor_id=branch.organisation_id,
        )  # fmt: skip
    except InsufficientFunds:
        return  # the guest had fewer points than the dice wished for and paid with money


def _live(session: Session, shop: Shop, member: Member, dice: random.Random, now: datetime) -> Card:
    """One person joins and then comes by now and then; sometimes pays with points."""
    moment = _open_hours(now - timedelta(days=dice.randint(20, 190)), dice)
    card = join(session, shop, member, moment)
    for _ in range(dice.randint(2, 11)):
        moment = _open_hours(moment + timedelta(days=dice.randint(1, 17)), dice)
        if moment >= now - timedelta(days=1):
            break
        branch = dice.choice(shop.branches)
        receipt = dice.randrange(180, 2600, 10)
        paid = dice.randrange(20, 160, 10)
        chance = dice.random()
        if chance < 0.1 and moment > now - PARTNERS_FOR:
            spend(session, card, paid, shop.restaurant, moment - timedelta(minutes=90))
        elif chance < 0.35:
            spend(session, card, paid, branch, moment)
        buy(session, shop, card, receipt, branch, moment)
    return card


def _open_hours(day: datetime, dice: random.Random) -> datetime:
    return day.replace(hour=dice.randint(6, 17), minute=dice.randint(0, 59))


def _favour(session: Session, shop: Shop, card: Card, number: int, now: datetime) -> None:
    """Some got points that end within days, some are promised points for a day to come."""
    moment = past_noon(now)
    pass_time(session, card.account_id, moment)
    if number % 4 == 0:
        ledger.credit(
            session, card.account_id, 50, source="promotion", actor=TILL,
            reason="Неделя выпечки", now=moment, card_id=card.id, promotional=True,
            expires_at=ends_after(shop.loyalty, 2 + number % 5, now),
        )  # fmt: skip
    if number % 8 in (0, 6):
        starts = ends_after(shop.loyalty, 4 + number % 7, now)
        ledger.credit(
            session, card.account_id, 200, source="birthday", actor=TILL,
            reason="Подарок ко дню рождения", now=moment, card_id=card.id, promotional=True,
            available_from=starts, expires_at=ends_after(shop.loyalty, 30, starts),
        )  # fmt: skip
