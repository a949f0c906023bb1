"""Tables as text."""

from __future__ import annotations

import pytest

from walletsvc.jobs.lists.text import lines


@pytest.mark.parametrize("soft", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_soft_line_break_ends_no_row(soft: str, quote: str) -> None:
    """What a spreadsheet puts inside a cell is in the cell, and the rows after it keep number."""
    table = f"card;name\n1;{quote}Anna{soft}Maria{quote}\n2;Pyotr\n"
    assert list(lines(table.encode())) == [
        (1, ["card", "name"]),
        (2, ["1", f"Anna{soft}Maria"]),
        (3, ["2", "Pyotr"]),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_ends_a_row(end: str) -> None:
    """Also the one of old Macs; inside quotes none does."""
    table = end.join(["card;name", "1;Anna, Maria", '2;"Pyotr', 'Ivan"', "3;Olga", ""])
    assert list(lines(table.encode())) == [
        (1, ["card", "name"]),
        (2, ["1", "Anna, Maria"]),
        (3, ["2", f"Pyotr{end}Ivan"]),
        (5, ["3", "Olga"]),
    ]


def test_the_first_line_alone_says_what_separates() -> None:
    """Whatever its end: the commas of later lines are none of its business."""
    table = "card;name\r1;a,b,c\r2;d,e,f\r"
    assert [cells for _, cells in lines(table.encode())][1:] == [["1", "a,b,c"], ["2", "d,e,f"]]
