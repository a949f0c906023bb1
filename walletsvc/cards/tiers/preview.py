"""Who would move where under other rules: numbers of all cards at once, names by pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook import tiers as rules
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.tiers import Direction
from walletsvc.programmes.tiers.queries import base_values, with_base
from walletsvc.programmes.versions import NO_RULES, book_of, current

# `bucket` counts the thresholds that the base reaches; the first one, which is 0, everybody does.
# An account without a stored tier is in the first one of the published book, but does not hold it.
_CARDS: Final = with_base(
    "SELECT c.id, c.public_id, c.number, x.base,"
    " coalesce(t.tier, :first) AS present, t.tier IS NOT NULL AS held,"
    " greatest(width_bucket(x.base, CAST(:thresholds AS bigint[])), 1) AS bucket"
    " FROM cards c LEFT JOIN account_tiers t ON t.account_id = c.account_id"
    " CROSS JOIN LATERAL (SELECT <base> AS base) x"
    " WHERE c.programme_id = :programme_id AND c.closed_at IS NULL AND c.id > :after",
    "c.account_id",
)
_COUNT: Final = text(
    "SELECT present, held, bucket, count(*) AS cards FROM (<cards>) s GROUP BY 1, 2, 3".replace(
        "<cards>", _CARDS
    )
)
_PAGE: Final = text(
    "SELECT s.* FROM (<cards>) s"
    " JOIN unnest(CAST(:presents AS text[]), CAST(:helds AS bool[]), CAST(:buckets AS int[]))"
    " AS m (present, held, bucket) ON m.present IS NOT DISTINCT FROM s.present"
    " AND m.held = s.held AND m.bucket = s.bucket"
    " ORDER BY s.id LIMIT :limit".replace("<cards>", _CARDS)
)


class _Place(NamedTuple):
    """All cards in the same place go the same way."""

    present: str | None
    held: bool
    bucket: int


@dataclass(frozen=True, slots=True)
class Step:
    """From one tier to another, which way, and whether at once or at the next check."""

    before: str | None
    after: str | None
    direction: Direction
    at_once: bool


@dataclass(frozen=True, slots=True)
class Mover:
    """A card that would move; `base` in minor units of money, as the new rules count it."""

    card_id: int
    public_id: str
    number: str
    step: Step
    base: int


@dataclass(frozen=True, slots=True)
class Preview:
    """`moves` and `after` count cards; `movers` are a page of those that move."""

    moves: Mapping[Step, int]
    staying: int
    after: Mapping[str | None, int]
    movers: list[Mover]


def preview(
    session: Session,
    programme: Programme,
    book: RuleBook,
    now: datetime,
    *,
    after: int = 0,
    limit: int = 50,
) -> Preview:
    """Who would move if `book` were published now; the page begins after the card `after`."""
    version = current(session, programme.id)
    old = book_of(version) if version else NO_RULES
    values = _values(programme, old, book, now)
    moves: Counter[Step] = Counter()
    then: Counter[str | None] = Counter()
    moving: dict[_Place, Step] = {}
    staying = 0
    for row in session.execute(_COUNT, values | {"after": 0}):
        place = _place(row)
        step = _step(old, book, place)
        then[step.after] += row.cards
        if step.after == row.present:
            staying += row.cards
        else:
            moves[step] += row.cards
            moving[place] = step
    return Preview(moves, staying, then, _page(session, values, moving, after, limit))


def _page(
    session: Session,
    values: dict[str, Any],
    moving: Mapping[_Place, Step],
    after: int,
    limit: int,
) -> list[Mover]:
    if not moving:
        return []
    chosen = {
        "after": after,
        "limit": limit,
        "presents": [place.present for place in moving],
        "helds": [place.held for place in moving],
        "buckets": [place.bucket for place in moving],
    }
    rows = session.execute(_PAGE, values | chosen).all()
    return [Mover(row.id, row.public_id, row.number, moving[_place(row)], row.base) for row in rows]


def _place(row: Any) -> _Place:
    return _Place(row.present, row.held, row.bucket)


def _step(old: RuleBook, new: RuleBook, place: _Place) -> Step:
    """The threshold that the cards reach stands for the base of each."""
    turnover = new.tiers[place.bucket - 1].threshold if new.tiers else 0
    goes = rules.move(old, new, turnover, place.present, held=place.held)
    return Step(place.present, *goes)


def _values(programme: Programme, old: RuleBook, new: RuleBook, now: datetime) -> dict[str, Any]:
    today = now.astimezone(ZoneInfo(programme.time_zone)).date()
    return base_values(new, today) | {
        "programme_id": programme.id,
        "first": old.tiers[0].code if old.tiers else None,
        "thresholds": [tier.threshold for tier in new.tiers],
    }
