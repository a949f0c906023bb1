"""Merged persons who buy: turnover, tiers, refunds, tills that know the old card; and at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from sqlmodel import Session, select

from tests.sales.shop import BOOK, TILL, Café, open_café
from walletsvc.cards.models import Card
from walletsvc.cards.service import issue_card
from walletsvc.core.errors import Conflict, PresenceRequired, WalletsvcError
from walletsvc.enrolment.merging import service
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.people.models import Person
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.sales.scanning import scan
from walletsvc.storage.engine import Database


@dataclass
class Guests:
    """A café and two cards that are one person's."""

    café: Café
    card: Card
    other: Card

    def merge(self, kept: Card | None = None, merged: Card | None = None) -> PersonMerge:
        with self.café.database.write_tx() as session:
            return service.merge(
                session,
                session.get_one(Person, (kept or self.card).person_id),
                session.get_one(Person, (merged or self.other).person_id),
                reason="x",
                actor=TILL,
                now=self.café.now,
            )

    def undo(self, made: PersonMerge, **more: Any) -> service.Undone:
        with self.café.database.write_tx() as session:
            found = session.get_one(PersonMerge, made.id)
            return service.undo(session, found, reason="x", actor=TILL, now=self.café.now, **more)

    def again(self) -> None:
        """Read the cards anew."""
        with self.café.database.read_tx() as session:
            self.card = session.get_one(Card, self.card.id)
            self.other = session.get_one(Card, self.other.id)

    def figures(self) -> list[tuple[int, int, str | None]]:
        self.again()
        assert self.café.clean()
        return [
            (self.café.available(card), self.café.turnover(card), self.café.tier(card))
            for card in (self.card, self.other)
        ]


@pytest.fixture
def guests(database: Database, now: Any) -> Guests:
    """Rules with two tiers; gold from 1000 roubles on."""
    café = open_café(database, now, BOOK)
    return Guests(café, café.card(), café.card())


def test_turnover_counts_together_and_apart_again(guests: Guests) -> None:
    """Together they reach gold; apart nobody does; refunds then count where they belong."""
    café = guests.café
    bought = café.buy(guests.other, 60_000)
    café.buy(guests.card, 50_000)
    before = guests.figures()
    assert [each[1:] for each in before] == [(50_000, "bronze"), (60_000, "bronze")]
    made = guests.merge()
    assert guests.figures()[0][1:] == (110_000, "gold")
    undone = guests.undo(made)
    assert undone.exact
    assert guests.figures() == before
    café.refund(bought)
    assert guests.figures()[1][:2] == (0, 0)


def test_a_refund_meanwhile_keeps_the_past_with_the_kept(guests: Guests) -> None:
    """Then the card begins anew with its points, and the books agree."""
    café = guests.café
    bought = café.buy(guests.other, 60_000)
    small = café.buy(guests.other, 10_000)
    made = guests.merge()
    café.refund(small)
    undone = guests.undo(made)
    assert not undone.exact
    figures = guests.figures()
    assert figures[1][:2] == (30, 0)
    assert figures[0][:2] == (0, 60_000)
    café.refund(bought)
    assert café.clean()


def test_a_till_that_knows_the_old_card_sells_to_the_other(guests: Guests) -> None:
    """By its number and by its id; what was bought once is not bought twice."""
    café = guests.café
    sold = café.buy(guests.other, 10_000, name="once")
    guests.merge()
    with café.database.read_tx() as session:
        found = scan(session, café.caller(), guests.other.number, café.now)
    assert found.card is not None
    assert found.card.card.id == guests.card.id
    assert found.problems == ()
    assert café.buy(guests.other, 10_000, name="once").id == sold.id
    assert café.buy(guests.other, 20_000, name="twice").card_id == guests.card.id
    assert guests.figures()[0][1] == 30_000


