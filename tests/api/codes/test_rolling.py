"""Codes that change whenever a phone takes them."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import col, select

from tests.api.codes.till import Till, fetched, problem
from walletsvc.cards.codes import service
from walletsvc.cards.codes.models import RollingCode


def test_rolling_codes_change_when_they_are_taken(rolling: Till) -> None:
    """The pass gets the next one; the old one is good where it was taken, until a phone has it."""
    other = rolling.api.key()
    code = rolling.apple()
    first = rolling.scan(code)["presentation"]
    assert rolling.scan(code)["presentation"] == first
    assert rolling.apple() != code
    assert rolling.scan(code, secret=other)["problems"] == ["code_used"]
    assert rolling.buy(presentation=first, points=40).status_code == 201
    # The phone shows the old one still.
    assert rolling.scan(code, secret=other)["problems"] == ["code_used"]
    second = rolling.scan(code)["presentation"]
    assert second not in (None, first)
    assert rolling.buy(presentation=second).status_code == 201
    assert rolling.scan(code)["problems"] == ["code_used"]
    assert rolling.scan(rolling.apple())["presentation"]


def test_a_rolling_code_is_over_once_a_phone_has_the_next(rolling: Till) -> None:
    """Also when nobody bought with it; one nobody fetched stays good for a day."""
    code = rolling.apple()
    assert rolling.scan(code)["presentation"]
    rolling.wait(3600)
    assert rolling.scan(code)["presentation"]
    rolling.wait(24 * 3600)
    assert rolling.scan(code)["problems"] == ["code_old"]
    code = rolling.apple()
    assert rolling.scan(code)["presentation"]
    fetched(rolling)
    assert rolling.scan(code)["problems"] == ["code_old"]
    bought = rolling.apple()
    shown = rolling.scan(bought)["presentation"]
    assert rolling.buy(presentation=shown).status_code == 201
    fetched(rolling)
    assert rolling.scan(bought)["problems"] == ["code_used"]


def test_one_rolling_code_pays_one_sale_late_or_not(rolling: Till) -> None:
    """Taken anew because nobody bought with it, a code is good for the later scan alone; that was
    no sale, so that the code stays as good as new."""
    other = rolling.api.key()
    code, at = rolling.apple(), rolling.api.now
    early = {"at": (at + timedelta(minutes=5)).isoformat()}
    first = rolling.scan(code)["presentation"]
    rolling.wait(3 * 3600)
    second = rolling.scan(code, secret=other)["presentation"]
    assert second not in (None, first)
    refused = rolling.buy(presentation=first, points=40, **early)
    assert problem(refused) == (422, "presence_required", "used")
    rolling.wait(3600)
    third = rolling.scan(code)["presentation"]
    assert third not in (None, second)
    assert rolling.buy(presentation=third, points=40).status_code == 201
    assert rolling.scan(code, secret=other)["problems"] == ["code_used"]


def test_a_late_report_before_the_code_is_taken_anew(rolling: Till) -> None:
    """It was a sale with this code: there is no other."""
    code, at = rolling.apple(), rolling.api.now
    shown = rolling.scan(code)["presentation"]
    rolling.wait(3 * 3600)
    late = rolling.buy(presentation=shown, points=40, at=(at + timedelta(minutes=5)).isoformat())
    assert late.status_code == 201, late.text
    assert rolling.scan(code)["problems"] == ["code_used"]


def test_a_phone_that_has_just_this_code_retires_the_ones_before(rolling: Till) -> None:
    """Not this one, which was taken while the phone was being answered."""
    before = rolling.apple()
    assert rolling.scan(before)["presentation"]
    code = rolling.apple()
    with rolling.api.database.read_tx() as session:
        shown = session.exec(select(RollingCode).where(col(RollingCode.taken_at).is_(None))).one()
    assert rolling.scan(code)["presentation"]
    with rolling.api.database.write_tx() as session:
        service.fetched(session, shown.card_id, shown.id, rolling.api.now)
    assert rolling.scan(before)["problems"] == ["code_old"]
    assert rolling.scan(code)["problems"] == []


def test_rolling_programmes_know_codes_by_the_time(rolling: Till) -> None:
    """Of Google Wallet and the page; codes by the time leave the rolling one alone."""
    before = rolling.apple()
    assert rolling.scan(rolling.page())["presentation"]
    assert rolling.apple() == before
    rolling.switch("time_based")
    assert rolling.scan(before)["problems"] == ["code_old"]
    assert rolling.scan(rolling.number + "0" * 10)["problems"] == ["code_wrong"]


def test_old_codes_are_forgotten(rolling: Till) -> None:
    """With their presentations; what the passes show stays, and so does what is younger."""
    shown = rolling.scan(rolling.apple())["presentation"]
    assert rolling.buy(presentation=shown).status_code == 201
    for before, left in ((rolling.api.now, (2, 1)), (rolling.api.now + timedelta(days=1), (1, 0))):
        with rolling.api.database.write_tx() as session:
            service.forget(session, before)
        rows = rolling.api.rows()
        assert (rows["rolling_codes"], rows["presentations"]) == left
