"""Rules that are published while tills go on: one version after the other, nobody forgotten."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Row, text
from sqlmodel import col, select

from tests.concurrency.at_once import outcome, together
from tests.concurrency.interleave import checkpoints, interleave
from tests.factories import TILL
from tests.programmes.books import LEVELS, book
from tests.programmes.tiers.club import Club, bought, open_club
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.cards.queries import find
from walletsvc.cards.tiers import moving
from walletsvc.core.errors import WalletsvcError
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.programmes import versions
from walletsvc.programmes.models import RuleState, RuleVersion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers import schedule
from walletsvc.programmes.tiers.models import AccountTier
from walletsvc.storage.engine import Database

LOWER = book(("bronze", 0), ("silver", 30_000), ("gold", 60_000))


@pytest.fixture
def club(database: Database, now: datetime) -> Club:
    return open_club(database, now)


def publish(club: Club) -> str:
    def call() -> None:
        with club.database.write_tx() as session:
            versions.publish(session, club.shop.programme, TILL, club.now)

    return outcome(call)


def save(club: Club, rules: RuleBook) -> str:
    def call() -> None:
        with club.database.write_tx() as session:
            versions.save_draft(session, club.shop.programme, rules, TILL, "", club.now)

    return outcome(call)


def work(club: Club) -> None:
    runner = Runner(club.database, moving.handlers(), clock=lambda: club.now)
    while runner.run_once() != math.inf:
        pass


def test_of_many_who_publish_at_once_one_does(club: Club) -> None:
    """The others are told that there is no draft; no number is used twice."""
    for _ in range(5):
        save(club, book(*LEVELS))
        results = together(8, lambda _: publish(club))
        assert sorted(results) == ["conflict"] * 7 + ["done"]
    with club.database.read_tx() as session:
        rows = session.exec(select(RuleVersion).order_by(col(RuleVersion.number))).all()
        assert [row.number for row in rows] == [1, 2, 3, 4, 5]
        assert [row.state for row in rows] == [RuleState.RETIRED] * 4 + [RuleState.PUBLISHED]


def test_drafts_saved_at_once_are_one(club: Club) -> None:
    """The last one counts, and saving against publishing loses nothing unnoticed."""
    assert set(together(8, lambda n: save(club, book(("t", 0), ("u", n + 1))))) == {"done"}
    with club.database.read_tx() as session:
        assert len(session.exec(select(RuleVersion)).all()) == 1
    results = together(8, lambda n: publish(club) if n % 2 else save(club, LOWER))
    assert "done" in results
    with club.database.read_tx() as session:
        states = [row.state for row in session.exec(select(RuleVersion))]
        assert states.count(RuleState.DRAFT) <= 1
        assert states.count(RuleState.PUBLISHED) == 1


@pytest.mark.parametrize("seed", range(12))
def test_publishing_against_purchases(club: Club, seed: int) -> None:
    """However a publication, its job and purchases interleave: in the end every card is at least
    in the tier that the new rules give it, and what was counted is counted once."""
    dice = random.Random(seed)
    club.publish(book(*LEVELS))
    cards = [club.card() for _ in range(3)]
    for card in cards:
        club.buy(card, 25_000)
    save(club, LOWER)

    def till(card: Card) -> None:
        with club.database.write_tx() as session:
            bought(session, club, card, 10_000)

    def office() -> None:
        publish(club)
        work(club)

    with checkpoints(club.database.engine):
        interleave(dice, [office, *(partial(till, card) for card in cards)])
    work(club)
    assert [club.tier(card) for card in cards] == ["silver"] * 3
    with club.database.read_tx() as session:
        amounts = session.execute(text("SELECT amount FROM turnover")).scalars().all()
        assert list(amounts) == [35_000] * 3
        assert {row.base for row in session.exec(select(AccountTier))} == {35_000}


def _counted(club: Club, total: int) -> Sequence[Row[Any]]:
    """What is stored of the tiers' accounts and what it should be; all turnover is `total`."""
    with club.database.read_tx() as session:
        assert session.execute(text("SELECT sum(amount) FROM turnover")).scalar_one() == total
        return session.execute(
            text(
                "SELECT t.account_id, t.base, (SELECT coalesce(sum(amount), 0) FROM turnover b"
                " WHERE b.account_id = t.account_id) AS sum, a.merged_into_id"
                " FROM account_tiers t JOIN accounts a ON a.id = t.account_id"
            )
        ).all()


@pytest.mark.parametrize("seed", range(16))
def test_families_against_purchases_and_the_regular_check(club: Club, seed: int) -> None:
    """No turnover is lost or doubled when accounts merge and part meanwhile; no deadlock."""
    dice = random.Random(seed)
    club.publish(book(*LEVELS, tier_base={"downgrade": "monthly"}))
    cards = [club.card() for _ in range(4)]
    for card in cards:
        club.buy(card, 30_000)
    with club.database.write_tx() as session:
        session.execute(text("UPDATE account_tiers SET checked_on = '2026-10-02'"))

    def till(card: Card) -> None:
        with club.database.write_tx() as session:
            # As every edge looks a card up that it acts for: it stays with its account.
            view = find(session, club.shop.organisation.id, card.public_id, acting=True)
            assert view is not None
            bought(session, club, view.card, 10_000)

    def join(index: int, member: int) -> None:
        with club.database.write_tx() as session:
            groups.approve(
                session, cards[index], cards[member], reason="Семья", actor=TILL, now=club.now
            )

    def join_and_leave(index: int, member: int) -> None:
        try:
            join(index, member)
            with club.database.write_tx() as session:
                groups.leave(session, cards[index], 0, actor=TILL, now=club.now)
        except WalletsvcError:
            pass

    actors: list[Callable[[], object]] = [
        partial(till, cards[0]),
        partial(till, cards[1]),
        partial(join, 1, 0),
        partial(join_and_leave, 2, 3),
        lambda: schedule.run(club.database, lambda: club.now, batch=2),
    ]
    with checkpoints(club.database.engine):
        interleave(dice, actors)
    rows = _counted(club, 140_000)
    assert [row.base for row in rows] == [row.sum for row in rows]
    assert {row.merged_into_id for row in rows} == {None}
    assert club.tier(cards[0]) == "bronze"
