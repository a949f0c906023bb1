"""Founding programmes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from walletsvc.core.errors import Conflict, InputError, NotFound
from walletsvc.ledger.models import Unit, UnitKind
from walletsvc.merchants.service import create_organisation
from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.service import (
    create_discount_programme,
    create_gift_programme,
    create_points_programme,
    create_stamps_programme,
    find_programme,
    list_programmes,
    points_zones,
)
from walletsvc.storage.engine import Database


def test_points_are_a_unit_of_their_own_and_gifts_are_money(
    database: Database, now: datetime
) -> None:
    """Two points programmes never share points; two gift programmes share the currency."""
    with database.write_tx() as session:
        owner = create_organisation(session, slug="a", name="A", now=now).id
        club = create_points_programme(
            session, organisation_id=owner, slug="club", name="Club", scale=2, now=now
        )
        gift = create_gift_programme(
            session, organisation_id=owner, slug="gift", name="Gift", now=now
        )
        second = create_gift_programme(
            session, organisation_id=owner, slug="gift-2", name="Gift", now=now
        )
        points, money = session.get_one(Unit, club.unit_id), session.get_one(Unit, gift.unit_id)
        assert (points.code, points.kind, points.scale) == ("points:club", UnitKind.POINTS, 2)
        assert (money.code, money.kind, money.scale) == ("RUB", UnitKind.CURRENCY, 2)
        assert second.unit_id == gift.unit_id
        assert (club.kind, gift.kind) == (ProgrammeKind.POINTS, ProgrammeKind.GIFT)


def test_a_programme_is_found_by_its_owner_only(database: Database, now: datetime) -> None:
    """Another organisation's programme does not exist; a taken slug is a conflict."""
    with database.write_tx() as session:
        owner = create_organisation(session, slug="a", name="A", now=now).id
        other = create_organisation(session, slug="b", name="B", now=now).id
        club = create_points_programme(
            session, organisation_id=owner, slug="club", name="C", now=now
        )
        assert find_programme(session, owner, "club") is club
        with pytest.raises(NotFound):
            find_programme(session, other, "club")
        with pytest.raises(Conflict):
            create_gift_programme(session, organisation_id=other, slug="club", name="C", now=now)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"slug": "Club"}, "slug"),
        ({"name": " "}, "name"),
        ({"currency": "rub"}, "currency"),
        ({"currency": "RUBL"}, "currency"),
        ({"scale": 1}, "scale"),
        ({"time_zone": "Moscow"}, "time_zone"),
    ],
)
def test_bad_programmes_are_refused(
    database: Database, now: datetime, changes: dict[str, object], field: str
) -> None:
    """The field is named."""
    with pytest.raises(InputError) as caught, database.write_tx() as session:
        owner = create_organisation(session, slug="a", name="A", now=now).id
        values: dict[str, Any] = {"slug": "club", "name": "C", "now": now}
        create_points_programme(session, organisation_id=owner, **values | changes)
    assert caught.value.fields[0].field == field


def test_stamps_and_discounts_are_units_of_their_own(database: Database, now: datetime) -> None:
    """Whole stamps; a discount programme counts nothing, and its unit is nobody else's."""
    with database.write_tx() as session:
        owner = create_organisation(session, slug="a", name="A", now=now).id
        stamps = create_stamps_programme(
            session, organisation_id=owner, slug="coffee", name="C", now=now
        )
        discount = create_discount_programme(
            session, organisation_id=owner, slug="guests", name="G", now=now
        )
        units = [session.get_one(Unit, each.unit_id) for each in (stamps, discount)]
        assert [(unit.code, unit.kind, unit.scale) for unit in units] == [
            ("stamps:coffee", UnitKind.POINTS, 0),
            ("discount:guests", UnitKind.POINTS, 0),
        ]
        assert (stamps.kind, discount.kind) == (ProgrammeKind.STAMPS, ProgrammeKind.DISCOUNT)
        assert [p.slug for p in list_programmes(session, owner)] == ["coffee", "guests"]
        assert list_programmes(session, owner, after=stamps.id) == [discount]
        assert set(points_zones(session)) == {stamps.unit_id, discount.unit_id}
