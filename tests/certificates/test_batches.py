"""Certificates for a file of recipients: all rows or none, and each row once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.certificates.shop import Gifts
from tests.factories import TILL
from walletsvc.app import assemble, bulk_runner, job_blueprints
from walletsvc.certificates import batches
from walletsvc.certificates.models import Origin
from walletsvc.certificates.recipients import Recipient, read_csv
from walletsvc.core.errors import InputError, NotFound, Refused
from walletsvc.jobs import queue
from walletsvc.jobs.bulk import BulkJob, BulkState
from walletsvc.jobs.bulk import service as bulk
from walletsvc.ledger.models import SystemCode
from walletsvc.programmes.models import Programme
from walletsvc.settings import Settings

FILE = """Имя;Сумма;Язык
Марина К.;3 000,50;
"Игорь; и Света";5000;ru

Tom;1\u00a0200.5 ₽;EN
"""


def begin(gifts: Gifts, recipients: list[Recipient], **changes: Any) -> BulkJob:
    """A bulk issue of free certificates."""
    given = {"origin": Origin.FREE, "actor": TILL, "reason": "VIP", "now": gifts.now}
    with gifts.database.write_tx() as session:
        return batches.begin(
            session, programme=gifts.programme, recipients=recipients, **{**given, **changes}
        )


def many(count: int) -> list[Recipient]:
    """So many recipients, each with another amount."""
    return [Recipient(f"rows.{n}", f"Гость {n}", 1_000 + n) for n in range(count)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
def test_a_table_is_read_as_spreadsheets_save_it(encoding: str) -> None:
    """Russian headings, decimal commas, spaces between thousands, empty lines."""
    table = FILE if encoding.startswith("utf") else FILE.replace(" ₽", "")
    assert read_csv(table.encode(encoding), 2) == [
        Recipient("line 2", "Марина К.", 300_050, ""),
        Recipient("line 3", "Игорь; и Света", 500_000, "ru"),
        Recipient("line 5", "Tom", 120_050, "en"),
    ]
    assert read_csv(b"amount,name\r\n10,A\r\n", 2) == [Recipient("line 2", "A", 1_000, "")]
    assert read_csv(b"sum\trecipient\n10\tA\n", 2) == [Recipient("line 2", "A", 1_000, "")]


def test_every_bad_cell_is_named_by_line_and_column() -> None:
    """All of them at once; a cell over two lines does not shift the numbers."""
    bad = (
        'name,amount,language\nA,0,\n"B\nB",1.005,fr\n'
        f"C,-5,\n{'x' * 121},7,\nD,=1+1,\nE,1,ru,more\nF,,\n"
    )
    with pytest.raises(InputError) as caught:
        read_csv(bad.encode(), 2)
    assert sorted((item.field, item.code) for item in caught.value.fields) == sorted(
        [
            ("line 2: amount", "invalid_format"),
            ("line 3: amount", "invalid_format"),
            ("line 3: language", "not_allowed"),
            ("line 5: amount", "invalid_format"),
            ("line 6: name", "too_long"),
            ("line 7: amount", "invalid_format"),
            ("line 8", "too_long"),
            ("line 9: amount", "invalid_format"),
        ]
    )


def test_thousands_are_no_decimals() -> None:
    """Nobody gets a certificate for 1.25 that was meant to be 1,250."""
    bad = 'name,amount\nA,"1,250"\nB,2.000\nC,"1,250.00"\nD,"1250,00"\n'
    with pytest.raises(InputError) as caught:
        read_csv(bad.encode(), 2)
    assert [item.field for item in caught.value.fields] == [
        "line 2: amount",
        "line 3: amount",
        "line 4: amount",
    ]
    assert {item.message for item in caught.value.fields} == {
        "must be a number above zero with at most 2 decimals: write it without thousands separators"
    }


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "file"),
        (b" \n \n", "file"),
        (b"a\x00b,amount\n", "file"),
        (b"name,amount\n", "rows"),
        (b"name\nA\n", "heading"),
        (b"name,amount,shoe size\nA,1,44\n", "heading, column 3"),
        (b"amount,sum\n1,2\n", "heading, column 2"),
        (b"3000,Marina\n", "heading, column 1"),
    ],
)
def test_what_is_no_table_is_refused(raw: bytes, field: str) -> None:
    """In words."""
    with pytest.raises(InputError) as caught:
        read_csv(raw, 2)
    assert caught.value.fields[0].field == field


def test_a_list_becomes_certificates_exactly_once(gifts: Gifts) -> None:
    """In pieces; killed in the middle of one, paused, resumed: each row has one at most."""
    job = begin(gifts, many(100), expires_at=gifts.later(days=30))
    assert job.total == 100
    gifts.work(1)
    issued = gifts.scalar("SELECT count(*) FROM certificates")
    assert 0 < issued < 100

    seen = 0

    def die(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > 60:
            raise KeyboardInterrupt

    event.listen(gifts.database.engine, "after_cursor_execute", die)
    with pytest.raises(KeyboardInterrupt):
        gifts.work()
    event.remove(gifts.database.engine, "after_cursor_execute", die)
    assert gifts.scalar("SELECT count(*) FROM certificates") == issued
    with gifts.database.write_tx() as session:
        bulk.pause(session, job.public_id, now=gifts.now)
    assert gifts.work() == 0
    with gifts.database.write_tx() as session:
        bulk.resume(session, job.public_id, now=gifts.now)
    gifts.work()
    with gifts.database.read_tx() as session:
        done = bulk.find(session, job.public_id)
        rows = batches.rows(session, done, limit=1000)
    assert (done.state, done.result) == (BulkState.DONE, {"issued": 100})
    made = [certificate for _, certificate in rows if certificate is not None]
    assert len({certificate.id for certificate in made}) == 100
    assert [(row.recipient_name, row.face_value) for row, _ in rows] == [
        (certificate.recipient_name, certificate.face_value) for certificate in made
    ]
    total = sum(1_000 + n for n in range(100))
    assert gifts.system(SystemCode.ISSUANCE) == -total
    assert gifts.scalar("SELECT count(*) FROM passes") == 100
    assert all(certificate.expires_at == gifts.later(days=30) for certificate in made)
    assert gifts.clean()


def test_nothing_is_begun_with_a_bad_row(gifts: Gifts) -> None:
    """Each is named by its place."""
    rows = [*many(2), Recipient("rows.2", "x" * 121, 5), Recipient("rows.3", "A", 0, "fr")]
    with pytest.raises(InputError) as caught:
        begin(gifts, rows)
    assert [item.field for item in caught.value.fields] == [
        "rows.2.name",
        "rows.3.amount",
        "rows.3.language",
    ]
    with pytest.raises(InputError, match="reason"):
        begin(gifts, many(1), reason=" ")
    assert gifts.scalar("SELECT count(*) FROM bulk_jobs") == 0


def test_a_programme_that_closes_meanwhile_stops_the_job_in_words(gifts: Gifts) -> None:
    """What was issued stays; opened again the job goes on where it was."""
    job = begin(gifts, many(60))
    gifts.work(1)
    with gifts.database.write_tx() as session:
        gifts.programme = session.get_one(Programme, gifts.programme.id)
        gifts.programme.closed_at = gifts.now
    with pytest.raises(Refused):
        begin(gifts, many(1))
    gifts.work()
    with gifts.database.read_tx() as session:
        found = bulk.find(session, job.public_id)
    assert found.failures >= 1
    assert found.problem is not None
    assert "closed" in found.problem


def test_other_jobs_are_no_batches(gifts: Gifts) -> None:
    """Nor those of others."""
    job = begin(gifts, many(1))
    with gifts.database.write_tx() as session:
        other = bulk.begin(
            session, kind="x", title="x", parameters={}, total=1, actor=TILL, now=gifts.now
        )
        for public_id, owner in (
            (other.public_id, gifts.issuer.id),
            (job.public_id, gifts.partner.id),
        ):
            with pytest.raises(NotFound):
                batches.find(session, public_id, owner)


def test_a_paid_list_comes_from_cash(gifts: Gifts) -> None:
    """A company bought them."""
    begin(gifts, many(2), origin=Origin.PAID)
    gifts.work()
    assert gifts.system(SystemCode.CASH_CLEARING) == -2_001


def test_the_worker_does_these_jobs(gifts: Gifts, tmp_path: Path) -> None:
    """As the composition root wires it, the nightly job too."""
    begin(gifts, many(1))
    settings = Settings(data_dir=tmp_path)
    installation = assemble(settings, gifts.database, lambda: gifts.now)
    try:
        assert bulk_runner(installation).run_once() == 0
    finally:
        installation.events.close()
    assert gifts.scalar("SELECT count(*) FROM certificates") == 1
    jobs = queue.build(gifts.database.conninfo, job_blueprints(settings)).tasks
    assert "certificates:note_expired_certificates" in jobs
