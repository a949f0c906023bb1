"""Random histories of certificates agree with a small model after every step."""

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

from tests.certificates.shop import Gifts
from tests.driving import Driver, refuse
from tests.factories import TILL
from walletsvc.app import LEDGER_CHECKS
from walletsvc.certificates import figures, queries, service
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.states import state
from walletsvc.ledger.models import Account
from walletsvc.ledger.verify import differences

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
STEPS = 4000 if LONG else 170


REFUSED = {
    "closed": "Refused",
    "blocked": "CertificateBlocked",
    "expired": "CertificateExpired",
}
Verb = Callable[[Session], Any]


@dataclass
class Taken:
    """A redemption: of which certificate, by whom, how much, and how much was given back."""

    place: int
    by: int
    amount: int
    back: int = 0


@dataclass
class Gift:
    """A certificate. `put` are its issue and top-ups, `paid` its payouts; undone ones are 0."""

    free: bool
    ends: datetime | None
    left: int = 0
    put: list[int] = field(default_factory=list)
    paid: list[int] = field(default_factory=list)
    former: bool = False
    heir: int | None = None
    closed: bool = False
    blocked: bool = False

    def state(self, now: datetime) -> str:
        ended = self.ends is not None and self.ends <= now
        found = {"closed": self.closed, "blocked": self.blocked, "expired": ended}
        return next((name for name, true in found.items() if true), "active")


@dataclass
class World:
    """All certificates in the order of issue, all redemptions, and who may redeem."""

    accepting: tuple[int, ...]
    gifts: list[Gift] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def last(self, place: int) -> int:
        """Which certificate has what this one had."""
        heir = self.gifts[place].heir
        return place if heir is None else self.last(heir)

    def spendable(self, place: int, now: datetime) -> Gift:
        found = self.gifts[place]
        for name, error in REFUSED.items():
            refuse(found.state(now) == name, error)
        return found

    def issue(self, amount: int, free: bool, ends: datetime | None) -> None:
        self.gifts.append(Gift(free, ends, amount, [amount]))

    def redeem(self, place: int, amount: int, by: int, now: datetime) -> None:
        refuse(by not in self.accepting, "NotAccepted")
        found = self.spendable(place, now)
        refuse(amount > found.left, "InsufficientFunds")
        found.left -= amount
        self.taken.append(Taken(place, by, amount))

    def refund(self, place: int, which: int, amount: int | None, by: int) -> None:
        taken = self.taken[which]
        refuse(self.last(place) != self.last(taken.place), "NotFound")
        refuse(by not in (taken.by, self.accepting[0]), "NotFound")
        refuse(by != taken.by, "Refused")
        left = taken.amount - taken.back
        refuse(not left, "AlreadyReversed")
        refuse((amount or left) > left, "Refused")
        taken.back += amount or left
        self.gifts[self.last(place)].left += amount or left

    def top_up(self, place: int, amount: int, now: datetime) -> None:
        found = self.spendable(place, now)
        found.left += amount
        found.put.append(amount)

    def pay_out(self, place: int) -> None:
        found = self.gifts[place]
        refuse(found.free or found.heir is not None, "Refused")
        refuse(found.blocked, "CertificateBlocked")
        refuse(not found.left, "Refused")
        found.paid.append(found.left)
        found.left, found.closed = 0, True

    def undo_payout(self, place: int) -> None:
        found = self.gifts[place]
        which = next((n for n, amount in reversed([*enumerate(found.paid)]) if amount), None)
        refuse(which is None, "Refused")
        self.gifts[self.last(place)].left += found.paid[which or 0]
        found.paid[which or 0] = 0
        found.closed = found.heir is not None  # what was transferred stays so

    def cancel(self, place: int, top_up: int | None) -> None:
        found = self.gifts[place]
        refuse(found.closed, "Refused")
        refuse(found.blocked, "CertificateBlocked")
        if top_up is not None:
            stands = top_up < len(found.put) and found.put[top_up] > 0
            refuse(not stands or (top_up == 0 and not found.former), "NotFound")
            refuse(found.put[top_up] > found.left, "InsufficientFunds")
            found.left -= found.put[top_up]
            found.put[top_up] = 0
            return
        standing = [amount for amount in found.put if amount]
        refuse(found.former or len(standing) != 1 or found.left != standing[0], "Refused")
        found.put, found.left, found.closed = [0], 0, True

    def block(self, place: int, on: bool) -> None:
        refuse(self.gifts[place].closed, "Refused")
        self.gifts[place].blocked = on

    def hand_over(self, place: int, now: datetime) -> None:
        found = self.gifts[place]
        if found.state(now) != "blocked":
            self.spendable(place, now)
        refuse(not found.left, "Refused")
        self.gifts.append(Gift(found.free, found.ends, found.left, former=True))
        found.left, found.closed, found.heir = 0, True, len(self.gifts) - 1


