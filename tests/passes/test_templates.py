"""Template folders: what is refused and how it is said, and what publishing does."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import text
from sqlmodel import Session, col, select

from tests.passes.shop import DIALECTS, TEMPLATES, open_shop, plain, product_template
from walletsvc.core.errors import ConfigurationError, Refused
from walletsvc.jobs.bulk import service as bulk
from walletsvc.passes.models import PassTemplate, TemplateImage, TemplateVersion, VersionState
from walletsvc.passes.templates import LoadedTemplate, load, publish
from walletsvc.storage.engine import Database


@pytest.mark.parametrize("name", ["loyalty", "gift", "stamps", "discount"])
def test_the_product_brings_good_templates(name: str) -> None:
    """What a shop starts from passes every check, in both languages, and is small."""
    template = load(TEMPLATES / name)
    assert set(template.description.texts) == {"ru", "en"}
    assert set(template.images) == {"icon", "logo", "strip"}
    assert sum(map(len, template.images.values())) < 200 * 1024


def test_the_balance_is_read_in_the_stack() -> None:
    """Only the header shows while cards lie on one another, and it announces its changes."""
    for name, wanted in (
        ("loyalty", "{points}"),
        ("gift", "{balance}"),
        ("stamps", "{stamps} / {stamps_needed}"),
        ("discount", "{discount}"),
    ):
        (header,) = product_template(name).description.fields.header
        assert header.value == wanted
        assert header.change is not None


Spoil = Callable[[Path], None]


def edit(name: str, old: str, new: str) -> Spoil:
    """Replace a part of a file, which must be there."""

    def spoil(folder: Path) -> None:
        path = folder / name
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new, 1), encoding="utf-8")

    return spoil


def add(name: str, line: str) -> Spoil:
    """Put a line on top of a file."""

    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_text(f"{line}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")

    return spoil


def write(name: str, data: bytes) -> Spoil:
    """Put a file there."""

    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return spoil


def remove(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def picture(name: str, size: tuple[int, int], kind: str = "PNG") -> Spoil:
    def spoil(folder: Path) -> None:
        out = io.BytesIO()
        Image.new("RGB", size).save(out, kind)
        (folder / name).write_bytes(out.getvalue())

    return spoil


T, RU, EN = "template.toml", "texts/ru.toml", "texts/en.toml"

FAULTS: list[tuple[Spoil, str, str, str]] = [
    # how it is spoilt, the file, the key, what is said
    (edit(T, 'style = "loyalty"', 'style = "loyalty'), T, "", "not valid TOML"),
    (edit(T, 'style = "loyalty"', 'style = "bonus"'), T, "style", "'loyalty' or 'gift'"),
    (edit(T, 'style = "loyalty"', ""), T, "style", "is missing"),
    (add(T, 'stile = "gift"'), T, "stile", "is not a known key"),
    (edit(T, 'align = "right"', 'aline = "right"'), T, "fields.header[0].aline", "known key"),
    (edit(T, "#0f3b45", "petrol"), T, "colours.background", "not a colour such as #1a2b3c"),
    (edit(T, "#0f3b45", "#0F3B45"), T, "colours.background", "lower case"),
    (edit(T, "#fff4df", "#2f5b65"), T, "colours.foreground", "contrast"),
    (edit(T, "#9fcdc9", "#2f5b65"), T, "colours.label", "contrast"),
    (edit(T, '"{points}"', '"{pionts}"'), T, "fields.header[0].value", "{pionts} is not"),
    (edit(T, '"{points}"', '"{balance}"'), T, "fields.header[0].value", "{balance} is not"),
    (edit(T, '"{points}"', '"{points"'), T, "fields.header[0].value", "brace"),
    (edit(T, '"{points}"', '"{Points}"'), T, "fields.header[0].value", "brace"),
    (edit(T, '"{member_since}"', '"с {member_since}"'), T, "fields.secondary[1].value", "alone"),
    (
        edit(T, 'message = "{card_number}"', 'message = "{number}"'),
        T,
        "barcode.message",
        "{number}",
    ),
    (edit(T, 'message = "{card_number}"', 'message = "1"'), T, "barcode.message", "no placeholder"),
    (edit(T, 'alt = "{card_number}"', 'alt = "{x}"'), T, "barcode.alt", "{x} is not"),
    (edit(T, '["qr"]', '["qrcode"]'), T, "barcode.formats[0]", "'qr'"),
    (edit(T, 'key = "since"', 'key = "number"'), T, "fields.secondary[1].key", "used twice"),
    (edit(T, 'key = "since"', 'key = "Since"'), T, "fields.secondary[1].key", "not a key"),
    (edit(T, 'text = "earn_text"', ""), T, "fields.back[3]", "either 'value' or 'text'"),
    (edit(T, "[[fields.back]]", "[[fields.primary]]"), T, "fields.primary", "at most 1"),
    (remove(T), T, "", "cannot be read"),
    (edit(EN, "points_label", "points_name"), EN, "points_label", "is missing"),
    (edit(EN, "card_description", "x"), EN, "card_description", "is missing (description uses it)"),
    (add(RU, 'spare = "да"'), RU, "spare", "nothing in template.toml uses it"),
    (edit(RU, "%@", "%s"), RU, "points_change", "needs %@"),
    (edit(EN, "Show this card", "{organisation}: show this card"), EN, "earn_text", "fixed text"),
    (edit(RU, '"Баллы"', '""'), RU, "points_label", "is empty"),
    (edit(RU, '"Баллы"', "5"), RU, "points_label", "valid string"),
    (add(RU, "Ключ = 1"), RU, "", "not valid TOML"),
    (remove(EN), EN, "", "is missing"),
    (write("texts/de.toml", b""), "texts/de.toml", "", "not one of"),
    (write(RU, b'a = "\xff"'), RU, "", "not UTF-8"),
    (remove("images/strip.png"), "images/strip.png", "", "cannot be read"),
    (picture("images/strip.png", (375, 144)), "images/strip.png", "", "must be 1125x432"),
    (picture("images/icon.png", (114, 114), "JPEG"), "images/icon.png", "", "not a PNG"),
    (picture("images/hero.png", (9, 9)), "images/hero.png", "", "not an image that cards use"),
]


@pytest.mark.parametrize(
    ("spoil", "file", "key", "words"), FAULTS, ids=[f"{f} {k} {w}" for _, f, k, w in FAULTS]
)
def test_a_fault_is_named_by_file_and_key(
    spoil: Spoil, file: str, key: str, words: str, tmp_path: Path
) -> None:
    """Whoever edits a template is told where to look and what is wrong there."""
    folder = tmp_path / "mine"
    shutil.copytree(TEMPLATES / "loyalty", folder)
    spoil(folder)
    with pytest.raises(ConfigurationError) as caught:
        load(folder)
    start = f"{folder / file}: {key}"
    lines = caught.value.detail.splitlines()
    assert [line for line in lines if line.startswith(start) and words in line], lines


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Nobody wants to mend a template one error at a time."""
    folder = tmp_path / "mine"
    shutil.copytree(TEMPLATES / "gift", folder)
    edit(T, "#6f1732", "red")(folder)
    edit(T, "{face_value}", "{nominal}")(folder)
    edit(RU, "%@", "")(folder)
    edit(EN, "left_label", "rest_label")(folder)
    remove("images/icon.png")(folder)
    with pytest.raises(ConfigurationError) as caught:
        load(folder)
    lines = caught.value.detail.splitlines()
    for words in ("colours.background", "{nominal}", "left_change", "left_label", "icon.png"):
        assert any(words in line for line in lines), words
    assert len(lines) == 6  # the renamed text is both missing and unused


