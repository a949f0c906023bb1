"""Other rules are published: all cards go where those put them."""

from __future__ import annotations

import math

from sqlalchemy import text

from tests.factories import TILL
from tests.programmes.books import LEVELS, book
from tests.programmes.tiers.club import Club
from walletsvc.cards.groups import service as groups
from walletsvc.cards.tiers import moving
from walletsvc.jobs.bulk import BulkJob, service
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.programmes.tiers.models import TierCause


def work(club: Club) -> list[BulkJob]:
    """Let the worker do what is to be done; the jobs, newest first."""
    runner = Runner(club.database, moving.handlers(), clock=lambda: club.now)
    while runner.run_once() != math.inf:
        pass
    with club.database.read_tx() as session:
        return service.newest(session)


def test_up_at_once_and_down_never(club: Club) -> None:
    """Lower thresholds move who reaches them; higher ones leave everybody where they are."""
    club.publish(book(*LEVELS))
    small, middle, large = (club.card() for _ in range(3))
    for card, amount in ((small, 10), (middle, 120_000), (large, 600_000)):
        club.buy(card, amount)
    fresh = club.card()
    work(club)
    club.publish(book(("bronze", 0), ("silver", 50_000), ("gold", 110_000)))
    job = work(club)[0]
    assert (job.done, job.result) == (4, {"moved_up": 1})
    tiers = [club.tier(card) for card in (small, middle, large, fresh)]
    assert tiers == ["bronze", "gold", "gold", "-"]
    assert club.changes()[-1] == ("silver", "gold", TierCause.RULES)
    before = len(club.changes())
    club.publish(book(("bronze", 0), ("silver", 5_000_000), ("gold", 9_000_000)))
    work(club)
    assert [club.tier(card) for card in (small, middle, large)] == ["bronze", "gold", "gold"]
    assert len(club.changes()) == before


def test_who_is_in_a_tier_that_is_no_more_leaves_it(club: Club) -> None:
    """At once, to what the turnover reaches, be it up or down."""
    club.publish(book(*LEVELS))
    card, fresh = club.card(), club.card()
    club.buy(card, 600_000)
    club.buy(card, -500_000)
    club.publish(book(("basic", 0), ("silver", 90_000), ("star", 700_000)))
    job = work(club)[0]
    assert job.result == {"reassigned": 1}
    assert (club.tier(card), club.tier(fresh)) == ("silver", "-")
    club.publish(book())
    work(club)
    assert club.tier(card) is None


def test_all_passes_are_looked_at_for_the_names(club: Club) -> None:
    """Also those of cards that stay and have bought nothing."""
    club.publish(book(*LEVELS))
    cards = [club.card(), club.card()]
    work(club)
    club.touched()
    club.publish(book(("bronze", 0), ("silver", 100_001), ("gold", 500_000)))
    work(club)
    assert club.touched() == [card.account_id for card in cards]


def test_the_first_rules_count_what_was_bought_before(club: Club) -> None:
    """Nobody has to buy again to be seen."""
    card = club.card()
    club.buy(card, 150_000)
    club.publish(book(*LEVELS))
    work(club)
    assert club.tier(card) == "silver"
    assert club.changes() == [("bronze", "silver", TierCause.RULES)]


def test_rules_with_the_same_tiers_move_nobody(club: Club) -> None:
    """Other promotions are no reason to look at all cards; nor are first rules without tiers."""
    club.card()
    club.publish(book())
    assert work(club) == []
    club.publish(book(*LEVELS))
    club.publish(book(*LEVELS, spend={"max_share_percent": "30"}))
    assert len(work(club)) == 1


def test_newer_rules_take_over(club: Club) -> None:
    """The former job ends; what it had not done is done by the newest rules."""
    cards = [club.card() for _ in range(3)]
    for card in cards:
        club.buy(card, 150_000)
    club.publish(book(*LEVELS))
    club.publish(book(("bronze", 0), ("gold", 150_000)))
    jobs = work(club)
    assert [job.problem for job in jobs] == [None, service.SUPERSEDED]
    assert {club.tier(card) for card in cards} == {"gold"}


def test_a_family_moves_once(club: Club) -> None:
    """A tier is the account's."""
    host, guest = club.card(), club.card()
    club.buy(host, 150_000)
    with club.database.write_tx() as session:
        groups.approve(session, guest, host, reason="Семья", actor=TILL, now=club.now)
    club.publish(book(*LEVELS))
    assert work(club)[0].done == 1
    assert club.tier(guest) == "silver"
    with club.database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM account_tiers")).scalar_one() == 1
