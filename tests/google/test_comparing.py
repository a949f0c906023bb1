"""What is a difference between Google's copy and ours, and what is only Google's way to write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import Session

from tests.google.shop import wanted
from tests.passes.shop import certificate, member, open_shop
from walletsvc.google.reconciling.comparing import FIELDS, differing
from walletsvc.storage.engine import Database

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"state": "active"}, {"state": "ACTIVE"}),
        ({"barcode": {"type": "qrCode", "value": "1"}}, {"barcode": {"type": "QR_CODE", "value": "1"}}),
        ({}, {"barcode": None, "textModulesData": [], "linksModuleData": {"uris": []}}),
        ({"balance": {"kind": "k", "micros": 5_000_000}}, {"balance": {"micros": "5000000"}}),
        ({"loyaltyPoints": {"label": "P"}}, {"loyaltyPoints": {"label": "P", "balance": {"int": 0}}}),
        (
            {"validTimeInterval": {"end": {"date": "2026-12-01T00:00:00.000Z"}}},
            {"validTimeInterval": {"end": {"date": "2026-12-01T03:00:00+03:00"}}},
        ),
        ({"hexBackgroundColor": "#0A141E"}, {"hexBackgroundColor": "#0a141e"}),
        ({"reviewStatus": "approved"}, {"reviewStatus": "UNDER_REVIEW"}),
        ({"barcode": {"value": "1", "renderEncoding": "renderEncodingUnspecified"}},
         {"barcode": {"value": "1", "renderEncoding": None}}),
        ({"textModulesData": [{"id": "a", "kind": "k"}]}, {"textModulesData": [{"id": "a"}]}),
        ({"extra": 1}, {}),
    ],
)  # fmt: skip
def test_googles_way_to_write_is_no_difference(theirs: Any, ours: Any) -> None:
    """Else it would be put right every night."""
    assert differing(theirs, ours, NOW) == []


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"state": "inactive"}, {"state": "ACTIVE"}),
        ({"barcode": {"value": "1"}}, {"barcode": None}),
        ({}, {"barcode": {"value": "1"}}),
        ({"balance": {"micros": "1"}}, {"balance": {"micros": "2"}}),
        ({"accountId": "007"}, {"accountId": "7"}),
        ({"p": {"balance": {"int": 5}}}, {"p": {"balance": {"int": None, "string": "5"}}}),
        ({"p": {"balance": {"int": 500}}}, {"p": {"balance": {"int": 0}}}),
        ({"m": [{"id": "a"}, {"id": "b"}]}, {"m": [{"id": "a"}]}),
        ({"m": [{"id": "b"}, {"id": "a"}]}, {"m": [{"id": "a"}, {"id": "b"}]}),
        ({"end": {"date": "2026-12-01T00:00:00Z"}}, {"end": {"date": "2026-12-01T00:00:00+03:00"}}),
        ({"name": ["x"]}, {"name": {"part": "x"}}),
    ],
)
def test_another_content_is_one(theirs: Any, ours: Any) -> None:
    """It is named by its field."""
    assert differing(theirs, ours, NOW) == list(ours)


def test_a_pass_whose_time_is_over_expires_at_google_by_itself() -> None:
    """Ours says so a little later. One whose time is not over did not expire so."""
    for end, found in (("2026-11-20T09:00:00Z", []), ("2026-11-20T10:00:00Z", ["state"])):
        ours = {"state": "ACTIVE", "validTimeInterval": {"end": {"date": end}}}
        assert differing({**ours, "state": "expired"}, ours, NOW) == found


def test_everything_that_objects_say_is_asked_for(database: Database, now: datetime) -> None:
    """Or it would look lost."""

    def names(session: Session) -> list[tuple[Any, set[str]]]:
        shop = open_shop(session, now)
        made = wanted(session, member(session, shop, now), now)
        gift = wanted(session, certificate(session, shop, now), now)
        return [(each.kind, set(each.body)) for each in (made, gift)]

    with database.write_tx() as session:
        for kind, found in names(session):
            assert found - {"id", "classId"} == set(FIELDS[kind])
