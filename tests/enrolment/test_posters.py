"""Posters: a page of the right size, a code that leads to the form, words in both languages."""

from __future__ import annotations

import re
import zlib
from datetime import datetime

import pytest
import segno
from sqlmodel import Session

from tests.factories import make_shop
from tests.passes.shop import open_shop
from walletsvc.enrolment import sources
from walletsvc.enrolment.models import JoinSource
from walletsvc.enrolment.posters import service
from walletsvc.enrolment.posters.drawing import Size, _runs
from walletsvc.programmes.models import Programme
from walletsvc.storage.engine import Database

BASE = "https://cards.example.com"
POINTS = 72 / 25.4


def source_of(session: Session, programme: Programme, now: datetime) -> JoinSource:
    return sources.create(session, programme, campaign="осень", now=now)


def page_of(pdf: bytes) -> str:
    """The drawing operations of the page."""
    streams = re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL)
    for each in streams:
        try:
            text = zlib.decompress(each).decode("latin-1")
        except zlib.error:
            continue
        if " re\n" in text or " re f" in text or " re" in text[:20_000]:
            return text
    raise AssertionError("no page")


def modules_of(page: str, size: int) -> list[list[int]]:
    """The code that is drawn in black, read back from its rectangles."""
    black = page[page.rindex("0 g\n") :] if "0 g\n" in page else page
    rects = [tuple(map(float, each)) for each in re.findall(
        r"(-?[\d.]+) (-?[\d.]+) (-?[\d.]+) (-?[\d.]+) re f", black)]  # fmt: skip
    module = min(abs(height) for *_, height in rects)
    rects = [each for each in rects if abs(abs(each[3]) - module) < 0.2]
    left, top = min(x for x, *_ in rects), max(y for _, y, *_ in rects)
    pitch = (max(x + w for x, _, w, _ in rects) - left) / size
    found = [[0] * size for _ in range(size)]
    for x, y, width, _ in rects:
        row, start = round((top - y) / pitch), round((x - left) / pitch)
        for at in range(start, start + round(width / pitch)):
            found[row][at] = 1
    return found


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_poster_is_one_page_with_its_code(
    database: Database, now: datetime, language: str, size: Size
) -> None:
    """The code holds the short link, drawn as areas, not as a picture."""
    with database.write_tx() as session:
        source = source_of(session, open_shop(session, now).points, now)
        pdf = service.poster(session, source, base_url=BASE, language=language, size=size, now=now)
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) < 300_000
    box = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    width, height = {"a4": (210, 297), "a5": (148, 210), "a6": (105, 148)}[size]
    assert len(box) == 1
    assert float(box[0][0]) == pytest.approx(width * POINTS, abs=0.1)
    assert float(box[0][1]) == pytest.approx(height * POINTS, abs=0.1)
    wanted = segno.make_qr(f"{BASE}/j/{source.code}", error="q").matrix
    rows = [[int(module) for module in row] for row in wanted]
    assert modules_of(page_of(pdf), len(rows)) == rows


def test_what_it_says(database: Database, now: datetime) -> None:
    """Whose card, the address without the protocol, the card's colours and logo."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        source = source_of(session, shop.points, now)
        poster = service.compose(session, source, base_url=BASE, language="ru")
        assert poster.card == "Карта гостя"  # which says itself that it is a card
        shop.points.name = "Клуб гостей"
        club = service.compose(session, source, base_url=BASE, language="ru")
        assert club.card == "Карта «Клуб гостей»"
        shop.points.name = "Клуб «Берег»"
        quoted = service.compose(session, source, base_url=BASE, language="ru")
        assert quoted.card == "Карта «Клуб „Берег“»"
        assert poster.address == f"{BASE}/j/{source.code}"
        assert poster.shown == f"cards.example.com/j/{source.code}"
        assert (poster.background, poster.foreground) == ("#0f3b45", "#fff4df")
        assert poster.logo is not None
        plain = make_shop(session, now)
        other = service.compose(
            session, source_of(session, plain.programme, now), base_url=BASE, language="en"
        )
        assert (other.logo, other.background) == (None, "#102030")


def test_names_of_any_length_fit(database: Database, now: datetime) -> None:
    """Long ones become smaller; letters of Russia's neighbours are there."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        shop.programme.name = "Қазақстан әуежайы " * 4
        shop.organisation.name = "Общество с ограниченной ответственностью «Ромашка» " * 2
        source = source_of(session, shop.programme, now)
        session.flush()
        for size in Size:
            assert service.poster(
                session, source, base_url="https://" + "very-long." * 6 + "example",
                language="en", size=size, now=now,
            )  # fmt: skip


def test_the_same_poster_again_is_the_same_file(database: Database, now: datetime) -> None:
    """Nothing in it depends on the moment it is asked for but its date."""
    with database.write_tx() as session:
        source = source_of(session, open_shop(session, now).points, now)
        made = {
            service.poster(session, source, base_url=BASE, language="ru", size=Size.A6, now=now)
            for _ in range(2)
        }
    assert len(made) == 1


def test_runs_of_dark_modules() -> None:
    """Start and length of each."""
    assert _runs(bytes([1, 1, 0, 1, 0, 0, 1])) == [(0, 2), (3, 1), (6, 1)]
    assert _runs(bytes(3)) == []
