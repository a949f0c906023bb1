"""Histories of several accounts: families, coalitions, certificates."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import Session

from tests.ledger.crashing import How
from tests.ledger.dice import AMOUNT, HOW, MINIMUM, WHICH, YES, hours, may, maybe, one_of
from tests.ledger.machine import LedgerMachine
from tests.ledger.reference_parts import Account
from walletsvc.core.actor import SYSTEM
from walletsvc.ledger import service
from walletsvc.ledger.settlement import settle_up, undo_settlement


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
