"""Random histories of groups agree with a small model after every step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlmodel import Session, col, select

from tests.driving import Driver, refuse
from tests.factories import TILL, make_member, make_shop
from walletsvc.app import LEDGER_CHECKS
from walletsvc.cards.groups import service
from walletsvc.cards.groups.models import CardGroup
from walletsvc.cards.groups.queries import group_view
from walletsvc.cards.models import Card
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Account
from walletsvc.ledger.verify import differences
from walletsvc.storage.engine import Database

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
STEPS = 3000 if LONG else 130
CARDS = 5


Act = Callable[[Callable[[Any], Any]], Any]


@dataclass
class Member:
    """A card's time in a group: what it brought, and did since."""

    card: int
    brought: int
    earned: int = 0
    spent: int = 0
    left_with: int | None = None


@dataclass
class Family:
    """Purses by number, which card has which, the groups, and the codes that were given out."""

    purses: list[int] = field(default_factory=lambda: [0] * CARDS)
    purse: list[int] = field(default_factory=lambda: list(range(CARDS)))
    groups: list[list[Member]] = field(default_factory=list)
    group: list[int | None] = field(default_factory=lambda: [None] * CARDS)
    codes: list[int | None] = field(default_factory=list)

    def here(self, card: int) -> Member | None:
        group = self.group[card]
        if group is None:
            return None
        return next(m for m in self.groups[group] if m.card == card and m.left_with is None)

    def move(self, card: int, amount: int) -> None:
        refuse(self.purses[self.purse[card]] + amount < 0, "InsufficientFunds")
        self.purses[self.purse[card]] += amount
        member = self.here(card)
        if member is not None:
            member.earned += max(amount, 0)
            member.spent += max(-amount, 0)

    def invite(self, card: int) -> None:
        refuse(sum(host == card for host in self.codes) >= 5, "Refused")
        self.codes.append(card)

    def join(self, card: int, which: int) -> None:
        host = self.codes[which]
        refuse(host is None, "InputError")
        assert host is not None
        self.let_in(card, host)
        self.codes[which] = None

    def let_in(self, card: int, host: int) -> None:
        refuse(card == host, "Refused")
        refuse(self.group[card] is not None, "Conflict")
        if self.group[host] is None:
            self.group[host] = len(self.groups)
            self.groups.append([Member(host, self.purses[self.purse[host]])])
        group = self.group[card] = self.group[host]
        assert group is not None
        brought, self.purses[self.purse[card]] = self.purses[self.purse[card]], 0
        self.groups[group].append(Member(card, brought))
        self.purse[card] = self.purse[host]
        self.purses[self.purse[host]] += brought

    def leave(self, card: int, take: int) -> None:
        group = self.group[card]
        refuse(group is None, "Conflict")
        refuse(take > self.purses[self.purse[card]], "InsufficientFunds")
        shared = self.purse[card]
        self.purses[shared] -= take
        self.purse[card] = len(self.purses)
        self.purses.append(take)
        self.end(card, take)
        self.codes = [None if host == card else host for host in self.codes]
        rest = [other for other in range(CARDS) if self.group[other] == group]
        if len(rest) == 1:
            self.end(rest[0], self.purses[shared])

    def end(self, card: int, left_with: int) -> None:
        member = self.here(card)
        assert member is not None
        member.left_with, self.group[card] = left_with, None


class History:
    """Random verbs on the cards of one shop."""

    def __init__(self, database: Database, now: datetime, dice: Random) -> None:
        self.dice = dice
        self.codes: list[str] = []
        with database.write_tx() as session:
            shop = make_shop(session, now)
            made = [make_member(session, shop, now, f"+7900111220{n}") for n in range(CARDS)]
            self.ids = [card.id for card, _ in made]
        self.driver = Driver(database, now, dice, Family(), self.stored, self.told)

    def stored(self, session: Session) -> list[Any]:
        cards = session.exec(
            select(Card, Account.balance)
            .join(Account, col(Account.id) == col(Card.account_id))
            .order_by(col(Card.id))
        ).all()
        places = {card.id: place for place, (card, _) in enumerate(cards)}
        groups = []
        for group in session.exec(select(CardGroup).order_by(col(CardGroup.id))):
            members = group_view(session, group).members
            groups.append(
                [(places[m.card.id], m.brought, m.earned, m.spent, m.left_with) for m in members]
            )
        shares = [[a.account_id == b.account_id for b, _ in cards] for a, _ in cards]
        return [[balance for _, balance in cards], shares, groups]

    def told(self, family: Family) -> list[Any]:
        purse = family.purse
        return [
            [family.purses[mine] for mine in purse],
            [[mine == other for other in purse] for mine in purse],
            [
                [(m.card, m.brought, m.earned, m.spent, m.left_with) for m in group]
                for group in family.groups
            ],
        ]

    def act(self, card: int, verb: Callable[..., Any], *args: Any, **more: Any) -> Act:
        given = {"actor": TILL, "now": self.driver.now, **more}

        def send(session: Session) -> str:
            found = session.get_one(Card, self.ids[card], populate_existing=True)
            rest = [
                session.get_one(Card, self.ids[each]) if verb is service.approve else each
                for each in args
            ]
            made = verb(session, found, *rest, **given)
            return str(made[1] if isinstance(made, tuple) else made.balance)

        return lambda foretell: self.driver.act(send, foretell)

    def step(self) -> str:
        # Figures of members go by the moment: what was before joining is not the group's.
        self.driver.now += timedelta(seconds=1)
        card, other = self.dice.randrange(CARDS), self.dice.randrange(CARDS)
        name = self.dice.choice(["move"] * 4 + ["invite", "join", "join", "approve", "leave"])
        amount = self.dice.randint(0, 60)
        if name == "move":
            self.move(card, self.dice.choice([amount + 1, -amount - 1]))
        elif name == "invite":
            code = self.act(card, service.invite)(lambda family: family.invite(card))
            self.codes += [code] if code else []
        elif name == "join" and self.codes:
            which = self.dice.randrange(len(self.codes))
            verb = self.act(card, service.join, self.codes[which])
            verb(lambda family: family.join(card, which))
        elif name == "approve":
            verb = self.act(card, service.approve, other, reason="family")
            verb(lambda family: family.let_in(card, other))
        elif name == "leave":
            self.act(card, service.leave, amount)(lambda family: family.leave(card, amount))
        return name

    def move(self, card: int, amount: int) -> None:
        """Credit or debit a card."""

        def send(session: Session) -> str:
            found = session.get_one(Card, self.ids[card])
            common: dict[str, Any] = {
                "actor": TILL,
                "reason": "",
                "now": self.driver.now,
                "card_id": found.id,
            }
            if amount > 0:
                made = ledger.credit(session, found.account_id, amount, source="test", **common)
            else:
                made = ledger.debit(session, found.account_id, -amount, **common)
            return made.public_id

        self.driver.act(send, lambda family: family.move(card, amount))


@pytest.mark.parametrize("round_", range(2 if LONG else 1))
def test_random_histories_agree_with_the_model(
    database: Database, now: datetime, round_: int
) -> None:
    """Earn, spend, invite, join with a code or by staff, leave with a part: in any order."""
    history = History(database, now, Random(int(time.time()) + round_ if LONG else round_))
    seen = {history.step() for _ in range(STEPS)}
    assert seen == {"move", "invite", "join", "approve", "leave"}
    assert len(history.driver.model.groups) > 2
    with database.read_tx() as session:
        assert list(differences(session, LEDGER_CHECKS)) == []
