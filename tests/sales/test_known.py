"""What is made once for all sales holds when others push it out."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlmodel import select

from tests.passes.shop import open_shop
from tests.passes.test_levels import rules
from tests.programmes.books import LEVELS, book
from walletsvc.programmes import versions
from walletsvc.programmes.models import RuleVersion
from walletsvc.sales import known
from walletsvc.storage.engine import Database


def test_a_version_has_its_rules_when_others_push_them_out(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one of two books, a sale that has found its version goes on by its rules."""
    monkeypatch.setattr(versions, "_MOST_BOOKS", 1)
    monkeypatch.setattr(known, "_MOST", 1)
    wanted = book(*LEVELS)
    with database.write_tx() as session:
        shop = open_shop(session, now)
        for each in (wanted, book()):
            rules(session, shop, each, now)
        first, second = session.exec(select(RuleVersion).order_by("id")).all()
        mine, other = (
            known.version(
                session, shop.points.id, {"id": each.id, "public_id": each.public_id,
                                          "number": each.number}, None,
            )
            for each in (first, second)
        )  # fmt: skip
    assert mine is not None
    assert other is not None
    assert versions.book_of(other) == book()
    assert versions.known_book(first.public_id) is None
    assert versions.book_of(mine) == wanted
