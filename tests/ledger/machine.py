"""Drives the ledger and the model through the same random history, and compares them each step.

Every verb runs the way the REST dispatch runs it: in one transaction with its idempotency key.
Some are cut off at one of their statements or at the commit and sent again; some are sent twice.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar, Final, Literal, TypeVar

import psycopg
import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlmodel import Session

from tests.databases import empty
from tests.ledger.reference import Account, Giving, Hold, Payment, Refusal, Spending, World
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import IdempotencyMismatch, InsufficientFunds, WalletsvcError
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger import due, queries, service
from walletsvc.ledger.models import AccountKind, SystemCode, UnitKind
from walletsvc.ledger.settlement import settle_up, undo_settlement
from walletsvc.ledger.verify import differences
from walletsvc.merchants.models import Organisation
from walletsvc.storage import idempotency
from walletsvc.storage.engine import Database

T = TypeVar("T")
Verb = Callable[[Session], Any]
How = int | Literal["twice", "commit"] | None

Draw = Callable[[Random], Any]


def one_of(*values: object) -> Draw:
    return lambda dice: dice.choice(values)


def between(low: int, high: int) -> Draw:
    return lambda dice: dice.randint(low, high)


def maybe(draw: Draw) -> Draw:
    return lambda dice: draw(dice) if dice.random() < 0.5 else None


def hours(dice: Random) -> int:
    return dice.choice([dice.randint(1, 12), dice.randint(24, 21 * 24)])


# What happens on the way: nothing, the same key again, or a crash at the n-th statement or at
# the commit. A verb of fewer statements is not hit.
HOW: Final = one_of(*[None] * 9, *["twice"] * 3, 1, 2, 3, 4, 5, 6, 7, "commit")
AMOUNT: Final = between(1, 120)
PART: Final = maybe(between(1, 90))
WHICH: Final = between(0, 2**16)
YES: Final = one_of(True, False)
MINIMUM: Final = (0, -40, -200)

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


class Crash(Exception):
    """The process died here."""


@contextmanager
def crashing(engine: Engine, at: How) -> Iterator[None]:
    """Whoever uses this engine dies at its n-th statement, or when it commits."""
    left = [at if isinstance(at, int) else 10**6]

    def statement(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise Crash

    def commit(*_: object) -> None:
        raise Crash

    what = ("commit", commit) if at == "commit" else ("before_cursor_execute", statement)
    event.listen(engine, *what)
    try:
        yield
    finally:
        event.remove(engine, *what)


def may(weight: int, **arguments: Draw) -> Callable[[T], T]:
    """What may happen in a step, how often beside the rest, and with which arguments."""

    def mark(method: T) -> T:
        vars(method)["chance"] = (weight, arguments)
        return method

    return mark


class LedgerMachine(RuleBasedStateMachine):
    """The rules that every history has; subclasses say whose accounts there are."""

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

    # What may happen

    def by(self, which: int, account: Account) -> int:
        """Mostly the issuer itself; in a coalition sometimes another."""
        return self.one([account.organisation, *self.ids], which)

    @may(4, hours=hours, far=YES, jobs=one_of(True, False, False))
    def time_passes(self, hours: int, far: bool, jobs: bool) -> None:
        """So far, or to the very moment at which something begins or ends next."""
        coming = self.world.coming()
        self.world.now = self.world.now + timedelta(hours=hours) if far or not coming else coming[0]
        if jobs:
            self.night(None)

    @may(
        4,
        which=WHICH,
        amount=AMOUNT,
        wait=maybe(hours),
        life=maybe(hours),
        promotional=YES,
        by=WHICH,
        how=HOW,
    )
    def give(
        self,
        which: int,
        amount: int,
        wait: int | None,
        life: int | None,
        promotional: bool,
        by: int,
        how: How,
    ) -> None:
        account = self.one(self.world.accounts, which)
        now, acceptor = self.world.now, self.by(by, account)
        starts = ends = None
        against = SystemCode.ISSUANCE
        if account.points:
            starts = None if wait is None else now + timedelta(hours=wait)
            ends = None if life is None else (starts or now) + timedelta(hours=life)
        elif promotional:
            against = SystemCode.CASH_CLEARING
        dates: Any = {"source": "purchase", "promotional": promotional}
        self.act(
            how,
            lambda session: service.credit(
                session,
                account.number,
                amount,
                actor=SYSTEM,
                reason="",
                now=now,
                against=against,
                acceptor_id=acceptor,
                available_from=starts,
                expires_at=ends,
                **dates,
            ),
            lambda: self.world.give(
                account,
                amount,
                against=against.value,
                by=acceptor,
                starts=starts,
                ends=ends,
                **dates,
            ),
        )

    @may(1, which=WHICH, first=AMOUNT, second=AMOUNT)
    def give_for_later(self, which: int, first: int, second: int) -> None:
        """The one that is due first ends last, and nobody looks before both are due."""
        self.give(which, first, 24, 20 * 24, False, 0, None)
        self.give(which, second, 48, 10 * 24, True, 0, None)
        self.world.now += timedelta(days=3)

    @may(4, which=WHICH, amount=AMOUNT, by=WHICH, payout=YES, how=HOW)
    def spend(self, which: int, amount: int, by: int, payout: bool, how: How) -> None:
        account = self.one(self.world.accounts, which)
        acceptor = self.by(by, account)
        paid_out = payout and not account.points
        against = SystemCode.CASH_CLEARING if paid_out else SystemCode.REDEMPTION
        self.act(
            how,
            lambda session: service.debit(
                session,
                account.number,
                amount,
                actor=SYSTEM,
                reason="",
                now=self.world.now,
                against=against,
                acceptor_id=acceptor,
            ),
            lambda: self.world.spend(account, amount, against=against.value, by=acceptor),
        )

    @may(3, which=WHICH, part=PART, how=HOW)
    def undo_giving(self, which: int, part: int | None, how: How) -> None:
        if not self.world.givings:
            return
        self.undo(self.mostly(self.world.givings, self.left, which), part, how)

    @may(4, which=WHICH, part=PART, how=HOW)
    def undo_spending(self, which: int, part: int | None, how: How) -> None:
        if not self.world.spendings:
            return
        self.undo(self.mostly(self.world.spendings, self.left, which), part, how)

    def undo(self, what: Giving | Spending, part: int | None, how: How) -> None:
        self.act(
            how,
            lambda session: service.reverse(
                session, what.number, amount=part, actor=SYSTEM, reason="", now=self.world.now
            ),
            lambda: self.world.undo(what, part),
        )

    @may(3, which=WHICH, amount=AMOUNT, minutes=one_of(15, 600, 1440, 1440), by=WHICH, how=HOW)
    def hold(self, which: int, amount: int, minutes: int, by: int, how: How) -> None:
        account = self.one(self.world.accounts, which)
        acceptor = self.by(by, account)
        ends = self.world.now + timedelta(minutes=minutes)
        self.act(
            how,
            lambda session: service.hold(
                session,
                account.number,
                amount,
                acceptor_id=acceptor,
                actor=SYSTEM,
                reason="",
                now=self.world.now,
                expires_at=ends,
            ),
            lambda: self.world.hold(account, amount, ends, acceptor),
        )

    @may(2, which=WHICH, part=PART, how=HOW)
    def capture(self, which: int, part: int | None, how: How) -> None:
        if not self.world.holds:
            return
        found = self.mostly(self.world.holds, self.active, which)
        self.act(
            how,
            lambda session: service.capture(
                session, found.number, part, actor=SYSTEM, reason="", now=self.world.now
            ),
            lambda: self.world.capture(found, part),
        )

    @may(1, which=WHICH, how=HOW)
    def void(self, which: int, how: How) -> None:
        if not self.world.holds:
            return
        found = self.mostly(self.world.holds, self.active, which)
        self.act(
            how,
            lambda session: service.void(session, found.number, now=self.world.now),
            lambda: self.world.void(found),
        )

    @may(1, how=HOW)
    def night(self, how: How) -> None:
        """The jobs run."""
        now = self.world.now
        self.act(
            how,
            lambda session: due.settle(session, due.accounts(session, now), now),
            self.world.night,
        )


class FamilyMachine(LedgerMachine):
    """Accounts of one organisation that join, leave, and get the same at once."""

    def furnish(self, minimum: int) -> None:
        for each in (minimum, 0, -200):
            self.open(self.ids[0], True, each)

    def partner(self, account: Account, which: int) -> Account:
        """Mostly one that has the same kind of value."""
        same = [
            each
            for each in self.world.accounts
            if (each.organisation, each.unit, each.heir)
            == (account.organisation, account.unit, None)
        ]
        return self.one([*same, *same, *self.world.accounts], which)

    @may(1, which=WHICH, minimum=one_of(*MINIMUM))
    def newcomer(self, which: int, minimum: int) -> None:
        if len(self.world.accounts) == 12:
            return
        like = self.one(self.world.accounts, which)
        self.open(like.organisation, like.points, minimum if like.points else 0)

    @may(1, one=WHICH, other=WHICH, how=HOW)
    def merge(self, one: int, other: int, how: How) -> None:
        source = self.one(self.world.accounts, one)
        target = self.partner(source, other)
        self.act(
            how,
            lambda session: service.merge(
                session,
                source.number,
                target.number,
                actor=SYSTEM,
                reason="",
                now=self.world.now,
            ),
            lambda: self.world.merge(source, target),
        )

    @may(2, one=WHICH, other=WHICH, amount=AMOUNT, how=HOW)
    def transfer(self, one: int, other: int, amount: int, how: How) -> None:
        source = self.one(self.world.accounts, one)
        target = self.partner(source, other)
        self.act(
            how,
            lambda session: service.transfer(
                session,
                source.number,
                target.number,
                amount,
                actor=SYSTEM,
                reason="",
                now=self.world.now,
            ),
            lambda: self.world.part(source, target, amount),
        )

    @may(1, skip=WHICH, amount=AMOUNT, life=maybe(hours), how=HOW)
    def give_many(self, skip: int, amount: int, life: int | None, how: How) -> None:
        """To everybody but one, the closed ones too."""
        points = [each for each in self.world.accounts if each.points]
        chosen = [each for place, each in enumerate(points) if place != skip % len(points)]
        ends = None if life is None else self.world.now + timedelta(hours=life)
        closed = sum(each.heir is not None for each in chosen)

        def verb(session: Session) -> None:
            done = service.credit_many(
                session,
                [each.number for each in chosen],
                amount,
                source="gift",
                actor=SYSTEM,
                reason="",
                now=self.world.now,
                expires_at=ends,
            )
            assert (done.accounts, done.closed) == (len(chosen) - closed, closed)

        self.act(
            how,
            verb,
            lambda: self.world.give_many(
                chosen, amount, against="issuance", ends=ends, source="gift"
            ),
        )


class CoalitionMachine(FamilyMachine):
    """Three organisations that take each other's points and certificates, and pay for it."""

    organisations = 3

    def furnish(self, minimum: int) -> None:
        for organisation in self.ids:
            self.open(organisation, True, minimum)
            self.open(organisation, False, 0)

    @may(2, pair=WHICH, points=YES, amount=AMOUNT, how=HOW)
    def pay(self, pair: int, points: bool, amount: int, how: How) -> None:
        pairs = [(one, other) for one in self.ids for other in self.ids if one != other]
        debtor, creditor = self.one(pairs, pair)
        unit = self.units[points]
        self.act(
            how,
            lambda session: settle_up(
                session,
                debtor_id=debtor,
                creditor_id=creditor,
                unit_id=unit,
                amount=amount,
                actor=SYSTEM,
                reason="",
                now=self.world.now,
            ),
            lambda: self.world.pay(debtor, creditor, unit, amount),
        )

    @may(1, which=WHICH, how=HOW)
    def undo_payment(self, which: int, how: How) -> None:
        if not self.world.payments:
            return
        payment = self.one(self.world.payments, which)
        query = "SELECT public_id FROM ledger_transactions WHERE id = %s"
        rows = self.eye.execute(query, (payment.number,)).fetchall()
        self.act(
            how,
            lambda session: undo_settlement(
                session, rows[0][0], actor=SYSTEM, reason="", now=self.world.now
            ),
            lambda: self.world.undo_payment(payment),
        )


class CertificateMachine(FamilyMachine):
    """Certificates that are issued, redeemed, refunded, paid out and passed on."""

    organisations = 2

    def furnish(self, minimum: int) -> None:
        for organisation in (self.ids[0], self.ids[0], self.ids[1]):
            self.open(organisation, False, 0)

    give_many = None  # type: ignore[assignment]  # certificates are issued one by one
