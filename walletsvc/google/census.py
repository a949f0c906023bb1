"""How many objects there are, without reading all of them every few seconds."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlmodel import Session

# So many rows are counted in some milliseconds.
COUNTED: Final = 50_000

_ABOUT: Final = text("SELECT reltuples FROM pg_class WHERE oid = 'google_objects'::regclass")
_SAVED: Final = text("SELECT count(*) FROM google_objects WHERE has_users")
_ABOUT_SAVED: Final = text("EXPLAIN (FORMAT JSON) SELECT FROM google_objects WHERE has_users")


def is_small(session: Session) -> bool:
    """Whether reading every object costs next to nothing, as far as the planner knows."""
    return float(session.execute(_ABOUT).scalar_one()) < COUNTED


def saved(session: Session) -> int:
    """How many objects sit in a wallet; of very many the planner's estimate."""
    if is_small(session):
        return int(session.execute(_SAVED).scalar_one())
    plan = session.execute(_ABOUT_SAVED).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])
