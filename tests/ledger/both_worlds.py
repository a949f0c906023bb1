"""Drives the ledger and the model through the same random history, and compares them each step.

Every verb runs the way the REST dispatch runs it: in one transaction with its idempotency key.
Some are cut off at one of their statements or at the commit and sent again; some are sent twice.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlmodel import Session

from tests.databases import empty
from tests.ledger.crashing import Crash, How, crashing
from tests.ledger.dice import MINIMUM, WHICH, T, may
from tests.ledger.reference import World
from tests.ledger.reference_parts import Account, Giving, Hold, Payment, Refusal, Spending
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import IdempotencyMismatch, InsufficientFunds, WalletsvcError
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger import queries, service
from walletsvc.ledger.models import AccountKind, UnitKind
from walletsvc.ledger.verify import differences
from walletsvc.merchants.models import Organisation
from walletsvc.storage import idempotency
from walletsvc.storage.engine import Database

Verb = Callable[[Session], Any]
ACCOUNTS = """
SELECT id, balance, held, merged_into_id FROM accounts WHERE kind <> 'system' ORDER BY id
"""
LOTS = """
SELECT id, account_id, original, remaining, held, matured_id IS NOT NULL, earned_at,
       available_from, expires_at, source, promotional FROM lots ORDER BY id
"""
HOLDS = "SELECT id, state FROM holds ORDER BY id"
BOOKS = """
SELECT a.organisation_id, a.unit_id, a.code, a.counterparty_id, sum(e.amount)::bigint
  FROM ledger_entries e JOIN accounts a ON a.id = e.account_id
 WHERE a.kind = 'system' GROUP BY 1, 2, 3, 4 HAVING sum(e.amount) <> 0 ORDER BY 1, 2, 3, 4
"""
COUNTS = """
SELECT (SELECT count(*) FROM ledger_transactions), (SELECT count(*) FROM lot_movements),
       (SELECT count(*) FROM changes), (SELECT count(*) FROM idempotency_keys)
