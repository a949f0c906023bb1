"""A change is never missed by a phone that asked in between, in whatever order things commit."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.concurrency.interleave import checkpoints, interleave
from tests.factories import TILL, make_member, make_shop
from walletsvc.apple import registrations
from walletsvc.apple.dialect import AppleDialect
from walletsvc.cards.models import Card
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.drain import Drain
from walletsvc.ledger.service import credit
from walletsvc.passes import stored
from walletsvc.passes.models import Pass
from walletsvc.passes.publish import Publisher
from walletsvc.passes.stored import Stored
from walletsvc.storage.engine import Database

ROUNDS = 10_000 if os.environ.get("WALLETSVC_TEST_LONG") else 600
PARTS = 4


@dataclass
class Phone:
    """Follows the protocol: lists with its tag, fetches what is named, keeps the new tag."""

    library: str
    tag: str | None = None
    shown: dict[str, object] = field(default_factory=dict)


@dataclass
class World:
    """Three cards of one shop and their passes; the last one only a late phone takes."""

    database: Database
    publisher: Publisher
    drain: Drain
    cards: list[Card]
    passes: list[Pass]
    now: datetime
    pass_type: str

    def credit(self, card: Card) -> None:
        with self.database.write_tx() as session:
            credit(session, card.account_id, 5, source="test", actor=TILL, reason="t", now=self.now)

    def stored(self, pass_id: int) -> Stored:
        found = stored.by_id(self.database, pass_id)
        assert found is not None
        return found

    def download(self, phone: Phone, pass_: Pass) -> None:
        current = self.publisher.current(self.database, self.stored(pass_.id), self.now)
        phone.shown[pass_.serial] = _points(current)
        with self.database.write_tx() as session:
            registrations.count_download(session, current, self.now)

    def register(self, phone: Phone, pass_: Pass) -> None:
        with self.database.write_tx() as session:
            registrations.register(
                session,
                library=phone.library,
                push_token="ab" * 32,
                pass_=self.stored(pass_.id),
                now=self.now,
            )

    def ask(self, phone: Phone) -> None:
        with self.database.read_tx() as session:
            changed = registrations.changed_since(
                session, library=phone.library, pass_type=self.pass_type, tag=phone.tag
            )
        if changed is None or changed.tag is None:
            return
        ids = {pass_.serial: pass_.id for pass_ in self.passes}
        for serial in changed.serials:
            current = self.publisher.current(self.database, self.stored(ids[serial]), self.now)
            phone.shown[serial] = _points(current)
        phone.tag = changed.tag

    def drain_twice(self) -> None:
        self.drain.run_once()
        self.drain.run_once()

    def ask_twice(self, phone: Phone) -> None:
        self.ask(phone)
        self.ask(phone)

    def take_pushes(self) -> set[str]:
        """Take all queued pushes, as the sender would; returns the phones they are for."""
        with self.database.write_tx() as session:
            return set(
                session.execute(
                    text(
                        "WITH sent AS (DELETE FROM pushes RETURNING device_id)"
                        " SELECT library_identifier FROM devices WHERE id IN"
                        " (SELECT device_id FROM sent)"
                    )
                ).scalars()
            )

    def settle(self, phones: list[Phone]) -> None:
        """Drain what is left, and let phones ask only when a push tells them to."""
        while self.drain.run_once():
            pass
        self.check_published()
        while told := self.take_pushes():
            for phone in phones:
                if phone.library in told:
                    self.ask(phone)

    def check_published(self) -> None:
        """With the log empty, what was last published of every held pass is the truth."""
        with self.database.read_tx() as session:
            rows = session.execute(
                text(
                    "SELECT CAST(p.content->'values'->>'points' AS bigint) AS said, a.balance"
                    " FROM passes p JOIN cards c ON c.id = p.card_id"
                    " JOIN accounts a ON a.id = c.account_id"
                    " WHERE EXISTS (SELECT FROM registrations r WHERE r.pass_id = p.id)"
                )
            ).all()
        assert all(row.said == row.balance for row in rows)

    def balances(self) -> dict[str, object]:
        with self.database.read_tx() as session:
            rows = session.execute(
                text(
                    "SELECT p.serial, a.balance FROM passes p JOIN cards c ON c.id = p.card_id"
                    " JOIN accounts a ON a.id = c.account_id"
                )
            ).all()
        return {row.serial: row.balance for row in rows}


def _points(pass_: Stored) -> object:
    assert pass_.said is not None
    return pass_.said.content["values"]["points"]


@pytest.fixture
def world(database: Database, now: datetime) -> World:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        members = [
            make_member(session, shop, now, name=name, phone=f"+7900000{index:04d}")
            for index, name in enumerate(("Анна", "Emma", "Лев"))
        ]
    publisher = Publisher([AppleDialect("http://127.0.0.1")])
    return World(
        database=database,
        publisher=publisher,
        drain=Drain(database, lambda session, batch: publisher.handle(session, batch, now)),
        cards=[card for card, _ in members],
        passes=[pass_ for _, pass_ in members],
        now=now,
        pass_type=shop.pass_type.identifier,
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_no_interleaving_loses_a_change(world: World, part: int) -> None:
    """Tills, two drains, a phone that asks and one that registers late: all end up right."""
    dice = random.Random(part)
    regular = Phone("regular")
    for pass_ in world.passes[:2]:
        world.download(regular, pass_)
        world.register(regular, pass_)
    for round_ in range(ROUNDS // PARTS):
        late = Phone(f"late-{round_}")
        lates = world.passes[dice.choice((0, 2))]
        world.download(late, lates)
        register = partial(world.register, late, lates)
        actors: list[Callable[[], object]] = [
            partial(world.credit, dice.choice(world.cards)),
            world.drain.run_once,
            world.drain_twice,
            partial(world.ask_twice, regular),
            register,
        ]
        # Often one change lies in the log already, so that less has to happen in a rare order.
        first = partial(world.credit, world.cards[0])
        if dice.random() < 0.6:
            first()
        else:
            actors.append(first)
        chosen = dice.sample(actors, dice.randint(4, len(actors)))
        with checkpoints(world.database.engine):
            interleave(dice, chosen)
        world.settle([regular, late])
        truth = world.balances()
        where = f"round {round_} of part {part}"
        assert all(regular.shown[p.serial] == truth[p.serial] for p in world.passes[:2]), where
        if register in chosen:
            assert late.shown[lates.serial] == truth[lates.serial], where
        with world.database.write_tx() as session:
            session.execute(
                text("DELETE FROM devices WHERE library_identifier = :late"),
                {"late": late.library},
            )


def test_tags_become_visible_in_their_own_order(world: World) -> None:
    """While one publication is not committed, no other one can take a later tag.

    Otherwise a phone could be told the later tag, and the earlier change would never be "since".
    """
    for card in world.cards[:2]:
        world.credit(card)
    first, second = (pass_.id for pass_ in world.passes[:2])
    with world.database.write_tx() as session:
        world.publisher.publish(session, [first], lane=Lane.INTERACTIVE, now=world.now)
        with pytest.raises(OperationalError, match="lock timeout"), world.database.write_tx() as b:
            b.execute(text("SET LOCAL lock_timeout = '100ms'"))
            world.publisher.publish(b, [second], lane=Lane.INTERACTIVE, now=world.now)
    with world.database.write_tx() as session:
        assert world.publisher.publish(session, [second], lane=Lane.INTERACTIVE, now=world.now)
    with world.database.read_tx() as session:
        assert session.get_one(Pass, first).tag < session.get_one(Pass, second).tag
