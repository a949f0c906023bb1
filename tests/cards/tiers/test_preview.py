"""Who would move under other rules, before they are published: numbers, names, and the truth."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from tests.cards.tiers.test_moving import work
from tests.programmes.books import LEVELS, book
from tests.programmes.tiers.club import Club
from walletsvc.cards.models import Card
from walletsvc.cards.tiers.preview import Step, preview
from walletsvc.programmes.rulebook import tiers as rules
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.queries import standing


def test_the_numbers_and_the_names(club: Club) -> None:
    """Up at once, down at the next check, out of a removed tier at once; pages by cursor."""
    club.publish(book(*LEVELS, tier_base={"downgrade": "monthly"}))
    amounts = (10, 60_000, 70_000, 120_000, 600_000)
    cards = [club.card() for _ in amounts]
    for card, amount in zip(cards, amounts, strict=True):
        club.buy(card, amount)
    fresh = club.card()
    wanted = book(
        ("bronze", 0), ("silver", 65_000), ("star", 900_000), tier_base={"downgrade": "monthly"}
    )
    with club.database.read_tx() as session:
        found = preview(session, club.shop.programme, wanted, club.now, limit=1)
        rest = preview(
            session, club.shop.programme, wanted, club.now, after=found.movers[0].card_id
        )
    up = Step("bronze", "silver", "up", at_once=True)
    out = Step("gold", "silver", "down", at_once=True)
    assert found.moves == rest.moves == {up: 1, out: 1}
    assert (found.staying, found.after) == (4, {"bronze": 3, "silver": 3})
    assert [(m.card_id, m.step, m.base) for m in (*found.movers, *rest.movers)] == [
        (cards[2].id, up, 70_000),
        (cards[4].id, out, 600_000),
    ]
    assert fresh.id not in [m.card_id for m in rest.movers]


def test_before_the_first_rules(club: Club) -> None:
    """Everybody gets a tier."""
    club.card()
    with club.database.read_tx() as session:
        found = preview(session, club.shop.programme, book(*LEVELS), club.now)
    assert found.moves == {Step(None, "bronze", "assigned", at_once=True): 1}


def test_rules_without_tiers(club: Club) -> None:
    """Everybody loses theirs."""
    club.publish(book(*LEVELS))
    club.card()
    with club.database.read_tx() as session:
        found = preview(session, club.shop.programme, book(), club.now)
    assert found.moves == {Step("bronze", None, "assigned", at_once=True): 1}


def test_a_tier_below_the_first(club: Club) -> None:
    """Who never bought is in it at once and is shown so; who bought keeps the former for now."""
    club.publish(book(*LEVELS))
    buyer, fresh = club.card(), club.card()
    club.buy(buyer, 10)
    wanted = book(("basic", 0), ("bronze", 50_000), tier_base={"downgrade": "monthly"})
    with club.database.read_tx() as session:
        found = preview(session, club.shop.programme, wanted, club.now)
    later = Step("bronze", "basic", "down", at_once=False)
    now = Step("bronze", "basic", "down", at_once=True)
    assert found.moves == {later: 1, now: 1}
    assert [(m.card_id, m.step) for m in found.movers] == [(buyer.id, later), (fresh.id, now)]
    club.publish(wanted)
    work(club)
    assert club.tier(buyer) == "bronze"
    with club.database.read_tx() as session:
        stands = standing(session, club.shop.programme.id, fresh.account_id)
    assert stands is not None
    assert stands.tier == wanted.tiers[0]


def test_tiers_that_the_job_has_not_brought_yet(club: Club) -> None:
    """Nobody keeps a tier that was never written down: the newer rules decide alone."""
    club.publish(book())
    card = club.card()
    club.buy(card, 10)
    club.publish(book(*LEVELS))
    wanted = book(("basic", 0), ("bronze", 50_000))
    with club.database.read_tx() as session:
        found = preview(session, club.shop.programme, wanted, club.now)
    assert found.moves == {Step("bronze", "basic", "down", at_once=True): 1}
    club.publish(wanted)
    work(club)
    assert club.tier(card) == "basic"


def books() -> st.SearchStrategy[RuleBook]:
    """A few tiers out of four, at thresholds between which the club's cards are."""
    codes = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)
    steps = st.lists(st.integers(1, 40), unique=True, min_size=3, max_size=3).map(sorted)
    down = st.sampled_from(["never", "monthly"])
    return st.builds(
        lambda names, above, when: book(
            *zip(names, [0, *above], strict=False), tier_base={"downgrade": when}
        ),
        codes, steps, down,
    )  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(old=books(), new=books(), seed=st.integers(0, 2**32))
@example(old=book(("a", 0)), new=book(("b", 0), ("a", 1)), seed=1918558)
def test_what_is_previewed_is_what_happens(
    club: Club, old: RuleBook, new: RuleBook, seed: int
) -> None:
    """The numbers agree with the pure rule over all cards, and publishing moves exactly those."""
    dice = random.Random(seed)
    club.publish(old)
    work(club)
    with club.database.read_tx() as session:
        cards = list(session.exec(select(Card)))
    for card in [*cards[-4:], club.card(), club.card()]:
        club.buy(card, dice.randint(-5, 30))
    shown = {card.id: club.tier(card) for card in all_cards(club)}
    first = old.tiers[0].code if old.tiers else None
    with club.database.read_tx() as session:
        found = preview(session, club.shop.programme, new, club.now, limit=1_000)
    bases = bases_of(club)
    pure = rules.preview(
        old,
        new,
        [
            (id_, bases.get(id_, 0), first if tier == "-" else tier, tier not in {"-", None})
            for id_, tier in shown.items()
        ],
    )
    assert found.staying == pure.staying
    assert dict(found.after) == dict(pure.after)
    assert {
        (step.before, step.after, step.direction, step.at_once): count
        for step, count in found.moves.items()
    } == {(m.before, m.after, m.direction, m.at_once): len(m.cards) for m in pure.moves}
    assert sorted(m.card_id for m in found.movers) == sorted(
        id_ for move in pure.moves for id_ in move.cards
    )
    club.publish(new)
    work(club)
    begins = new.tiers[0].code if new.tiers else None
    moved = {m.card_id: m.step.after for m in found.movers if m.step.at_once}
    for card in all_cards(club):
        before, now = shown[card.id], club.tier(card)
        assert (begins if now == "-" else now) == moved.get(
            card.id, first if before == "-" else before
        )


def all_cards(club: Club) -> list[Card]:
    with club.database.read_tx() as session:
        return list(session.exec(select(Card)))


def bases_of(club: Club) -> dict[int, int]:
    """What each card bought, by its id."""
    with club.database.read_tx() as session:
        rows = session.execute(
            text(
                "SELECT c.id, sum(t.amount) FROM cards c JOIN turnover t USING (account_id)"
                " GROUP BY c.id"
            )
        )
        return {id_: int(amount) for id_, amount in rows}
