"""The setting names another issuer than the one whose cards people hold."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.google.desk import Desk, Holder, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from walletsvc.google import breaker
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_issuer
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane

NEW = GoogleDialect(House("3388000000099999999", HOUSE.base_url, HOUSE.language))


@pytest.fixture(name="holder")
def holder_fixture(desk: Desk) -> Holder:
    """A card of the issuer of before; the new one is known."""
    [holder] = desk.cards(1)
    with desk.database.write_tx() as session:
        ensure_issuer(session, NEW.house.issuer_id, desk.now)
    return holder


def test_its_cards_are_neither_published_nor_due(desk: Desk, holder: Holder) -> None:
    """Nobody would send them."""
    with desk.database.write_tx() as session:
        assert NEW.held(session, [holder.pass_id]) == set()
        NEW.notify(session, [holder.pass_id], lane=Lane.INTERACTIVE, now=desk.now)
    assert desk.row(holder).due_at is None


def test_what_was_due_of_it_concerns_no_sender(desk: Desk, holder: Holder) -> None:
    """A sender woken for it would look in vain, again and again."""
    desk.change([holder], 5)
    desk.advance(timedelta(hours=1))
    with desk.database.read_tx() as session:
        old = breaker.standing(session, HOUSE.issuer_id, desk.now)
        new = breaker.standing(session, NEW.house.issuer_id, desk.now)
    assert old is not None
    assert new is not None
    assert (old.urgent, new.urgent, new.bulk, new.announcements) == (True, False, False, False)
