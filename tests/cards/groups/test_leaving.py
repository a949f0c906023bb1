"""Leaving a group of cards, with a part of what is shared."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cards.groups.members import Family, hold, refusal
from walletsvc.cards.groups.queries import ToCome
from walletsvc.core.errors import Conflict, InputError, InsufficientFunds
from walletsvc.ledger import queries


def test_leaving_with_a_part(family: Family) -> None:
    """The part keeps its dates; the group goes on without the card."""
    ends = family.now + timedelta(days=9)
    family.credit(0, 100, expires_at=ends)
    family.approve(1, 0)
    family.approve(2, 0)
    family.forget_changes()
    left = family.leave(0, 60)
    assert (left.balance, left.group.closed_at) == (60, None)
    assert family.balances()[:3] == [60, 40, 40]
    assert family.read(0).group_id is None
    with family.database.read_tx() as session:
        lots = queries.explain(session, family.read(0).account_id).lots
    assert [(lot.remaining, lot.expires_at) for lot in lots] == [(60, ends)]
    assert family.touched("card") >= {family.ids[0]}
    assert family.touched("account") >= {family.read(0).account_id, family.read(1).account_id}
    member = family.view().members[0]
    assert (member.left_at, member.left_with) == (family.now, 60)


def test_leaving_names_what_stays(family: Family) -> None:
    """All that comes later, whoever earned it, also what came with a card; not what is due."""
    soon, late = family.now + timedelta(days=3), family.now + timedelta(days=9)
    family.credit(1, 20, available_from=late, expires_at=late + timedelta(days=1))
    family.approve(1, 0)
    family.approve(2, 0)
    family.credit(0, 30, available_from=soon)
    with family.database.read_tx() as session:
        ids = [family.card(session, index).public_id for index in range(2)]
    expected = [
        ToCome(30, soon, None, ids[0]),
        ToCome(20, late, late + timedelta(days=1), ids[1]),
    ]
    assert family.leave(1, 0).stays == expected
    family.now = soon
    assert family.leave(2, 0).stays == expected[1:]


def test_leaving_with_more_than_there_is_is_refused(family: Family) -> None:
    """Nor with a debt, nor with less than nothing."""
    family.credit(0, 100)
    family.approve(1, 0)
    before = family.rows()
    with pytest.raises(InsufficientFunds) as caught:
        family.leave(1, 101)
    assert caught.value.data == {"available": 100}
    with pytest.raises(InputError) as wrong:
        family.leave(1, -1)
    assert wrong.value.fields[0].field == "take"
    with pytest.raises(Conflict, match="no group"):
        family.leave(2)
    assert family.rows() == before


def test_the_last_one_keeps_the_account(family: Family) -> None:
    """The group ends by itself, and its account may found another group later."""
    family.credit(0, 100)
    family.approve(1, 0)
    left = family.leave(0, 30)
    assert left.group.closed_at == family.now
    assert family.read(1).group_id is None
    assert family.balances()[:2] == [30, 70]
    assert [member.left_with for member in family.view().members] == [30, 70]
    family.approve(2, 1)
    assert family.balances()[:3] == [30, 70, 70]
    family.approve(0, 2)
    assert family.balances()[:3] == [100, 100, 100]
    assert {len(family.rows("card_groups")[0]), len(family.rows("group_members")[0])} == {2, 5}


def test_who_leaves_takes_its_codes_back(family: Family) -> None:
    """A code given out for one group must not open another."""
    family.approve(1, 0)
    family.approve(2, 0)
    code = family.invite(1)
    family.leave(1)
    assert "no open invitation" in refusal(family, 3, code)


def test_reserved_value_keeps_the_card_in(family: Family) -> None:
    """What the card has reserved of the shared balance would be paid by the others."""
    family.credit(0, 100)
    family.approve(1, 0)
    family.approve(2, 0)
    hold(family, 1)
    with pytest.raises(Conflict, match="reserved"):
        family.leave(1)
    with pytest.raises(Conflict, match="reserved"):
        family.approve(3, 0)
    family.leave(2, 90)
    with pytest.raises(InsufficientFunds):
        family.now += timedelta(hours=1)  # the hold is over
        family.leave(1, 11)
    family.leave(1, 10)
    assert family.balances()[:3] == [0, 10, 90]


def test_leaving_and_coming_back_are_two_times(family: Family) -> None:
    """Each with its own sums."""
    family.approve(1, 0)
    family.approve(2, 0)
    family.credit(1, 10)
    family.now += timedelta(minutes=1)
    family.leave(1, 4)
    family.now += timedelta(minutes=1)
    family.approve(1, 2)
    family.debit(1, 7)
    assert [(m.brought, m.earned, m.spent, m.left_with) for m in family.view().members] == [
        (0, 0, 0, None), (0, 10, 0, 4), (0, 0, 0, None), (4, 0, 7, None),
    ]  # fmt: skip


def test_a_refund_after_leaving_goes_to_the_group(family: Family) -> None:
    """What was bought with the group's points is given back to the group."""
    family.credit(0, 100)
    family.approve(1, 0)
    bought = family.debit(1, 30)
    family.leave(1, 20)
    family.reverse(bought)
    assert family.balances()[:2] == [80, 20]
