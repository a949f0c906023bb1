"""Tiers by cumulative purchases, never by balance: who stands where, and who would move."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from walletsvc.programmes.rulebook.schemas import RuleBook, Tier


def tier_for(book: RuleBook, turnover: int) -> Tier | None:
    """The tier that a tier base (minor units of money) reaches; None when the book has no tiers."""
    place = bisect_right(book.tiers, turnover, key=lambda tier: tier.threshold)
    return book.tiers[max(place - 1, 0)] if book.tiers else None


def next_tier(book: RuleBook, turnover: int) -> tuple[Tier, int] | None:
    """The tier after the one that is reached and what is missing to it; None at the top."""
    for tier in book.tiers:
        if tier.threshold > turnover:
            return tier, tier.threshold - turnover
    return None


def find(book: RuleBook, code: str | None) -> Tier | None:
    """The tier with this code."""
    place = book.ranks.get(code)
    return None if place is None else book.tiers[place]


def reached(book: RuleBook, turnover: int, present: str | None) -> Tier | None:
    """The tier after a purchase: up at once, never down."""
    found, now = tier_for(book, turnover), find(book, present)
    if found is None or now is None:
        return found
    return max(found, now, key=lambda tier: tier.threshold)


def counts_since(book: RuleBook, day: date) -> date | None:
    """The first day whose purchases count towards tiers on `day`; None: all of them."""
    window = book.tier_base.window_days
    return None if window is None else day - timedelta(days=window - 1)


def check_day(book: RuleBook, day: date) -> date | None:
    """The day of the last regular check for moving down, as of a local day; None: there is none."""
    match book.tier_base.downgrade:
        case "never":
            return None
        case "monthly":
            return day.replace(day=1)
        case "yearly":
            return day.replace(month=1, day=1)


def check_due(book: RuleBook, now: datetime, last_check: date) -> bool:
    """Whether it is time to move down who no longer reaches their tier.

    `now` is in the programme's zone; `last_check` the local day of the last check, or the day on
    which the programme began. A check that was missed on its day is made up for.
    """
    due = check_day(book, now.date())
    return due is not None and last_check < due


Direction = Literal["up", "down", "assigned"]


@dataclass(frozen=True, slots=True)
class Move:
    """Cards that would go from one tier to another, and when: at once or at the next check."""

    before: str | None
    after: str | None
    direction: Direction
    at_once: bool
    cards: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """Who would move under a new rule book; `after` counts the cards of each tier then."""

    moves: tuple[Move, ...]
    staying: int
    after: Mapping[str | None, int]


def preview(
    old: RuleBook, new: RuleBook, cards: Iterable[tuple[int, int, str | None, bool]]
) -> Preview:
    """Who would move where when `new` follows `old`; cards are (id, tier base, present tier,
    whether that tier is held, see `move`).

    The tier base is the one that the new book counts. Up is at once; down waits for the next
    check, or never comes, when the new book never moves anybody down. Who is in a tier that the
    new book does not have moves at once.
    """
    moving: dict[tuple[str | None, str | None, Direction, bool], list[int]] = {}
    after: dict[str | None, int] = {}
    staying = 0
    for card, turnover, present, held in cards:
        goal, direction, at_once = move(old, new, turnover, present, held=held)
        after[goal] = after.get(goal, 0) + 1
        if goal == present:
            staying += 1
        else:
            moving.setdefault((present, goal, direction, at_once), []).append(card)
    rank = {tier.code: number for number, tier in enumerate(new.tiers)}
    ordered = sorted(
        moving.items(), key=lambda item: (rank.get(item[0][1] or "", -1), item[0][0] or "")
    )
    moves = tuple(Move(*key, tuple(ids)) for key, ids in ordered)
    return Preview(moves, staying, after)


def move(
    old: RuleBook, new: RuleBook, turnover: int, present: str | None, *, held: bool
) -> tuple[str | None, Direction, bool]:
    """Where one card would go, which way that is, and whether at once.

    `held` is whether the tier is written down for the account. One that never bought anything
    counts as being in the first tier of whatever book is published: it has no tier to keep.
    """
    found, now = tier_for(new, turnover), find(new, present)
    if found is None:
        return None, "assigned", True
    if now is None:
        was = find(old, present)
        if was is None or was.threshold == found.threshold:
            return found.code, "assigned", True
        return found.code, "up" if found.threshold > was.threshold else "down", True
    if found.threshold >= now.threshold:
        return found.code, "up", True
    if not held:
        return found.code, "down", True
    if new.tier_base.downgrade == "never":
        return now.code, "down", False
    return found.code, "down", False
