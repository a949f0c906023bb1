"""The setting names another issuer than the one whose cards people hold."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from tests.google.desk import Desk, Holder, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from tests.google.test_saving import saver
from walletsvc.cards.models import Card
from walletsvc.cli.doctor import google as doctor
from walletsvc.core.errors import Refused
from walletsvc.google import breaker
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_issuer, former_issuers
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


def test_who_wants_it_again_is_refused_at_once(desk: Desk, holder: Holder) -> None:
    """No worker would insert it: the visitor would be told to try again for ever."""
    with desk.database.read_tx() as session:
        token = session.exec(select(Card)).one().link_token
    with pytest.raises(Refused, match="another issuer"):
        saver(desk, dialect=NEW).link(token)
    assert desk.row(holder).due_at is None


def test_the_doctor_says_so(desk: Desk, holder: Holder) -> None:
    """With the way back; of the issuer in the setting there is nothing to say."""
    assert holder.object_id.startswith(HOUSE.issuer_id)
    with desk.database.read_tx() as session:
        assert former_issuers(session, HOUSE.issuer_id) == {}
        assert list(doctor.former(session, HOUSE.issuer_id)) == []
        [finding] = doctor.former(session, NEW.house.issuer_id)
    assert finding.problem
    assert finding.text.startswith(f"1 card(s) are under the issuer {HOUSE.issuer_id}")
    assert "WALLETSVC_GOOGLE_ISSUER_ID" in finding.text
