"""Figures of the ledger as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date

from walletsvc.core.money import decimal_text
from walletsvc.ledger.liability import Liability, Points


def columns(rows: Sequence[Sequence[str]], right: str = "") -> Iterator[str]:
    """Rows with their columns aligned; `right` has an `r` for each column of numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if right[column : column + 1] == "r" else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def liability(found: Liability) -> str:
    """What is owed, for each organisation and unit."""
    lines = [f"Liability at {found.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"]
    for points in found.points:
        lines += ["", f"{points.organisation}, {points.unit}", *_points(points)]
    if found.certificates:
        rows = [("certificates", "unit", "with money", "owed")]
        rows += [
            (each.organisation, each.unit, str(each.count), decimal_text(each.owed, each.scale))
            for each in found.certificates
        ]
        lines += ["", *columns(rows, "  rr")]
    if not found.points and not found.certificates:
        lines += ["", "Nothing is owed."]
    return "\n".join(lines)


def _points(points: Points) -> Iterator[str]:
    def amount(value: int) -> str:
        return decimal_text(value, points.scale)

    months = sorted(
        {*points.available, *points.future}, key=lambda month: (month is None, month or date.min)
    )
    rows = [("end in", "available", "future")]
    rows += [
        (
            "without end" if month is None else f"{month:%Y-%m}",
            amount(points.available.get(month, 0)),
            amount(points.future.get(month, 0)),
        )
        for month in months
    ]
    rows.append(("all", amount(points.available_total), amount(points.future_total)))
    rows.append(("debts", amount(-points.debts), ""))
    rows.append(("balances", amount(points.balance), ""))
    return columns(rows, " rr")