def _publish(
    session: Session, database_now: datetime, template: LoadedTemplate | None = None
) -> TemplateVersion:
    parent = session.exec(select(PassTemplate).order_by(col(PassTemplate.id))).first()
    assert parent is not None
    return publish(
        session,
        programme_id=parent.programme_id,
        pass_type_id=parent.pass_type_id,
        template=template or plain(product_template("loyalty")),
        dialects=DIALECTS,
        now=database_now,
    )


def _changed() -> LoadedTemplate:
    template = plain(product_template("loyalty"))
    colours = template.description.colours.model_copy(update={"label": "#ffffff"})
    return replace(
        template, description=template.description.model_copy(update={"colours": colours})
    )


def test_publishing_stores_every_density(database: Database, now: datetime) -> None:
    """A pass is built from the database alone."""
    with database.write_tx() as session:
        open_shop(session, now)
        version = _publish(session, now)
        rows = session.exec(
            select(TemplateImage.kind, TemplateImage.density).where(
                TemplateImage.version_id == version.id
            )
        ).all()
    assert sorted(rows) == [(k, d) for k in ("icon", "logo", "strip") for d in (0, 1, 2, 3)]
    assert version.number == 1
    assert version.state is VersionState.PUBLISHED
    assert version.published_at == now


def test_publishing_the_same_again_does_nothing(database: Database, now: datetime) -> None:
    """A restart must not push to every phone."""
    with database.write_tx() as session:
        open_shop(session, now)
        session.execute(text("DELETE FROM changes"))
        before = _publish(session, now)
        assert _publish(session, now + timedelta(days=1)).id == before.id
        assert session.execute(text("SELECT count(*) FROM changes")).scalar() == 0


def test_a_new_version_retires_the_former_and_begins_to_spread(
    database: Database, now: datetime
) -> None:
    """One version is published; a job looks at everything made from the template again."""
    with database.write_tx() as session:
        open_shop(session, now)
        before = _publish(session, now)
        session.execute(text("DELETE FROM changes"))
        after = _publish(session, now, _changed())
        assert (after.number, after.state) == (2, VersionState.PUBLISHED)
        assert before.state is VersionState.RETIRED
        (job,) = bulk.newest(session)
        assert (job.kind, job.parameters) == ("template", {"template_id": after.template_id})
        assert job.title == "Template of 'guest', version 2"


def test_a_picture_alone_makes_a_new_version(database: Database, now: datetime) -> None:
    """A new strip is a new look even when no word changed."""
    template = plain(product_template("loyalty"))
    other = dict(template.images, strip=product_template("gift").images["strip"])
    with database.write_tx() as session:
        open_shop(session, now)
        before = _publish(session, now)
        assert _publish(session, now, replace(template, images=other)).id != before.id


def test_a_template_must_fit_its_programme(database: Database, now: datetime) -> None:
    """A gift template asks for values that a points card does not have."""
    with database.write_tx() as session:
        open_shop(session, now)
        with pytest.raises(Refused, match="gift"):
            _publish(session, now, product_template("gift"))


def test_the_pass_type_of_a_programme_stays(database: Database, now: datetime) -> None:
    """Phones hold its passes under that identifier."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        with pytest.raises(Refused, match="pass type"):
            publish(
                session,
                programme_id=shop.points.id,
                pass_type_id=shop.gift_type.id,
                template=_changed(),
                dialects=DIALECTS,
                now=now,
            )
