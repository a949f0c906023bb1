"""What a scanner read, and why it cannot be used."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.sales.shop import TILL, Café
from walletsvc.cards.models import Card
from walletsvc.cards.plastic import service as plastic
from walletsvc.cards.service import issue_card
from walletsvc.certificates.life import block
from walletsvc.core.errors import NotFound, Refused
from walletsvc.ledger.giving import credit
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import create_organisation, switch_branch
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_points_programme
from walletsvc.sales.sale import Caller
from walletsvc.sales.scanning import Problem, Scanned, scan


def read(
    café: Café, text: str, *, by: Caller | None = None, now: datetime | None = None
) -> Scanned:
    """Scan at the café's branch unless said otherwise."""
    with café.database.read_tx() as session:
        return scan(session, by or café.caller(), text, now or café.now)


def test_a_card_and_what_it_may_spend(café: Café) -> None:
    """Held points and spaces do not count."""
    card = café.card(100)
    café.hold(card.account_id, 30)
    found = read(café, f" {card.number[:8]}-{card.number[8:]}\n")
    assert found.card is not None
    assert (found.card.card.id, found.available, found.problems) == (card.id, 70, ())


def test_a_certificate_in_every_state(café: Café) -> None:
    """Active, ended, blocked: found all the same, with the reason."""
    gift = café.certificate(5_000, expires_at=café.now + timedelta(days=1))
    assert read(café, gift.code).available == 5_000
    ended = read(café, gift.code, now=café.now + timedelta(days=1))
    assert (ended.available, ended.problems) == (0, (Problem.CERTIFICATE_EXPIRED,))
    with café.database.write_tx() as session:
        block(session, gift, actor=TILL, reason="lost", now=café.now)
    assert read(café, gift.code).problems == (Problem.CERTIFICATE_BLOCKED,)


def test_time_counts_though_no_job_has_run(café: Café) -> None:
    """Points that are due or have ended, and holds that ran out, of a certificate too."""
    card, gift = café.card(100), café.certificate(5_000)
    tomorrow = café.now + timedelta(days=1)
    with café.database.write_tx() as session:
        common: dict[str, Any] = {
            "source": "test",
            "actor": TILL,
            "reason": "",
            "now": café.now,
        }
        credit(session, card.account_id, 50, available_from=tomorrow, **common)
        credit(session, card.account_id, 7, expires_at=tomorrow, **common)
    café.hold(gift.account_id, 3_000)
    assert (read(café, card.number).balance, read(café, card.number).available) == (107, 107)
    assert (read(café, gift.code).balance, read(café, gift.code).available) == (5_000, 2_000)
    then, money = read(café, card.number, now=tomorrow), read(café, gift.code, now=tomorrow)
    assert (then.balance, then.available) == (150, 150)
    assert (money.balance, money.available) == (5_000, 5_000)


def test_a_closed_card_and_a_branch_that_is_off(café: Café) -> None:
    """Both are said, and nothing may be spent."""
    card = café.card(100)
    with café.database.write_tx() as session:
        session.get_one(Card, card.id).closed_at = café.now
        switch_branch(session, café.branch.public_id, on=False, now=café.now)
    found = read(café, card.number)
    assert found.problems == (Problem.BRANCH_CLOSED, Problem.CARD_CLOSED)
    assert found.available == 0


def test_a_closed_programme_is_said(café: Café) -> None:
    """Before the quote is refused for it."""
    card = café.card(100)
    with café.database.write_tx() as session:
        session.get_one(Programme, café.programme.id).closed_at = café.now
    found = read(café, card.number)
    assert (found.problems, found.available) == ((Problem.PROGRAMME_CLOSED,), 0)
    with pytest.raises(Refused):
        café.quote(café.sale(card, 1_000))


@pytest.mark.parametrize("text", ["", "9123456789012342", "2222-2222-2222-2222", "п\u0130р"])
def test_nothing_is_found_in_nonsense(café: Café, text: str) -> None:
    """Every miss is the same."""
    with pytest.raises(NotFound, match="neither"):
        read(café, text)


def test_the_number_of_a_plastic_card(café: Café) -> None:
    """However it is typed; of two organisations that printed the same number one's own goes first,
    and what is not accepted is not found."""
    own, other = café.card(70), café.card(5)
    with café.database.write_tx() as session:
        plastic.add(session, session.get_one(Card, own.id), "A-1234", café.now)
        plastic.add(session, session.get_one(Card, other.id), "B5678", café.now)
        stranger = create_organisation(session, slug="stranger", name="S", now=café.now)
    for text in ("a1234", "A 1234\n", own.number):
        found = read(café, text)
        assert found.card is not None
        assert (found.card.card.id, found.available) == (own.id, 70)
    by_partner = read(café, "a1234", by=café.caller(café.partner))
    assert by_partner.card is not None
    assert by_partner.card.card.id == own.id
    for text, caller in (("A12345", None), ("a1234", Caller(stranger.id, None, TILL))):
        with pytest.raises(NotFound):
            read(café, text, by=caller)
    with café.database.write_tx() as session:
        theirs = create_points_programme(
            session, organisation_id=café.partner.id, slug="theirs", name="T", now=café.now
        )
        person = find_or_create_person(
            session, organisation_id=café.partner.id, phone=None, first_name="P", now=café.now
        )
        same = issue_card(session, person=person, programme=theirs, now=café.now)
        plastic.add(session, same, "A1234", café.now)
    by_partner = read(café, "a1234", by=café.caller(café.partner))
    assert by_partner.card is not None
    assert by_partner.card.card.id == same.id
    by_us = read(café, "a1234")
    assert by_us.card is not None
    assert by_us.card.card.id == own.id


def test_a_plastic_number_of_two_partners_is_nobodys(café: Café) -> None:
    """To a shop that takes the points of both; while only one of the cards is open it is that."""
    ours = café.card(70)
    with café.database.write_tx() as session:
        plastic.add(session, session.get_one(Card, ours.id), "A1234", café.now)
        third = create_organisation(session, slug="third", name="T", now=café.now)
        other = create_organisation(session, slug="other", name="O", now=café.now)
        for issuer in (session.get_one(Organisation, café.programme.organisation_id), other):
            accept(session, issuer, third, points=True, certificates=False, now=café.now)
        programme = create_points_programme(
            session, organisation_id=other.id, slug="theirs", name="T", now=café.now
        )
        person = find_or_create_person(
            session, organisation_id=other.id, phone=None, first_name="P", now=café.now
        )
        same = issue_card(session, person=person, programme=programme, now=café.now)
        plastic.add(session, same, "A1234", café.now)
    caller = Caller(third.id, None, TILL)
    with pytest.raises(NotFound, match="neither"):
        read(café, "a1234", by=caller)
    by_us = read(café, "a1234")
    assert by_us.card is not None
    assert by_us.card.card.id == ours.id
    with café.database.write_tx() as session:
        session.get_one(Card, ours.id).closed_at = café.now
    found = read(café, "a1234", by=caller)
    assert found.card is not None
    assert found.card.card.id == same.id
