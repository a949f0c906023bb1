"""A hundred thousand cards: in bounded memory, and out again to the last of them."""

from __future__ import annotations

import os
import resource
from datetime import datetime

from tests.enrolment.importing.desk import open_desk
from walletsvc.storage.engine import Database

_GROWTH_MIB = 150
# `make test` has enough to do with the short form.
_ROWS = 100_000 if os.environ.get("WALLETSVC_TEST_LONG") else 2_000


def base(rows: int) -> str:
    """A list with 5 % rows that are there twice and 1 % that are bad."""
    lines = ["card;phone;first name;last name;birthday;balance;turnover"]
    for n in range(rows):
        here = n - 1 if n % 20 == 19 else n  # the line before, once more
        phone = "nothing" if n % 100 == 50 else f"+79{100_000_000 + here}"
        lines.append(
            f"A{here:07};{phone};Имя{here % 977};Фамилия{here};{here % 28 + 1:02}.05.1980;"
            f"{here % 500};{here % 1000 * 10}"
        )
    return "\n".join(lines)


def grown(before: int) -> float:
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def test_a_large_base_in_bounded_memory_and_its_undo_exact(
    database: Database, now: datetime
) -> None:
    """What is twice is out once, what is bad is named, the sums agree, and afterwards there is
    nothing that was not there before."""
    desk, rows = open_desk(database, now), _ROWS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = desk.check(base(rows))
    figures = found.figures
    assert (figures["rows"], figures["bad"], figures["duplicate"]) == (
        rows, rows // 100, rows // 20,
    )  # fmt: skip
    assert figures["file_balance"] == figures["ready_balance"] + figures["left_out_balance"]
    desk.run(found)
    assert desk.ask("SELECT sum(balance), count(*) FROM accounts WHERE kind = 'customer'") == [
        (figures["ready_balance"], figures["ready"])
    ]
    assert desk.clean()
    desk.undo(found)
    assert grown(before) < _GROWTH_MIB
    for left in (
        "SELECT 1 FROM accounts WHERE kind = 'customer' AND (balance <> 0 OR closed_at IS NULL)",
        "SELECT 1 FROM cards WHERE closed_at IS NULL",
        "SELECT 1 FROM persons WHERE erased_at IS NULL OR first_name <> ''",
        "SELECT 1 FROM plastic_numbers",
        "SELECT 1 FROM card_registrations",
        "SELECT 1 FROM phones",
        "SELECT 1 FROM turnover",
        "SELECT 1 FROM brought_turnover",
        "SELECT 1 FROM account_tiers",
        "SELECT 1 FROM import_rows WHERE outcome = 'kept'",
        "SELECT 1 FROM lots WHERE remaining > 0",
    ):
        assert desk.ask(left + " LIMIT 1") == [], left
    assert desk.clean()
