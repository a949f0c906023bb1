"""Lists of recipients in Excel workbooks: what is read, what is named, what is never loaded."""

from __future__ import annotations

import random
import time

import pytest

from tests.certificates.books import DATE, MAIN, book, listed, sheet
from walletsvc.certificates.recipients import MOST_ROWS, Recipient, read, read_csv
from walletsvc.core.errors import InputError
from walletsvc.jobs.lists import workbook

FORMULA = b"<c><f>1+1</f><v>2</v></c>"
A_DATE = f'<c s="{DATE}"><v>46000</v></c>'.encode()


def refused(raw: bytes) -> list[tuple[str, str]]:
    """The fields that are wrong, and why."""
    with pytest.raises(InputError) as caught:
        read(raw, 2)
    return [(field.field, field.message) for field in caught.value.fields]


def test_a_list_is_read_as_its_csv_would_be() -> None:
    """Text and numbers, empty rows and columns, the first visible sheet."""
    rows: list[list[object]] = [
        ["Имя", "Сумма", "Язык", None, None],
        ["Игорь & Ко", 5000, "EN"],
        [],
        ["Света", "1 234,50", None],
        [None, 1234.56],
    ]
    expected = [
        Recipient("row 2", "Игорь & Ко", 500_000, "en"),
        Recipient("row 4", "Света", 123_450),
        Recipient("row 5", "", 123_456),
    ]
    assert read(book(sheet(rows)), 2) == expected
    assert read(book(sheet([["secret"]]), sheet(rows), hidden=1), 2) == expected
    table = "Имя;Сумма;Язык\nИгорь & Ко;5000;EN\n\nСвета;1 234,50;\n;1234.56;\n".encode()
    told = [(each.name, each.amount, each.language) for each in read_csv(table, 2)]
    assert told == [(each.name, each.amount, each.language) for each in expected]


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ([7.9001234567e10, 100], "row 3: name", "is a number: make it text and write it again"),
        (["A", A_DATE], "row 3: amount", "is a date or a time: make it a number"),
        ([A_DATE, 100], "row 3: name", "is a date or a time"),
        (["A", FORMULA], "row 3: amount", "is a formula: put its value there"),
        (["A", b'<c t="e"><v>#REF!</v></c>'], "row 3: amount", "is an error"),
        (["A", True], "row 3: amount", "is true or false"),
        (["A", 100, "ru", 5], "row 3: column 4", "is a number: make it text and write it again"),
    ],
)
def test_cells_that_are_not_what_they_seem_are_named(
    row: list[object], field: str, message: str
) -> None:
    """By row, column and cell, in words that say what to do."""
    letter = {"name": "A", "amount": "B", "column 4": "D"}[field.removeprefix("row 3: ")]
    found = refused(listed(["Б", 10], row, ["В", 20]))
    assert found[0] == (field, f"{message} (cell {letter}3)")
    assert {name.partition(":")[0] for name, _ in found} == {"row 3"}


def test_merged_cells_are_named() -> None:
    """Wherever the merger begins, in the heading too."""
    rows: list[list[object]] = [["Имя", "Сумма"], ["A", 10], ["B", None]]
    merged = '<mergeCells count="1"><mergeCell ref="{}"/></mergeCells>'
    body = book(sheet(rows, merged.format("B2:B3")))
    assert ("row 2: amount", "is merged with others (cell B2)") in refused(body)
    heading = book(sheet(rows, merged.format("A1:B1")))
    assert refused(heading) == [("row 1", "is merged with others (cell A1)")]


def test_every_bad_cell_is_named_and_amounts_as_in_csv() -> None:
    """The rules of amounts, names and languages are one."""
    assert [field for field, _ in refused(listed(["A", -1], ["B", 1.005], ["C", 2, "de"]))] == [
        "row 2: amount",
        "row 3: amount",
        "row 4: language",
    ]
    assert refused(book(sheet([["Имя"], ["A"]])))[0][0] == "heading"
    assert refused(book(sheet([])))[0] == ("file", "holds nothing")


