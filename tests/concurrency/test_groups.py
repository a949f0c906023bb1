"""Joining and leaving while tills go on: nothing lost, nothing doubled, no deadlock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pytest
from sqlalchemy import text

from tests.concurrency.at_once import outcome, together
from tests.concurrency.interleave import checkpoints, interleave
from tests.factories import TILL, Shop, make_member, make_shop
from walletsvc.app import event_handlers
from walletsvc.cards import queries as cards
from walletsvc.cards.groups import service
from walletsvc.cards.models import Card
from walletsvc.core.errors import WalletsvcError
from walletsvc.jobs import events
from walletsvc.ledger import queries
from walletsvc.ledger import service as ledger
from walletsvc.ledger.verify import differences
from walletsvc.storage.engine import Database

THREADS = 24
CARDS = 4


@dataclass
class Street:
    """Cards of one shop; each verb is a transaction of its own, as an edge would open it."""

    database: Database
    shop: Shop
    cards: list[Card]
    now: datetime

    def approve(self, index: int, member: int) -> None:
        with self.database.write_tx() as session:
            service.approve(
                session, self.cards[index], self.cards[member], reason="Семья", actor=TILL,
                now=self.now,
            )  # fmt: skip

    def invite(self, index: int) -> str:
        with self.database.write_tx() as session:
            return service.invite(session, self.cards[index], actor=TILL, now=self.now)[1]

    def join(self, index: int, code: str) -> None:
        with self.database.write_tx() as session:
            service.join(session, self.cards[index], code, actor=TILL, now=self.now)

    def leave(self, index: int, take: int) -> None:
        with self.database.write_tx() as session:
            service.leave(session, self.cards[index], take, actor=TILL, now=self.now)

    def spend(self, index: int, amount: int) -> None:
        """A till that looks the card up and posts in one transaction."""
        with self.database.write_tx() as session:
            view = cards.find(
                session, self.shop.organisation.id, self.cards[index].public_id, acting=True
            )
            assert view is not None
            ledger.debit(
                session, view.account.id, amount, card_id=view.card.id, actor=TILL, reason="",
                now=self.now,
            )  # fmt: skip
            # While something is posted for it, the card stays with its account.
            assert (
                session.execute(
                    text("SELECT account_id FROM cards WHERE id = :id"), {"id": view.card.id}
                ).scalar_one()
                == view.account.id
            )

    def spend_from(self, account_id: int, amount: int) -> None:
        """A till that read the account a moment ago."""
        with self.database.write_tx() as session:
            ledger.debit(session, account_id, amount, actor=TILL, reason="", now=self.now)

    def credit(self, account_id: int, amount: int) -> None:
        with self.database.write_tx() as session:
            ledger.credit(
                session, account_id, amount, source="x", actor=TILL, reason="", now=self.now
            )

    def account(self, index: int) -> int:
        with self.database.read_tx() as session:
            return session.get_one(Card, self.cards[index].id).account_id

    def balance(self, index: int) -> int:
        with self.database.read_tx() as session:
            return queries.balance(session, session.get_one(Card, self.cards[index].id).account_id)

    def check(self) -> None:
        """The ledger, and that every card is with the account of its group."""
        with self.database.read_tx() as session:
            assert list(differences(session)) == []
            odd = session.execute(
                text("SELECT c.id FROM cards c LEFT JOIN card_groups g ON g.id = c.group_id"
                     " LEFT JOIN group_members m ON m.card_id = c.id AND m.left_at IS NULL"
                     " JOIN accounts a ON a.id = c.account_id"
                     " WHERE c.group_id IS DISTINCT FROM m.group_id OR a.closed_at IS NOT NULL"
                     " OR g.account_id <> c.account_id OR g.closed_at IS NOT NULL"
                     " OR (c.group_id IS NULL AND EXISTS (SELECT FROM cards o"
                     "     WHERE o.account_id = c.account_id AND o.id <> c.id))"
                     " OR (SELECT count(*) FROM cards o WHERE o.group_id = c.group_id) = 1")
            ).all()  # fmt: skip
            assert odd == []

    def total(self) -> int:
        """What all holders have."""
        with self.database.read_tx() as session:
            return int(session.execute(
                text("SELECT sum(balance)::bigint FROM accounts WHERE kind = 'customer'")
            ).scalar_one())  # fmt: skip


@pytest.fixture
def street(database_url: str, now: datetime) -> Iterator[Street]:
    database = Database(database_url, pool_size=THREADS, carried=events.carried(event_handlers()))
    with database.write_tx() as session:
        shop = make_shop(session, now)
        members = [make_member(session, shop, now, name=f"Имя {n}")[0] for n in range(CARDS)]
    street = Street(database, shop, members, now)
    for index in range(CARDS):
        street.credit(street.account(index), 1_000)
    yield street
    database.close()


def test_joining_while_many_tills_spend(street: Street) -> None:
    """Nothing is lost; tills that still hold the old account go on with the shared one."""
    old = street.account(1)

    def work(number: int) -> str:
        if number == 0:
            return outcome(lambda: street.approve(1, 0))
        for _ in range(5):
            if number % 3 == 0:
                street.spend_from(old, 7)
            elif number % 3 == 1:
                street.spend(1, 7)
            else:
                street.spend(0, 7)
        return "spent"

    results = together(THREADS, work)
    assert results[0] == "done"
    assert set(results[1:]) == {"spent"}
    assert street.balance(0) == street.balance(1) == 2_000 - (THREADS - 1) * 35
    street.check()
    street.spend_from(old, 1)
    assert street.balance(0) == 2_000 - (THREADS - 1) * 35 - 1


def test_a_joining_account_is_never_overdrawn(street: Street) -> None:
    """What both have can be spent once, whichever account a till names."""
    old = street.account(1)

    def work(number: int) -> str:
        if number == 0:
            return outcome(lambda: street.approve(1, 0))
        return outcome(lambda: street.spend_from(old, 150))

    results = Counter(together(THREADS, work))
    street.check()
    spent = 2_000 - (street.balance(0))
    assert spent == 150 * (results["done"] - 1)
    assert set(results) <= {"done", "insufficient_funds"}
    assert street.balance(0) >= 0


def test_two_cards_that_join_each_other(street: Street) -> None:
    """One joins the other; the second is in a group by then."""
    codes = [street.invite(0), street.invite(1)]
    results = together(2, lambda n: outcome(lambda: street.join(n, codes[1 - n])))
    assert sorted(results) == ["conflict", "done"]
    assert street.balance(0) == street.balance(1) == 2_000
    street.check()


def test_cards_that_join_in_a_ring(street: Street) -> None:
    """No deadlock, whoever wins; everybody is somewhere."""
    results = together(CARDS, lambda n: outcome(lambda: street.approve(n, (n + 1) % CARDS)))
    assert set(results) <= {"conflict", "done"}
    assert "done" in results
    assert street.total() == 1_000 * CARDS
    street.check()


def test_one_invitation_used_at_once(street: Street) -> None:
    """It lets one card in; the others hear that there is no such code."""
    code = street.invite(0)
    results = together(3, lambda n: outcome(lambda: street.join(n + 1, code)))
    assert Counter(results) == {"done": 1, "invalid_input": 2}
    street.check()
    assert street.balance(0) == 2_000


def test_invitations_beyond_the_limit_at_once(street: Street) -> None:
    """Five, however many are asked for in the same moment."""
    results = together(12, lambda _: outcome(lambda: street.invite(0)))
    assert Counter(results) == {"done": 5, "refused": 7}


def test_leaving_while_many_tills_spend(street: Street) -> None:
    """Either the part was still there or leaving is refused; nobody gets below nothing."""
    street.approve(1, 0)
    street.approve(2, 0)

    def work(number: int) -> str:
        if number == 0:
            return outcome(lambda: street.leave(1, 1_500))
        return outcome(lambda: street.spend(number % 3, 100))

    results = together(THREADS, work)
    street.check()
    spent = 100 * results[1:].count("done")
    left = results[0] == "done"
    assert set(results) <= {"done", "insufficient_funds"}
    assert street.balance(0) + (street.balance(1) if left else 0) == 3_000 - spent
    assert street.balance(0) >= 0


def test_all_leave_at_once(street: Street) -> None:
    """The group ends once; what they had together is all there."""
    for index in (1, 2, 3):
        street.approve(index, 0)
    results = together(CARDS, lambda n: outcome(lambda: street.leave(n, 100 * n)))
    assert Counter(results) == {"done": CARDS - 1, "conflict": 1}
    assert street.total() == 1_000 * CARDS
    street.check()


@pytest.mark.parametrize("seed", range(6))
def test_no_order_of_statements_breaks_a_group(street: Street, seed: int) -> None:
    """Joining, leaving, spending and inviting, statement by statement in a random order."""
    dice = random.Random(seed)
    for _ in range(8):
        actors = [_act(street, dice) for _ in range(4)]
        with checkpoints(street.database.engine):
            interleave(dice, actors)
        street.check()


def _act(street: Street, dice: random.Random) -> Callable[[], None]:
    one, other = dice.sample(range(CARDS), 2)
    verb = dice.choice(["approve", "approve", "leave", "spend", "stale", "invite"])
    old, part = street.account(one), dice.randint(0, 50)

    def act() -> None:
        with suppress(WalletsvcError):
            match verb:
                case "approve":
                    street.approve(one, other)
                case "leave":
                    street.leave(one, part)
                case "spend":
                    street.spend(one, 3)
                case "stale":
                    street.spend_from(old, 3)
                case "invite":
                    street.join(other, street.invite(one))

    return act