def at_once(*tasks: Callable[[], Any]) -> list[Any]:
    """Run these in threads that start together; what each returned or raised."""
    gate = threading.Barrier(len(tasks))
    found: list[Any] = [None] * len(tasks)

    def run(place: int, task: Callable[[], Any]) -> None:
        gate.wait()
        try:
            found[place] = task()
        except WalletsvcError as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("turn", range(5))
def test_two_mergers_at_once(guests: Guests, turn: int) -> None:
    """Of the same two, either way round: one is made, the other told; nobody waits for ever."""
    café = guests.café
    café.credit(guests.card, 100)
    café.credit(guests.other, 40)
    pair = (guests.card, guests.other)
    tasks = [lambda: guests.merge(*pair), lambda: guests.merge(*pair[:: 1 if turn % 2 else -1])]
    found = at_once(*tasks)
    assert sorted(type(each).__name__ for each in found) == ["Conflict", "PersonMerge"]
    made = next(each for each in found if isinstance(each, PersonMerge))
    assert sum(each[0] for each in guests.figures()) == 140
    found = at_once(lambda: guests.undo(made), lambda: guests.undo(made))
    assert sorted(type(each).__name__ for each in found) == ["Conflict", "Undone"]
    assert [each[0] for each in guests.figures()] == [100, 40]


def test_selling_and_issuing_while_persons_are_merged(guests: Guests) -> None:
    """Every sale counts; a card that comes too late is refused, not lost on a closed row."""
    café = guests.café
    late: list[Any] = []

    def issue() -> Card:
        with café.database.write_tx() as session:
            person = session.get_one(Person, guests.other.person_id)
            return issue_card(session, person=person, programme=café.programme, now=café.now)

    sales = [lambda: café.buy(guests.other, 10_000) for _ in range(3)]
    at_once(guests.merge, *sales)
    late = at_once(issue)
    assert type(late[0]) is Conflict  # not that there is a card already
    assert guests.figures()[0][1] == 30_000


def test_registering_with_the_phone_finds_the_kept_person(guests: Guests) -> None:
    """The closed row is nobody's any more."""
    café = guests.café
    with café.database.read_tx() as session:
        name = session.get_one(Person, guests.card.person_id).first_name
    guests.merge()
    with café.database.write_tx() as session:
        again = find_or_create_person(
            session,
            organisation_id=café.cafe.id,
            phone=f"+7900{1_000_000 + café.numbers}",  # the other's
            first_name=name,
            now=café.now,
        )
    assert again.id == guests.card.person_id


class Book:
    """Random mergers and undoings of four persons who buy, spend and return."""

    def __init__(self, café: Café, dice: Random) -> None:
        self.café, self.dice = café, dice
        self.cards = [café.card(points=50 * n) for n in range(1, 5)]
        self.bought: list[Any] = []
        self.merges: list[PersonMerge] = []
        self.done: dict[str, int] = {}

    def total(self) -> int:
        return int(self.café.all("SELECT sum(balance) FROM accounts WHERE kind = 'customer'")[0][0])

    def step(self) -> None:
        name = self.dice.choice(["buy", "buy", "pay", "refund", "merge", "merge", "undo"])
        before = self.total()
        try:
            getattr(self, name)()
        except WalletsvcError:
            name = f"no {name}"
        self.done[name] = self.done.get(name, 0) + 1
        if name in ("merge", "undo"):
            assert self.total() == before
        assert self.café.clean(), name

    def buy(self) -> None:
        card = self.dice.choice(self.cards)
        self.bought.append(self.café.buy(card, self.dice.randint(1, 40) * 1000))

    def pay(self) -> None:
        card = self.dice.choice(self.cards)
        self.bought.append(self.café.buy(card, 40_000, points=self.dice.randint(1, 60)))

    def refund(self) -> None:
        if self.bought:
            self.café.refund(self.bought.pop(self.dice.randrange(len(self.bought))))

    def merge(self) -> None:
        kept, merged = self.dice.sample(self.cards, 2)
        self.merges.append(Guests(self.café, kept, merged).merge())

    def undo(self) -> None:
        if self.merges:
            made = self.merges[-1] if self.dice.random() < 0.8 else self.dice.choice(self.merges)
            Guests(self.café, *self.cards[:2]).undo(made, accept_shortfall=True)
            self.merges.remove(made)


