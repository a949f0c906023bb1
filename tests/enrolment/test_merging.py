"""One person of two rows, and back: cards, points, tiers, phones, agreements."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from tests.enrolment.twice import Twice, consent, second_programme, standing
from tests.factories import TILL, make_member, make_shop
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.cards.queries import find_by_number
from walletsvc.cards.service import issue_card
from walletsvc.core.errors import Conflict, InputError, Refused
from walletsvc.ledger.models import Account
from walletsvc.passes import content
from walletsvc.passes.models import Pass
from walletsvc.passes.service import find_by_link
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.storage.engine import Database


@pytest.fixture
def twice(database: Database, now: datetime) -> Twice:
    """The kept one has 100 points, the other 40; by different phones."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        card, _ = make_member(session, shop, now, "Анна", "+79000001001")
        other, _ = make_member(session, shop, now, "Аня", "+79000001002")
    made = Twice(database, now, shop, card.person_id, other.person_id, card.id, other.id)
    made.credit(card.id, 100)
    made.credit(other.id, 40, expires_at=now + timedelta(days=30))
    return made


def test_two_cards_become_one_and_two_again(twice: Twice) -> None:
    """With every point and date; number, id and page of the old card mean the other meanwhile."""
    before = twice.everything()
    made = twice.merge()
    assert twice.balance(twice.card) == 140
    with twice.database.read_tx() as session:
        card, other = session.get_one(Card, twice.card), session.get_one(Card, twice.other)
        assert (other.closed_at, other.merged_into_id) == (twice.now, card.id)
        assert find_by_number(session, other.number) == card.public_id
        assert find_by_number(session, card.number) == card.public_id
        page = find_by_link(session, other.link_token)
        assert page is not None
        assert page.card == card
        voided = session.exec(select(Pass.id).where(Pass.card_id == other.id)).one()
        assert content.render(session, [voided])[voided].content["voided"] is True
        person = session.get_one(Person, twice.merged)
        assert (person.merged_into_id, person.closed_at) == (twice.kept, twice.now)
        phones = session.exec(
            select(Phone.e164)
            .join(PersonPhone, col(PersonPhone.phone_id) == col(Phone.id))
            .where(PersonPhone.person_id == twice.kept)
            .order_by(Phone.e164)
        ).all()
    assert phones == ["+79000001001", "+79000001002"]
    undone = twice.undo(made)
    assert undone.exact
    assert undone.given_back == {twice.find(Card, twice.other).public_id: 40}
    assert (twice.balance(twice.card), twice.balance(twice.other)) == (100, 40)
    assert twice.everything() == before
    types = twice.all(
        "SELECT t.type, e.amount FROM ledger_entries e JOIN ledger_transactions t"
        " ON t.id = e.transaction_id WHERE e.account_id = :id ORDER BY e.id",
        id=twice.find(Card, twice.other).account_id,
    )
    assert types == [("credit", 40), ("merge", -40), ("merge", 40)]


def test_what_was_done_before_is_undone_where_it_belongs(twice: Twice) -> None:
    """While merged on the one account, afterwards on the card's own again."""
    bought = twice.debit(twice.other, 10)
    made = twice.merge()
    twice.undo(made)
    twice.reverse(bought)
    assert (twice.balance(twice.card), twice.balance(twice.other)) == (100, 40)
    again = twice.debit(twice.other, 15)
    twice.merge()
    twice.reverse(again)
    assert twice.balance(twice.card) == 140


def test_points_that_were_spent_meanwhile(twice: Twice) -> None:
    """The card gets back what it brought, also of the other's; refused when less is left."""
    made = twice.merge()
    twice.debit(twice.card, 50)  # the 40 that end first, and 10
    undone = twice.undo(made)
    assert not undone.exact
    assert (twice.balance(twice.card), twice.balance(twice.other)) == (50, 40)
    made = twice.merge()
    twice.debit(twice.card, 70)
    before = twice.everything()
    with pytest.raises(Refused) as refused:
        twice.undo(made)
    assert refused.value.data["missing"] == 20
    assert twice.everything() == before
    undone = twice.undo(made, accept_shortfall=True)
    assert list(undone.given_back.values()) == [20]
    assert (twice.balance(twice.card), twice.balance(twice.other)) == (0, 20)


def test_what_ended_or_came_meanwhile(twice: Twice) -> None:
    """Points that ended are not owed; those promised go back as promised."""
    later = twice.now + timedelta(days=10)
    accrued = twice.credit(twice.other, 7, available_from=later)
    made = twice.merge()
    twice.credit(twice.card, 1)
    assert twice.undo(made).exact
    twice.reverse(accrued)
    twice.credit(twice.other, 9, available_from=later)
    made = twice.merge()
    twice.debit(twice.card, 1)
    undone = twice.undo(made)
    assert not undone.exact
    assert list(undone.given_back.values()) == [40]
    assert twice.all(
        "SELECT c.id FROM lots l JOIN cards c USING (account_id) WHERE matured_id IS NULL"
        " AND remaining > 0"
    ) == [(twice.other,)]
    made = twice.merge()
    after = twice.now + timedelta(days=31)
    undone = twice.undo(made, now=after)
    # 39 of the 40 that came had ended; the last was made up for with one that does not end.
    assert list(undone.given_back.values()) == [10]
    assert twice.balance(twice.other) == 10


