"""Counters that all processes of an installation share, for `/metrics`.

A process counts in the transaction that does the work, once per batch, so what is counted
happened, and it does not matter which host the scrape reaches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, text
from sqlmodel import Field, Session, SQLModel

# Upper bounds of the buckets of every histogram, in seconds. Changing them starts new series.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_WRITTEN: Final = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")
# A histogram's sum is a counter of its own, beside its buckets; counters are whole numbers.
MICROSECONDS: Final = "_microseconds"

# Sorted, so that two processes that count the same things cannot deadlock.
_ADD: Final = text(
    "INSERT INTO counters (name, labels, value)"
    " SELECT * FROM unnest(CAST(:names AS text[]), CAST(:labels AS text[]),"
    "   CAST(:values AS bigint[])) AS n(name, labels, value) ORDER BY name, labels"
    " ON CONFLICT (name, labels) DO UPDATE SET value = counters.value + EXCLUDED.value"
)
_ALL: Final = text("SELECT name, labels, value FROM counters ORDER BY name, labels")


class Counter(SQLModel, table=True):
    """How often something happened since the installation began."""

    __tablename__ = "counters"

    name: str = Field(primary_key=True, max_length=100)
    labels: str = Field(primary_key=True, max_length=300)
    value: int = Field(sa_type=BigInteger)


class Series(NamedTuple):
    """A counter: its name, and label names with their values (`pass_type=…`) in one text."""

    name: str
    labels: str = ""


@lru_cache(maxsize=4096)
def series(name: str, **labels: str) -> Series:
    """The counter of this name with these labels; values must not hold `,` or `=`."""
    return Series(name, ",".join(f"{key}={value}" for key, value in sorted(labels.items())))


def labels_of(key: Series) -> dict[str, str]:
    """Undo `series`: the labels by name."""
    pairs = (pair.partition("=") for pair in key.labels.split(",") if pair)
    return {name: value for name, _, value in pairs}


def histogram(name: str, seconds: Iterable[float], **labels: str) -> dict[Series, int]:
    """What to `add` for these durations: each counts in the bucket it falls into, and in the sum.

    A negative duration (two hosts' clocks differ) counts as none.
    """
    counted: dict[Series, int] = {}
    for value in seconds:
        bucket, summed = timed(name, bucket_of(value), **labels)
        counted[bucket] = counted.get(bucket, 0) + 1
        counted[summed] = counted.get(summed, 0) + microseconds(value)
    return counted


def bucket_of(seconds: float) -> int:
    """The number of the bucket that a duration falls into."""
    return bisect_left(BOUNDS, seconds)


def timed(name: str, bucket: int, **labels: str) -> tuple[Series, Series]:
    """A histogram's counter of durations in this bucket, and that of all their microseconds."""
    return series(name, le=_WRITTEN[bucket], **labels), series(name + MICROSECONDS, **labels)


def microseconds(seconds: float) -> int:
    """A duration as a histogram sums it."""
    return round(max(seconds, 0.0) * 1e6)


def add(session: Session, amounts: Mapping[Series, int]) -> None:
    """Count; call it last in the transaction, since others that count wait for its commit."""
    counted = {key: amount for key, amount in amounts.items() if amount}
    if not counted:
        return
    session.execute(
        _ADD,
        {
            "names": [key.name for key in counted],
            "labels": [key.labels for key in counted],
            "values": list(counted.values()),
        },
    )


def read(session: Session) -> dict[Series, int]:
    """Every counter and its value."""
    return {Series(row.name, row.labels): row.value for row in session.execute(_ALL)}