"""
STORED = (ACCOUNTS, LOTS, HOLDS, BOOKS, COUNTS)


class BothWorlds(RuleBasedStateMachine):
    """The ledger and its model side by side: the same is done in both, and both are compared."""

    database: ClassVar[Database]
    start: ClassVar[datetime]
    salt: ClassVar[int] = 0
    steps: ClassVar[int] = 0
    organisations: ClassVar[int] = 1

    @initialize(minimum=st.sampled_from(MINIMUM))
    def begin(self, minimum: int) -> None:
        self.eye = psycopg.connect(
            self.database.conninfo, autocommit=True, options="-c timezone=UTC"
        )
        empty(self.eye)
        self.world = World(self.start)
        self.keys = self.taken = 0
        with self.database.write_tx() as session:
            rows = [
                Organisation(slug=f"shop-{n}", name="Shop", created_at=self.start)
                for n in range(self.organisations)
            ]
            session.add_all(rows)
            session.flush()
            self.ids = [row.id for row in rows]
            points = service.ensure_unit(session, code="points", kind=UnitKind.POINTS, scale=0)
            roubles = service.ensure_unit(session, code="RUB", kind=UnitKind.CURRENCY, scale=2)
            self.units = {True: points.id, False: roubles.id}
        self.furnish(minimum)
        self.last = self.stored()

    def furnish(self, minimum: int) -> None:
        self.open(self.ids[0], True, minimum)

    def open(self, organisation: int, points: bool, minimum: int) -> Account:
        with self.database.write_tx() as session:
            opened = service.open_account(
                session,
                organisation_id=organisation,
                unit_id=self.units[points],
                kind=AccountKind.CUSTOMER if points else AccountKind.CERTIFICATE,
                now=self.world.now,
                min_balance=minimum,
            )
        account = Account(opened.id, organisation, opened.unit_id, points, minimum)
        self.world.accounts.append(account)
        return account

    # Hypothesis likes to leave most rules out of a history and to repeat the rest; here it is
    # their meeting that matters. So it draws a number for each step and the dice do the rest;
    # they fall differently where it repeats its numbers, and in each round.
    @rule(number=st.integers(0, 2**64))
    def step(self, number: int) -> None:
        self.taken += 1
        dice = Random(f"{self.salt} {self.taken} {number}")
        methods = [getattr(type(self), name) for name in sorted(dir(type(self)))]
        able = [method for method in methods if hasattr(method, "chance")]
        (method,) = dice.choices(able, [method.chance[0] for method in able])
        draws = method.chance[1]
        arguments = {argument: draw(dice) for argument, draw in draws.items()}
        note(f"# salt {self.salt}: {method.__name__}({arguments})")
        method(self, **arguments)

    # Doing the same in both worlds

    def act(self, how: How, verb: Verb, foretell: Callable[[], T]) -> T | None:
        """Let the ledger do what the model foretells; None when both refuse."""
        self.keys += 1
        saved = pickle.dumps(self.world)
        foretold: T | None = None
        refusal: Refusal | None = None
        try:
            foretold = foretell()
        except Refusal as refused:
            refusal, self.world = refused, pickle.loads(saved)
        done = self.crash(how, verb) if isinstance(how, int) or how == "commit" else None
        if refusal is not None:
            with pytest.raises(WalletsvcError) as caught:
                self.send(verb)
            assert (type(caught.value).__name__, caught.value.data) == (
                refusal.error,
                refusal.numbers,
            )
            self.nothing_changed("a refusal left something behind")
            return None
        done = done or self.send(verb)
        if how == "twice":
            self.again(verb, done)
        self.recognise(foretold, int(done))
        return foretold

    def crash(self, how: How, verb: Verb) -> bytes | None:
        """Cut it off; the answer when it had fewer statements than that."""
        try:
            with crashing(self.database.engine, how):
                return self.send(verb)
        except (Crash, WalletsvcError):
            self.nothing_changed("a crash left something behind")
            return None

    def send(self, verb: Verb, what: bytes = b"this") -> bytes:
        """As the REST dispatch does it."""
        key, now = str(self.keys), self.world.now
        with self.database.write_tx() as session:
            kept = idempotency.begin(session, "till", key, idempotency.fingerprint(what), now)
            if kept is not None:
                return kept.body
            body = str(getattr(verb(session), "id", 0)).encode()
            idempotency.finish(session, "till", key, idempotency.Answer(200, body))
            return body

    def again(self, verb: Verb, done: bytes) -> None:
        before = self.stored()
        assert self.send(verb) == done
        with pytest.raises(IdempotencyMismatch):
            self.send(verb, b"that")
        assert self.stored() == before, "the second request changed something"

    def recognise(self, foretold: object, done: int) -> None:
        """Learn the ledger's numbers for what the model has made."""
        if isinstance(foretold, Giving | Spending | Hold | Payment):
            foretold.number = done
        news = [(account, lot) for account in self.world.accounts for lot in account.lots]
        if not all(lot.number for _, lot in news):
            known = {lot.number for _, lot in news}
            found = self.eye.execute("SELECT id, account_id, transaction_id FROM lots ORDER BY id")
            fresh = [row for row in found if row[0] not in known]
            for account, lot in news:
                if not lot.number:
                    row = next(row for row in fresh if row[1] == account.number)
                    fresh.remove(row)
                    lot.number = row[0]
                    for giving in self.world.givings:
                        if giving.lot is lot:
                            giving.number = row[2]

    # Comparing

    def stored(self) -> list[list[tuple[Any, ...]]]:
        with self.eye.pipeline():  # one round trip
            found = [self.eye.execute(statement) for statement in STORED]
            return [cursor.fetchall() for cursor in found]

    def nothing_changed(self, otherwise: str) -> None:
        for statement, before, after in zip(STORED, self.last, self.stored(), strict=True):
            assert after == before, f"{otherwise}: {statement}"

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "last"):
            return
        type(self).steps += 1
        world = self.world
        self.last = self.stored()
        accounts, lots, holds, books, _ = self.last
        assert accounts == [
            (each.number, each.balance, each.held, each.heir and each.heir.number)
            for each in world.accounts
        ]
        modelled = [
            (
                lot.number,
                account.number,
                lot.original,
                lot.remaining,
                lot.held,
                lot.matured,
                lot.earned,
                lot.starts,
                lot.ends,
                lot.source,
                lot.promotional,
            )
            for account in world.accounts
            for lot in account.lots
        ]
        assert lots == sorted(modelled)
        assert holds == [(each.number, each.state) for each in world.holds]
        assert {row[:4]: row[4] for row in books} == {k: n for k, n in world.books.items() if n}
        for account in world.accounts:
            assert sum(lot.remaining for lot in account.ready()) == (
                max(account.balance, 0) if account.points else 0
            )

    @may(2, which=WHICH)
    def ask(self, which: int) -> None:
        """What could be taken now, without taking it."""
        model: World = pickle.loads(pickle.dumps(self.world))
        account = self.one(model.accounts, which)
        model.settle(account.here)
        with pytest.raises(InsufficientFunds) as caught, self.database.write_tx() as session:
            service.debit(
                session, account.number, MAX_AMOUNT, actor=SYSTEM, reason="", now=model.now
            )
        account = account.here
        payers = account.payers(model.now)
        assert caught.value.data == {"available": account.allowed(payers)}
        with self.database.read_tx() as session:
            told = queries.explain(session, account.number).at(model.now)
        own = min(account.balance - account.held, sum(lot.remaining - lot.held for lot in payers))
        assert (told.balance, told.held, told.available(model.now)) == (
            account.balance,
            account.held,
            max(own, 0) if account.points else account.balance - account.held,
        )
        assert sorted((lot.original, lot.remaining, lot.held) for lot in told.lots) == sorted(
            (lot.original, lot.remaining, lot.held) for lot in account.lots if lot.remaining
        )

    def teardown(self) -> None:
        if hasattr(self, "eye"):
            self.eye.close()
            with self.database.read_tx() as session:
                assert list(differences(session)) == []

    @staticmethod
    def one(things: list[T], which: int) -> T:
        return things[which % len(things)]

    @classmethod
    def mostly(cls, things: list[T], good: Callable[[T], bool], which: int) -> T:
        """One that something can still happen to, or now and then any."""
        return cls.one([*[each for each in things if good(each)] * 3, *things], which)

    @staticmethod
    def left(what: Giving | Spending) -> bool:
        return what.undone < what.amount

    @staticmethod
    def active(hold: Hold) -> bool:
        return hold.state == "active"
