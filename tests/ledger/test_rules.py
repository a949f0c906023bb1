"""The pure rules of lots: what holds for any lots and any amounts."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOW
from walletsvc.ledger import rules
from walletsvc.ledger.rules import OpenLot, Standing

AMOUNT = st.integers(1, 300)


@st.composite
def lots(draw: st.DrawFn) -> list[OpenLot]:
    """Earliest-expiring first, some of them over, some held in part."""
    found = []
    for _ in range(draw(st.integers(0, 5))):
        remaining = draw(st.integers(1, 100))
        days = draw(st.none() | st.integers(-3, 9))
        ends = None if days is None else NOW + timedelta(days=days)
        found.append((ends, remaining, draw(st.integers(0, remaining))))
    found.sort(key=lambda lot: (lot[0] is None, lot[0] or NOW))
    return [OpenLot(n, 100 + n, left, held, ends) for n, (ends, left, held) in enumerate(found)]


def standing(found: list[OpenLot], minimum: int = 0, debt: int = 0) -> Standing:
    """What an account with these lots has: its debt instead when it has none."""
    balance = sum(lot.remaining for lot in found) or -debt
    return Standing(balance, sum(lot.held for lot in found), minimum)


@given(lots(), AMOUNT)
def test_taking_goes_in_order_and_leaves_what_is_held(found: list[OpenLot], amount: int) -> None:
    """A lot pays only when those before it have given all; nobody gives what is held."""
    payers = rules.spendable(found, NOW)
    moves = rules.take(payers, amount)
    assert -sum(moves.values()) == min(amount, rules.free(payers))
    free = {lot.id: lot.remaining - lot.held for lot in payers}
    assert all(0 < -part <= free[lot] for lot, part in moves.items())
    for before, after in pairwise([lot.id for lot in payers if free[lot.id]]):
        assert after not in moves or -moves[before] == free[before]
    assert not any(lot.expired(NOW) for lot in found if lot.id in moves)


@given(lots(), st.integers(-200, 0), st.integers(0, 200))
def test_what_is_available_can_be_taken_and_leaves_lots_and_balance_in_agreement(
    found: list[OpenLot], minimum: int, debt: int
) -> None:
    """Lots sum to the balance, or to nothing beside a debt, and nobody falls below the minimum."""
    before = standing(found, minimum, min(debt, -minimum))
    payers = rules.spendable(found, NOW)
    most = rules.available(before, found, payers)
    left = sum(lot.remaining for lot in found) + sum(rules.take(payers, most).values())
    after = before.balance - most
    assert left == max(after, 0)
    assert after - before.held >= minimum
    assert rules.holdable(before, payers) <= most


@given(lots(), AMOUNT, st.integers(0, 300))
def test_giving_back_a_part_is_having_spent_less(
    found: list[OpenLot], amount: int, part: int
) -> None:
    """The lots that end last get back first."""
    payers = rules.spendable(found, NOW)
    taken = rules.take(payers, min(amount, rules.free(payers)))
    part = min(part, -sum(taken.values()))
    back = rules.give_back([(lot, -moved) for lot, moved in reversed(taken.items())], part)
    less = rules.take(payers, -sum(taken.values()) - part) if sum(taken.values()) + part else {}
    kept = {lot: moved for lot, moved in rules.add(taken, back).items() if moved}
    assert kept == less


@given(st.lists(st.integers(0, 90)), st.integers(0, 300))
def test_nobody_gets_more_than_their_claim(claims: list[int], amount: int) -> None:
    """All of it is given while there are claims; movements of nothing do not exist."""
    moves = rules.give_back(list(enumerate(claims)), amount)
    assert sum(moves.values()) == min(amount, sum(claims))
    assert all(0 < part <= claims[lot] for lot, part in moves.items())


@given(lots())
def test_the_lot_of_an_undone_credit_pays_first(found: list[OpenLot]) -> None:
    """Though it has ended; the others keep their order."""
    for first in found:
        payers = rules.spendable(found, NOW, first=first.credit_id)
        assert payers[0] is first
        assert payers[1:] == [lot for lot in rules.spendable(found, NOW) if lot is not first]
