"""Who takes what of whom, and branches that are switched off."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session

from walletsvc.core.errors import InputError, NotAccepted, NotFound
from walletsvc.merchants.acceptance import (
    accept,
    list_acceptances,
    require_accepted,
    require_open,
    stop_accepting,
)
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import (
    create_branch,
    create_organisation,
    list_branches,
    switch_branch,
)
from walletsvc.storage.engine import Database


def found(session: Session, now: datetime) -> tuple[Organisation, Organisation]:
    """A hotel and a restaurant."""
    hotel = create_organisation(session, slug="hotel", name="Hotel", now=now)
    return hotel, create_organisation(session, slug="restaurant", name="Restaurant", now=now)


def takes(session: Session, issuer: Organisation, acceptor: Organisation) -> tuple[bool, bool]:
    """Whether points and certificates are taken."""
    answers = []
    for points in (True, False):
        try:
            require_accepted(session, issuer_id=issuer.id, acceptor_id=acceptor.id, points=points)
        except NotAccepted:
            answers.append(False)
        else:
            answers.append(True)
    return answers[0], answers[1]


@pytest.mark.parametrize(("points", "certificates"), [(True, True), (True, False), (False, True)])
def test_what_is_accepted_is_taken_and_nothing_else(
    database: Database, now: datetime, points: bool, certificates: bool
) -> None:
    """One way only; one's own always; the last word counts; and it can be ended."""
    with database.write_tx() as session:
        hotel, restaurant = found(session, now)
        assert takes(session, hotel, hotel) == (True, True)
        assert takes(session, hotel, restaurant) == (False, False)
        accept(session, hotel, restaurant, points, certificates, now)
        assert takes(session, hotel, restaurant) == (points, certificates)
        assert takes(session, restaurant, hotel) == (False, False)
        accept(session, hotel, restaurant, not points, True, now)
        assert takes(session, hotel, restaurant) == (not points, True)
        stop_accepting(session, hotel, restaurant)
        assert takes(session, hotel, restaurant) == (False, False)
        with pytest.raises(NotFound, match="nothing of 'hotel'"):
            stop_accepting(session, hotel, restaurant)


def test_acceptances_are_listed_from_either_side(database: Database, now: datetime) -> None:
    """By slug; since when stays when what is taken changes."""
    with database.write_tx() as session:
        hotel, restaurant = found(session, now)
        spa = create_organisation(session, slug="spa", name="Spa", now=now)
        accept(session, spa, hotel, True, True, now)
        accept(session, hotel, restaurant, True, False, now)
        accept(session, hotel, restaurant, False, True, now + timedelta(days=1))

        def told(organisation: Organisation | None) -> list[tuple[str, str, bool, bool]]:
            rows = list_acceptances(session, organisation.id if organisation else None)
            assert all(row.created_at == now for row in rows)
            return [
                (row.issuer.slug, row.acceptor.slug, row.points, row.certificates) for row in rows
            ]

        first = ("hotel", "restaurant", False, True)
        second = ("spa", "hotel", True, True)
        assert told(None) == told(hotel) == [first, second]
        assert told(restaurant) == [first]


def test_what_makes_no_sense_is_refused(database: Database, now: datetime) -> None:
    """Accepting oneself, or nothing."""
    with database.write_tx() as session:
        hotel, restaurant = found(session, now)
        with pytest.raises(InputError) as caught:
            accept(session, hotel, hotel, True, True, now)
        assert caught.value.fields[0].field == "acceptor"
        with pytest.raises(InputError) as caught:
            accept(session, hotel, restaurant, False, False, now)
        assert caught.value.fields[0].field == "points"
        assert list_acceptances(session) == []


def test_a_branch_that_is_off_takes_nothing(database: Database, now: datetime) -> None:
    """Each branch by itself; on again it takes again; no branch is never off."""
    with database.write_tx() as session:
        hotel, _ = found(session, now)
        one, two = (
            create_branch(session, organisation_id=hotel.id, name=name, now=now)
            for name in ("Невский", "Мойка")
        )
        assert switch_branch(session, one.public_id, on=False, now=now) is one
        switch_branch(session, one.public_id, on=False, now=now)
        with pytest.raises(NotAccepted, match="Невский"):
            require_open(one)
        require_open(two)
        require_open(None)
        assert [each.active for each in list_branches(session, hotel.id)] == [False, True]
        switch_branch(session, one.public_id, on=True, now=now)
        require_open(one)
        with pytest.raises(NotFound):
            switch_branch(session, "nope", on=True, now=now)
