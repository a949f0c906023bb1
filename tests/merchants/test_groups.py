"""Branch groups: whose they are and what may be in them."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.factories import make_shop
from walletsvc.core.errors import Conflict, InputError, NotFound, Refused
from walletsvc.merchants import groups
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.service import create_branch
from walletsvc.storage.engine import Database


def test_a_group_holds_own_branches_and_those_of_partners(
    database: Database, now: datetime
) -> None:
    """Who accepts the points may be named by the rules; who takes certificates only may not."""
    with database.write_tx() as session:
        own, other = (make_shop(session, now, slug).organisation for slug in ("a", "b"))
        mine, theirs = (
            create_branch(session, organisation_id=id_, name="B", now=now)
            for id_ in (own.id, other.id)
        )
        group = groups.create_branch_group(
            session, organisation_id=own.id, slug="moscow", name="  Москва ", now=now
        )
        assert group.name == "Москва"
        groups.add_branch(session, group, mine)
        groups.add_branch(session, group, mine)
        with pytest.raises(Refused):
            groups.add_branch(session, group, theirs)
        accept(session, own, other, False, True, now)
        with pytest.raises(Refused):
            groups.add_branch(session, group, theirs)
        accept(session, own, other, True, False, now)
        groups.add_branch(session, group, theirs)
        assert groups.list_branch_groups(session, own.id) == [(group, [mine, theirs])]
        assert groups.groups_of(session, own.id, theirs.id) == ["moscow"]
        assert groups.groups_of(session, other.id, theirs.id) == []
        groups.remove_branch(session, group, mine)
        with pytest.raises(NotFound):
            groups.remove_branch(session, group, mine)
        assert groups.groups_of(session, own.id, mine.id) == []


def test_slugs_are_an_organisations_own(database: Database, now: datetime) -> None:
    """Two organisations may use the same; one may not twice."""
    with database.write_tx() as session:
        own, other = (make_shop(session, now, slug).organisation for slug in ("a", "b"))
        for owner in (own, other):
            groups.create_branch_group(
                session, organisation_id=owner.id, slug="city", name="C", now=now
            )
        with pytest.raises(Conflict):
            groups.create_branch_group(
                session, organisation_id=own.id, slug="city", name="C", now=now
            )
        with pytest.raises(InputError, match="slug"):
            groups.create_branch_group(
                session, organisation_id=own.id, slug="Город", name="C", now=now
            )
        assert groups.find_branch_group(session, own.id, "city").organisation_id == own.id
        with pytest.raises(NotFound):
            groups.find_branch_group(session, own.id, "village")