def test_formulas_of_other_sheets_are_nobodys_business() -> None:
    """Only the list has to be plain."""
    plain = sheet([["amount"], [5]])
    assert read(book(plain, sheet([[FORMULA]])), 2) == [Recipient("row 2", "", 500)]


@pytest.mark.parametrize(
    "part",
    [
        sheet([["amount"], [b'<c r="XFD1048576"><v>1</v></c>']]),
        sheet([["amount"], [b'<c r="A25001"><v>1</v></c>']]),
        sheet([["amount"], [b'<c r="AY2"><v>1</v></c>']]),
        sheet([["amount"]], before='<dimension ref="A1:XFD1048576"/>'),
        sheet([]).replace("<sheetData>", '<sheetData><row r="1048576"><c><v>1</v></c></row>'),
        sheet([[1] * 51]),
    ],
)
def test_a_sheet_that_would_fill_the_memory_is_not_loaded(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One far cell makes a table of billions; it is refused before the library sees it."""
    monkeypatch.delattr(workbook, "load_workbook")
    for raw in (book(part), book(sheet([["amount"], [5]]), part)):
        (found,) = refused(raw)
        assert found[0] == "file"
        assert "copy the list alone" in found[1]


def test_what_unpacks_to_too_much_is_not_unpacked() -> None:
    """Whatever size it claims to have."""
    big = book(sheet([["amount"], [5]]), parts={"xl/big.xml": b" " * (workbook.SMALL.unpacked + 1)})
    assert refused(big) == [("file", "is too large when unpacked")]
    lying = bytearray(big)
    for name, size in ((46, 24), (30, 22)):  # in the directory, and before the part itself
        place = lying.rfind(b"xl/big.xml") if name == 46 else lying.find(b"xl/big.xml")
        claimed = slice(place - name + size, place - name + size + 4)
        assert lying[claimed] == (workbook.SMALL.unpacked + 1).to_bytes(4, "little")
        lying[claimed] = (10).to_bytes(4, "little")
    assert refused(bytes(lying)) == [("file", "is too large when unpacked")]
    assert len(big) < 100_000


@pytest.mark.parametrize(
    "raw",
    [
        b"PK\x03\x04workbook",
        book(),
        book(sheet([["amount"], [5]]), hidden=1),
        book("<worksheet>"),
        book('<!DOCTYPE x [<!ENTITY a "a">]><worksheet/>'),
        book(sheet([["amount"], [b'<c r="nonsense"><v>1</v></c>']])),
        book(f'<worksheet {MAIN}><sheetData><row r="x"/></sheetData></worksheet>'),
        book(sheet([["amount"], [5]]), parts={"xl/workbook.xml": "<workbook/>"}),
        book(sheet([["amount"], [5]]), parts={f"xl/{n}.xml": "<a/>" for n in range(200)}),
    ],
)
def test_what_is_no_workbook_is_refused(raw: bytes) -> None:
    """In words for people."""
    assert refused(raw)[0][0] == "file"


def test_no_damaged_workbook_does_worse_than_being_refused() -> None:
    """Bytes changed, cut off and repeated at random."""
    whole, dice = listed(["A", 10], ["B", 20, "ru"]), random.Random(4)
    for _ in range(400):
        raw = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            raw[dice.randrange(4, len(raw))] = dice.randrange(256)
        cut = dice.choice([len(raw), dice.randrange(4, len(raw))])
        try:
            assert len(read(bytes(raw[:cut]), 2)) <= 2
        except InputError:
            continue


def test_the_longest_list_takes_a_moment() -> None:
    """And one more than it is refused."""
    rows: list[list[object]] = [[f"Имя {n}", 100 + n, "ru"] for n in range(MOST_ROWS)]
    begun = time.monotonic()
    assert len(read(listed(*rows), 2)) == MOST_ROWS
    assert time.monotonic() - begun < 10
    assert refused(listed(*rows, ["A", 1]))[0][0] == "rows"
