"""Counters that all processes of an installation share, for `/metrics`.

A process counts in the transaction that does the work, once per batch, so what is counted
happened, and it does not matter which host the scrape reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, text
from sqlmodel import Field, Session, SQLModel

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


def series(name: str, **labels: str) -> Series:
    """The counter of this name with these labels; values must not hold `,` or `=`."""
    return Series(name, ",".join(f"{key}={value}" for key, value in sorted(labels.items())))


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
