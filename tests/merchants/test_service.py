"""Organisations and branches."""

from __future__ import annotations

from datetime import datetime

import pytest

from walletsvc.core.errors import Conflict, InputError, NotFound
from walletsvc.merchants.rules import check_slug, check_time_zone
from walletsvc.merchants.service import (
    create_branch,
    create_organisation,
    find_branch,
    find_organisation,
)
from walletsvc.storage.engine import Database


def test_an_organisation_and_its_branch_are_found_again(database: Database, now: datetime) -> None:
    """By slug and by public id; a taken slug is a conflict that leaves the transaction usable."""
    with database.write_tx() as session:
        made = create_organisation(session, slug="coffee", name=" Кофе  и точка ", now=now)
        assert (made.name, made.phone) == ("Кофе и точка", None)
        with pytest.raises(Conflict, match="coffee"):
            create_organisation(session, slug="coffee", name="X", now=now)
        branch = create_branch(session, organisation_id=made.id, name="Невский", now=now)
        assert branch.active
        assert find_organisation(session, "coffee") is made
        assert find_branch(session, branch.public_id) is branch
        with pytest.raises(NotFound, match="tea"):
            find_organisation(session, "tea")
        with pytest.raises(NotFound):
            find_branch(session, "nope")


@pytest.mark.parametrize("slug", ["a", "coffee", "coffee-24", "a1-b2-c3", "x" * 40])
def test_good_slugs(slug: str) -> None:
    """What can stand in an address."""
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    ["", "-", "Coffee", "кофе", "a--b", "-a", "a-", "a_b", "a b", "1a", "a\n", "x" * 41, "a/b"],
)
def test_bad_slugs(slug: str) -> None:
    """What cannot, and the field that holds it."""
    with pytest.raises(InputError) as caught:
        check_slug(slug)
    assert caught.value.fields[0].field == "slug"


@pytest.mark.parametrize(
    "zone", ["", "Mars/Base", "../etc/passwd", "/etc/passwd", "a\x00b", "Europe"]
)
def test_bad_time_zones(zone: str) -> None:
    """Anything that is no IANA name, be it a path."""
    with pytest.raises(InputError):
        check_time_zone(zone)
    assert check_time_zone("Asia/Yekaterinburg") == "Asia/Yekaterinburg"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"phone": "1" * 21}, "phone"),
        ({"website": "x" * 201}, "website"),
    ],
)
def test_bad_organisations_are_refused(
    database: Database, now: datetime, changes: dict[str, str], field: str
) -> None:
    """The field is named."""
    with pytest.raises(InputError) as caught, database.write_tx() as session:
        create_organisation(session, now=now, **{"slug": "a", "name": "A"} | changes)
    assert caught.value.fields[0].field == field