def test_a_card_of_a_programme_that_the_kept_lacks_changes_hands(twice: Twice) -> None:
    """And comes back; a card of it that both have does not count twice."""
    with twice.database.write_tx() as session:
        bar = second_programme(session, twice)
        person = session.get_one(Person, twice.merged)
        moving = issue_card(session, person=person, programme=bar, now=twice.now).id
    made = twice.merge()
    assert twice.find(Card, moving).person_id == twice.kept
    assert twice.find(Card, moving).closed_at is None
    twice.undo(made)
    assert twice.find(Card, moving).person_id == twice.merged


def test_gaps_are_filled_and_emptied(twice: Twice) -> None:
    """What both know is the kept one's; what was changed since stays."""
    with twice.database.write_tx() as session:
        kept, merged = session.get_one(Person, twice.kept), session.get_one(Person, twice.merged)
        kept.birthday = date(1990, 1, 1)
        merged.birthday, merged.email, merged.last_name = date(1991, 1, 1), "a@b.ru", "Иванова"
    made = twice.merge()
    assert made.details["filled"] == ["last_name", "email"]
    kept = twice.find(Person, twice.kept)
    assert (kept.birthday, kept.email, kept.last_name) == (date(1990, 1, 1), "a@b.ru", "Иванова")
    with twice.database.write_tx() as session:
        session.get_one(Person, twice.kept).email = "new@b.ru"
    twice.undo(made)
    kept = twice.find(Person, twice.kept)
    assert (kept.birthday, kept.email, kept.last_name) == (date(1990, 1, 1), "new@b.ru", "")


@pytest.mark.parametrize(
    ("kept", "merged", "stands"),
    [
        (None, (1, None), "merged"),
        ((1, None), (2, None), "kept"),
        ((1, 2), (3, None), "merged"),
        ((2, 4), (1, None), None),
        ((1, None), (2, 3), None),  # the last word was a no
        ((3, None), (1, 2), "kept"),
    ],
)
def test_the_last_word_of_the_two_counts(
    twice: Twice, kept: Any, merged: Any, stands: str | None
) -> None:
    """For one purpose and channel; undoing gives each back its own."""
    ids: dict[str | None, int] = {}
    if kept:
        ids["kept"] = consent(twice, twice.kept, *kept)
    ids["merged"] = consent(twice, twice.merged, *merged)
    before = twice.everything()
    made = twice.merge(now=twice.now + timedelta(days=5))
    assert standing(twice, twice.kept) == ([ids[stands]] if stands else [])
    twice.undo(made)
    assert twice.everything()["consents"] == before["consents"]


def test_what_is_refused_changes_nothing(twice: Twice, database: Database) -> None:
    """Itself, another organisation's, a merged one, an unnamed reason, reserved or owed points."""
    with database.write_tx() as session:
        elsewhere = make_shop(session, twice.now, "other")
        stranger = make_member(session, elsewhere, twice.now, "Анна", "+79000001001")[0].person_id
        third = make_member(session, twice.shop, twice.now, "Вера", "+79000001003")[0]
    before = twice.everything()
    with pytest.raises(Refused, match="itself"):
        twice.merge(merged=twice.kept)
    with pytest.raises(Refused, match="organisation"):
        twice.merge(merged=stranger)
    with pytest.raises(InputError):
        twice.merge(reason=" ")
    assert twice.everything() == before
    made = twice.merge()
    for kept, merged in ((third.person_id, twice.merged), (twice.merged, third.person_id)):
        with pytest.raises(Conflict, match="merged"):
            twice.merge(kept, merged)
    later = twice.merge(merged=third.person_id)
    with pytest.raises(Conflict) as refused:
        twice.undo(made)
    assert refused.value.data["undo_first"] == later.public_id
    twice.undo(later)
    twice.undo(made)
    with pytest.raises(Conflict, match="before"):
        twice.undo(made)


def test_a_card_in_a_group_cannot_be_the_one_that_ends(twice: Twice) -> None:
    """Its points are others' too; the other way round works."""
    with twice.database.write_tx() as session:
        third = make_member(session, twice.shop, twice.now, "Вера", "+79000001003")[0]
        groups.approve(
            session, third, session.get_one(Card, twice.other), reason="x", actor=TILL,
            now=twice.now,
        )  # fmt: skip
    with pytest.raises(Refused, match="group"):
        twice.merge()
    made = twice.merge(twice.merged, twice.kept)
    assert twice.balance(twice.other) == 140
    twice.undo(made)
    assert (twice.balance(twice.other), twice.balance(twice.card)) == (40, 100)


def test_a_chain_of_mergers_points_at_its_end(twice: Twice) -> None:
    """Whoever shows the first card means the last; undone one by one."""
    with twice.database.write_tx() as session:
        third = make_member(session, twice.shop, twice.now, "Анна", "+79000001003")[0]
    numbers = [twice.find(Card, id_).number for id_ in (twice.other, twice.card, third.id)]
    before = twice.everything()
    first = twice.merge()
    second = twice.merge(third.person_id, twice.kept)
    assert twice.balance(third.id) == 140
    with twice.database.read_tx() as session:
        assert {find_by_number(session, number) for number in numbers} == {third.public_id}
    with pytest.raises(Conflict, match="merged"):
        twice.undo(first)
    assert twice.undo(second).exact
    assert twice.undo(first).exact
    assert twice.everything() == before


def test_accounts_keep_their_heirs(twice: Twice) -> None:
    """The account of a merged card is closed and empty."""
    account = twice.find(Card, twice.other).account_id
    twice.merge()
    stored = twice.find(Account, account)
    assert (stored.balance, stored.merged_into_id) == (0, twice.find(Card, twice.card).account_id)