class History:
    """Random verbs on a shop's certificates."""

    def __init__(self, gifts: Gifts, dice: Random) -> None:
        self.gifts, self.dice = gifts, dice
        self.ids: list[int] = []
        self.takings: list[str] = []
        self.puts: dict[int, list[str]] = {}
        self.issuer, self.partner, self.stranger = (
            gifts.issuer.id,
            gifts.partner.id,
            gifts.stranger.id,
        )
        world = World((self.issuer, self.partner))
        self.driver = Driver(gifts.database, gifts.now, dice, world, self.stored, self.told)

    def stored(self, session: Session) -> list[tuple[Any, ...]]:
        rows = session.exec(
            select(Certificate, Account.balance)
            .join(Account, col(Account.id) == col(Certificate.account_id))
            .order_by(col(Certificate.id))
        )
        return [
            (balance, bool(row.closed_at), bool(row.blocked_at), state(row, self.driver.now).value)
            for row, balance in rows
        ]

    def told(self, world: World) -> list[tuple[Any, ...]]:
        now = self.driver.now
        return [(each.left, each.closed, each.blocked, each.state(now)) for each in world.gifts]

    def step(self) -> None:
        name = self.dice.choice(
            ["issue", "redeem", "redeem", "redeem", "refund", "refund", "top_up", "pay_out",
             "undo_payout", "undo_payout", "cancel", "block", "hand_over", "wait"]
        )  # fmt: skip
        if name == "issue" and len(self.ids) > 4 and self.dice.random() < 0.5:
            name = "undo_payout"
        if name in ("issue", "wait") or not self.ids:
            return self.wait() if name == "wait" else self.issue()
        getattr(self, name)(self.dice.randrange(max(len(self.ids) - 5, 0), len(self.ids)))
        return None

    def act(self, name: str, verb: Verb, foretell: Callable[[World], Any]) -> Any:
        answer = self.driver.act(lambda session: str(verb(session)), foretell)
        if answer is not None:
            self.driver.done[name] = self.driver.done.get(name, 0) + 1
        return answer

    def on(self, place: int, verb: Callable[..., Any], *args: Any, **more: Any) -> Verb:
        given = {"actor": TILL, "reason": "test", "now": self.driver.now, **more}

        def send(session: Session) -> Any:
            made = verb(session, session.get_one(Certificate, self.ids[place]), *args, **given)
            return made[0].id if isinstance(made, tuple) else getattr(made, "public_id", made)

        return send

    def wait(self) -> None:
        self.driver.now += timedelta(hours=self.dice.choice([1, 5, 30]))
        if self.dice.random() < 0.5:
            with self.gifts.database.write_tx() as session:
                service.note_expired(session, self.driver.now)
        assert self.driver.read() == self.told(self.driver.model)

    def issue(self) -> None:
        amount, free = self.dice.randint(1, 300), self.dice.random() < 0.3
        ends = self.driver.now + timedelta(hours=self.dice.randint(1, 90))
        ends_or_not = self.dice.choice([None, ends])
        made: list[str] = []

        def verb(session: Session) -> int:
            found, _ = service.issue(
                session,
                programme=self.gifts.programme,
                face_value=amount,
                origin=Origin.FREE if free else Origin.PAID,
                expires_at=ends_or_not,
                actor=TILL,
                reason="test",
                now=self.driver.now,
            )
            return found.id

        made.append(self.act("issue", verb, lambda world: world.issue(amount, free, ends_or_not)))
        self.ids.append(int(made[0]))
        self.puts[len(self.ids) - 1] = [""]  # the issue is cancelled by no id

    def redeem(self, place: int) -> None:
        amount, now = self.dice.randint(1, 120), self.driver.now
        by = self.dice.choice([self.issuer, self.issuer, self.partner, self.stranger])
        verb = self.on(place, service.redeem, amount, acceptor_id=by)
        answer = self.act("redeem", verb, lambda world: world.redeem(place, amount, by, now))
        if answer:
            self.takings.append(answer)

    def refund(self, place: int) -> None:
        if not self.takings:
            return
        which = self.dice.randrange(max(len(self.takings) - 8, 0), len(self.takings))
        taken = self.driver.model.taken[which]
        if self.dice.random() < 0.8:
            place = self.dice.choice([taken.place, self.driver.model.last(taken.place)])
        amount = self.dice.choice([None, self.dice.randint(1, 60)])
        by = self.dice.choice([taken.by] * 4 + [self.issuer, self.partner, self.stranger])
        verb = self.on(
            place, service.refund, self.takings[which], amount=amount, organisation_id=by
        )
        self.act("refund", verb, lambda world: world.refund(place, which, amount, by))

    def top_up(self, place: int) -> None:
        amount, now = self.dice.randint(1, 90), self.driver.now
        verb = self.on(place, service.top_up, amount)
        answer = self.act("top_up", verb, lambda world: world.top_up(place, amount, now))
        if answer:
            self.puts[place].append(answer)

    def pay_out(self, place: int) -> None:
        self.act("pay_out", self.on(place, service.pay_out), lambda world: world.pay_out(place))

    def undo_payout(self, place: int) -> None:
        paid = [n for n, gift in enumerate(self.driver.model.gifts) if any(gift.paid)]
        place = self.dice.choice([place, *paid])
        verb = self.on(place, service.undo_payout)
        self.act("undo_payout", verb, lambda world: world.undo_payout(place))

    def cancel(self, place: int) -> None:
        puts = self.puts[place]
        which = self.dice.choice([None, *range(len(puts))])
        top_up = None if which is None else puts[which] or "0" * 20
        verb = self.on(place, service.cancel, top_up=top_up)
        self.act("cancel", verb, lambda world: world.cancel(place, which))

    def block(self, place: int) -> None:
        on = self.dice.random() < 0.4
        verb = self.on(place, service.block if on else service.unblock)
        self.act("block", verb, lambda world: world.block(place, on))

    def hand_over(self, place: int) -> None:
        now = self.driver.now
        verb = self.on(place, service.hand_over)
        answer = self.act("hand_over", verb, lambda world: world.hand_over(place, now))
        if answer:
            self.ids.append(int(answer))
            self.puts[len(self.ids) - 1] = []

    def finish(self) -> None:
        """Everything that is computed from the history says the same as the model."""
        with self.gifts.database.read_tx() as session:
            assert list(differences(session, LEDGER_CHECKS)) == []
            for place, gift in enumerate(self.driver.model.gifts):
                found = session.get_one(Certificate, self.ids[place])
                assert sum(part.amount for part in queries.parts(session, found)) == gift.left
            end = self.driver.now + timedelta(seconds=1)
            rows = figures.by_branch(session, self.issuer, self.gifts.now, end)
        taken = self.driver.model.taken
        own = [each for each in taken if each.by == self.issuer]
        assert sum(row.outstanding for row in rows) == sum(
            gift.left for gift in self.driver.model.gifts
        )
        assert sum(row.debited for row in rows) == sum(each.amount for each in own)
        assert sum(row.refunded for row in rows) == sum(each.back for each in own)


@pytest.mark.parametrize("round_", [0, 103])
def test_random_histories_agree_with_the_model(gifts: Gifts, round_: int) -> None:
    """Issue, redeem, refund, top up, pay out, cancel, block, transfer, end: in any order."""
    history = History(gifts, Random(int(time.time()) + round_ if LONG else round_))
    for _ in range(STEPS):
        history.step()
    history.finish()
    assert len(history.driver.done) >= 8  # of 9 verbs
    assert history.driver.refused > STEPS / 10
