"""Pictures in Google's sizes, and where Google finds them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image
from pydantic import SecretStr
from sqlmodel import col, delete, select

from tests.google.desk import account_key
from tests.google.shop import HOUSE
from tests.passes.shop import TEMPLATES, open_shop
from walletsvc.app import assemble
from walletsvc.app.web import create_app
from walletsvc.google import pictures
from walletsvc.google.wanted import classes
from walletsvc.passes.models import TemplateImage, TemplateVersion
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database


def png(size: tuple[int, int], colour: tuple[int, ...]) -> bytes:
    """A picture of one colour; with four numbers it has an alpha channel."""
    out = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.format == "PNG"
        return picture.convert("RGB")


def test_the_logo_survives_being_cut_to_a_circle() -> None:
    """Google masks it: all of the icon lies within the circle, on the card's colour."""
    made = opened(pictures.draw("logo", png((114, 114), (255, 0, 0, 254)), "#0000ff"))
    assert made.size == (660, 660)
    red = [
        (x, y)
        for x in range(0, 660, 3)
        for y in range(0, 660, 3)
        if made.getpixel((x, y)) != (0, 0, 255)
    ]
    furthest = max(((x - 330) ** 2 + (y - 330) ** 2) ** 0.5 for x, y in red)
    assert 200 < furthest < 330 * 0.9
    assert made.getpixel((330, 330)) != (0, 0, 255)


def test_an_opaque_icon_brings_its_own_ground() -> None:
    """Else it would be a square within the circle."""
    made = opened(pictures.draw("logo", png((114, 114), (255, 0, 0)), "#0000ff"))
    assert made.getcolors() == [(660 * 660, (255, 0, 0))]


def test_a_wide_logo_stands_on_the_left() -> None:
    """A shorter one leaves the card's colour on its right; transparency shows it too."""
    made = opened(pictures.draw("wide", png((240, 150), (255, 0, 0)), "#0000ff"))
    assert made.size == (1280, 400)
    assert made.getpixel((5, 200)) == (255, 0, 0)
    assert made.getpixel((1270, 200)) == (0, 0, 255)
    clear = opened(pictures.draw("wide", png((480, 150), (255, 0, 0, 0)), "#0000ff"))
    assert clear.getpixel((5, 200)) == (0, 0, 255)


def test_the_hero_is_the_middle_of_the_strip() -> None:
    """Nothing is stretched and nothing is empty."""
    strip = Image.new("RGB", (1125, 432), (255, 0, 0))
    strip.paste((0, 255, 0), (0, 0, 1125, 20))
    out = io.BytesIO()
    strip.save(out, "PNG")
    made = opened(pictures.draw("hero", out.getvalue(), "#0000ff"))
    assert made.size == (1032, 336)
    assert made.getcolors() == [(1032 * 336, (255, 0, 0))]


@pytest.mark.parametrize("template", ["loyalty", "gift"])
def test_the_products_own_pictures(template: str) -> None:
    """Google's limits are far away."""
    for kind, sources in pictures.SOURCES.items():
        source = (TEMPLATES / template / "images" / f"{sources[0]}.png").read_bytes()
        made = pictures.draw(kind, source, "#0f3b45")
        assert opened(made).size == pictures.SIZES[kind]
        assert len(made) < 500_000
        assert pictures.draw(kind, source, "#0f3b45") == made


def test_addresses_are_those_of_the_version() -> None:
    """Only of what there is a source for."""
    found = pictures.addresses("https://cards.example", b"\x01\xff", ["icon", "strip"])
    assert found == {
        "logo": "https://cards.example/google/images/01ff/logo.png",
        "hero": "https://cards.example/google/images/01ff/hero.png",
    }
    assert set(pictures.addresses("", b"", ["logo"])) == {"logo", "wide"}
    assert pictures.addresses("", b"", ["other"]) == {}


@pytest.fixture
def client(database: Database, tmp_path: Path, now: datetime) -> Iterator[FlaskClient]:
    """An installation with Google, and a shop."""
    settings = Settings(
        data_dir=tmp_path,
        public_url=HOUSE.base_url,
        google_issuer_id=HOUSE.issuer_id,
        google_key=SecretStr(account_key()),
    )
    installation = assemble(settings, database, lambda: now)
    with database.write_tx() as session:
        open_shop(session, now)
    yield create_app(installation).test_client()
    installation.events.close()


def test_every_image_of_a_class_can_be_fetched(
    client: FlaskClient, database: Database, now: datetime
) -> None:
    """By anybody, and kept for ever."""
    with database.write_tx() as session:
        bodies = [each.body for each in classes(session, HOUSE, now)]
    for body in bodies:
        for field, size in (
            ("programLogo", (660, 660)),
            ("wideProgramLogo", (1280, 400)),
            ("heroImage", (1032, 336)),
        ):
            address = body[field]["sourceUri"]["uri"].removeprefix(HOUSE.base_url)
            answer = client.get(address, base_url=HOUSE.base_url)
            assert (answer.status_code, answer.content_type) == (200, "image/png")
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert "Set-Cookie" not in answer.headers
            assert opened(answer.data).size == size


def test_what_there_is_not_is_not_found(
    client: FlaskClient, database: Database, now: datetime
) -> None:
    """Another version, another kind, no source; of a lost source the largest picture will do."""
    with database.write_tx() as session:
        version = session.exec(select(TemplateVersion)).first()
        assert version is not None
        digest, id_ = version.digest.hex(), version.id
        session.execute(
            delete(TemplateImage).where(
                col(TemplateImage.version_id) == id_, col(TemplateImage.kind) == "strip"
            )
        )
        session.execute(
            delete(TemplateImage).where(
                col(TemplateImage.version_id) == id_, col(TemplateImage.density) == 0
            )
        )
    for path, status in (
        (f"{digest}/hero.png", 404),
        (f"{digest}/icon.png", 404),
        (f"{'00' * 32}/logo.png", 404),
        ("x/logo.png", 404),
        (f"{digest}/logo.png", 200),
    ):
        answer = client.get(f"/google/images/{path}", base_url=HOUSE.base_url)
        assert answer.status_code == status, path


def test_without_an_issuer_there_are_no_images(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    """Google is not part of that installation."""
    installation = assemble(Settings(data_dir=tmp_path), database, lambda: now)
    with database.write_tx() as session:
        open_shop(session, now)
        version = session.exec(select(TemplateVersion)).first()
        assert version is not None
        digest = version.digest.hex()
    answer = create_app(installation).test_client().get(f"/google/images/{digest}/logo.png")
    assert answer.status_code == 404
    installation.events.close()