@pytest.mark.parametrize("seed", range(3))
def test_random_histories_keep_the_books(database: Database, now: Any, seed: int) -> None:
    """Whatever the order: no point appears or is lost, every check of the ledger is clean."""
    book = Book(open_café(database, now, BOOK), Random(seed))
    for _ in range(60):
        book.step()
    assert {"buy", "pay", "refund", "merge", "undo"} <= set(book.done)
    while book.merges:
        Guests(book.café, *book.cards[:2]).undo(book.merges.pop(), accept_shortfall=True)
        assert book.café.clean()
    with database.read_tx() as session:
        open_cards(session)


def open_cards(session: Session) -> None:
    """Nobody's card is closed or stands for another's when all was undone."""
    cards = session.exec(select(Card)).all()
    assert all(card.closed_at is None and card.merged_into_id is None for card in cards)


@pytest.mark.parametrize("named", ["old", "new"])
@pytest.mark.parametrize("twice", [False, True])
def test_a_purchase_of_a_card_that_became_part_of_another_is_corrected(
    guests: Guests, named: str, twice: bool
) -> None:
    """By the old id or the new one, also after a second merger: everything is as if it had been
    reported rightly and merged then."""
    café, third = guests.café, guests.café.card()
    café.credit(guests.other, 100)
    wrong = café.buy(guests.other, 60_000, points=40)
    guests.merge()
    if twice:
        guests.merge(third, guests.card)
    last = third if twice else guests.card
    right = café.sale(guests.other if named == "old" else last, 50_000, points=30)
    made = café.correct(wrong, right, name="K-9").purchase
    assert (made.card_id, made.paid_points) == (last.id, 30)
    assert café.clean()
    assert café.correct(wrong, right, name="K-9").purchase.id == made.id
    expected = guests.café.card(100)
    same = café.buy(expected, 50_000, points=30)
    assert made.earned == same.earned
    figures = (café.available, café.turnover, café.tier)
    assert [each(last) for each in figures] == [each(expected) for each in figures]


def test_a_correction_after_the_merger_was_undone_is_the_old_cards(guests: Guests) -> None:
    café = guests.café
    wrong = café.buy(guests.other, 60_000)
    guests.undo(guests.merge())
    made = café.correct(wrong, café.sale(guests.other, 50_000)).purchase
    assert made.card_id == guests.other.id
    figures = guests.figures()
    assert [each[:2] for each in figures] == [(0, 0), (made.earned, 50_000)]


@pytest.mark.parametrize("twice", [False, True])
def test_a_correction_on_a_merged_card_spends_what_the_old_one_spent(
    guests: Guests, twice: bool
) -> None:
    """In a programme with codes of the moment: it is the same card, but no more than that without a
    code, nor on another card."""
    café, third = guests.café, guests.café.card(100)
    café.credit(guests.other, 100)
    café.credit(guests.card, 100)
    wrong = café.buy(guests.other, 60_000, points=40)
    with café.database.write_tx() as session:
        session.get_one(Programme, café.programme.id).code_policy = CodePolicy.TIME_BASED
    guests.merge()
    if twice:
        guests.merge(third, guests.card)
    last = third if twice else guests.card
    stranger = café.card(100)
    for card, points in ((last, 41), (guests.other, 41), (stranger, 10)):
        with pytest.raises(PresenceRequired):
            café.correct(wrong, café.sale(card, 50_000, points=points))
    made = café.correct(wrong, café.sale(guests.other, 50_000, points=40)).purchase
    assert (made.card_id, made.paid_points) == (last.id, 40)
    assert café.clean()
