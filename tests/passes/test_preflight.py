"""Pre-flight for every wallet, and that nothing is published around it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from tests.apple.preflight.candidates import candidate, fields, texts
from tests.conftest import NOW
from tests.passes.shop import DIALECTS, TEMPLATES, open_shop, plain, product_template
from walletsvc.core.errors import ConfigurationError, Refused
from walletsvc.merchants.models import Organisation
from walletsvc.passes import folder, preflight
from walletsvc.passes.findings import Finding, Severity
from walletsvc.passes.folder import LoadedTemplate
from walletsvc.passes.models import TemplateImage, TemplateVersion, VersionState
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.samples import Issuer
from walletsvc.passes.schemas import Fields, FieldSpec
from walletsvc.passes.templates import publish
from walletsvc.storage.engine import Database

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE


def neutral(subject: Candidate) -> list[Finding]:
    """What is found without any wallet."""
    return preflight.examine(subject, (), now=NOW)


def field(key: str, value: str, **more: str) -> dict[str, Any]:
    return {"key": key, "label": "name", "value": value, **more}


def broken(**changes: Any) -> Candidate:
    """A description that the schema would not let in; a later editor may hand over such."""
    subject = candidate()
    return replace(subject, description=subject.description.model_copy(update=changes))


DOUBLE = candidate().description.fields.header[0]
COLOURS = candidate().description.colours

CASES: list[tuple[str, Severity, str, Candidate, Candidate]] = [
    # code, severity, path, a template that has it, one that just has not
    (
        "key-twice",
        E,
        "fields.back[0].key",
        broken(fields=candidate().description.fields.model_copy(update={"back": [DOUBLE]})),
        candidate(),
    ),
    (
        "contrast",
        E,
        "colours.label",
        broken(colours=COLOURS.model_copy(update={"label": "#3a444e"})),
        candidate(),
    ),
    (
        "placeholder",
        E,
        "fields.back[0].value",
        candidate(**fields(back=[field("a", "{first_name} {member_since}")])),
        candidate(**fields(back=[field("a", "{first_name} {card_number}")])),
    ),
    (
        "same-for-all",
        E,
        "barcode.message",
        candidate(barcode={"formats": ["qr"], "message": "12345"}),
        candidate(),
    ),
    (
        "same-for-all",
        E,
        "nfc.message",
        candidate(nfc={"message": "1", "encryption_public_key": "x"}),
        candidate(nfc={"message": "{card_number}", "encryption_public_key": "x"}),
    ),
    (
        "placeholder",
        E,
        "nfc.message",
        candidate(nfc={"message": "{pin}", "encryption_public_key": "x"}),
        candidate(nfc={"message": "{card_number}", "encryption_public_key": "x"}),
    ),
    ("change-value", E, "texts.ru.changed", candidate(**texts(changed="%@ %@")), candidate()),
    (
        "change-selling",
        N,
        "texts.ru.changed",
        candidate(**texts(changed="Скидки ждут! Баллов: %@")),
        candidate(**texts(changed="Баллов на карте: %@")),
    ),
    ("text-empty", E, "texts.ru.name", candidate(**texts(name=" ")), candidate()),
    ("untranslated", N, "texts.en.name", candidate(**texts(name="Имя")), candidate()),
    (
        "balance-missing",
        W,
        "fields",
        candidate(fields={"header": [field("a", "{card_number}")]}),
        candidate(),
    ),
    (
        "balance-silent",
        W,
        "fields.header[0]",
        candidate(fields={"header": [field("a", "{points}")]}),
        candidate(fields={"header": [field("a", "{points}", change="changed")]}),
    ),
    (
        "never-shown",
        N,
        "fields.back[0]",
        candidate(issuer=Issuer(phone=None), **fields(back=[field("a", "{support_phone}")])),
        candidate(**fields(back=[field("a", "{support_phone}")])),
    ),
]


@pytest.mark.parametrize(
    ("code", "severity", "path", "bad", "good"), CASES, ids=[f"{c[0]} {c[2]}" for c in CASES]
)
def test_each_rule_from_both_sides(
    code: str, severity: Severity, path: str, bad: Candidate, good: Candidate
) -> None:
    """What breaks it is told at its place; what keeps it is not."""
    assert (code, severity, path) in [(f.code, f.severity, f.path) for f in neutral(bad)]
    assert (code, path) not in [(f.code, f.path) for f in neutral(good)]


def test_errors_come_first() -> None:
    """Whoever reads only the top of the list reads what matters."""
    subject = candidate(**texts(name="Имя", changed="Скидка %@ %@"))
    found = preflight.examine(subject, DIALECTS, now=NOW)
    order = [tuple(Severity).index(finding.severity) for finding in found]
    assert order == sorted(order)
    assert len(set(order)) > 1


def test_findings_name_their_place_in_a_folder_and_in_a_stored_version(tmp_path: Path) -> None:
    """The same finding for who edits files and for who has only the database."""
    finding = Finding(E, "x", "texts/ru.toml", "about", "is wrong", "iOS 18 and later")
    assert finding.told() == "texts.ru.about: is wrong (iOS 18 and later)"
    assert finding.told(Path("a")) == "a/texts/ru.toml: about: is wrong (iOS 18 and later)"
    finding = Finding(E, "x", "template.toml", "nfc", "is wrong")
    assert (finding.path, finding.told(Path("a"))) == ("nfc", "a/template.toml: nfc: is wrong")
    finding = Finding(E, "x", "pass.json", "nfc", "is wrong")
    assert finding.told(Path("a")) == "pass.json: nfc: is wrong"


@pytest.mark.parametrize(
    ("text", "code"),
    [("%s", "change-value"), ("%@ %@", "change-value"), ("", "text-empty")],
)
def test_a_folder_with_an_error_is_not_loaded(text: str, code: str, tmp_path: Path) -> None:
    """`read` says everything with codes; `load` gives a template or says why not."""
    mine = tmp_path / "mine"
    shutil.copytree(TEMPLATES / "loyalty", mine)
    path = mine / "texts/ru.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("Баллов на карте: %@", text), encoding="utf-8")
    template, found = folder.read(mine)
    assert template is None
    assert code in [finding.code for finding in found]
    with pytest.raises(ConfigurationError):
        folder.load(mine)


def _spoilt(**changes: Any) -> LoadedTemplate:
    """The points template with parts that no folder would be loaded with."""
    good = plain(product_template("loyalty"))
    images = {**good.images, **changes.pop("images", {})}
    for kind in [kind for kind, png in images.items() if png is None]:
        del images[kind]
    return LoadedTemplate(good.description.model_copy(update=changes), images)


UNKNOWN = FieldSpec(key="a", label="points_label", value="{pin}")
NAMELESS = FieldSpec(key="a", label="nowhere", value="{points}", change="points_change")


@pytest.mark.parametrize(
    ("template", "code", "words"),
    [
        (_spoilt(images={"icon": None}), "icon-missing", "images.icon: is missing"),
        (_spoilt(images={"strip": b"GIF89a"}), "image", "images.strip: is not a picture"),
        (_spoilt(images={"hero": b""}), "image", "images.hero: is not an image that cards use"),
        (_spoilt(fields=Fields(back=[UNKNOWN])), "placeholder", "{pin} is not a placeholder"),
        (_spoilt(fields=Fields(header=[NAMELESS])), "text-missing", "texts.ru.nowhere: is missing"),
    ],
    ids=["icon", "damaged", "unknown image", "placeholder", "text"],
)
def test_publishing_refuses_errors_and_changes_nothing(
    template: LoadedTemplate, code: str, words: str, database: Database, now: datetime
) -> None:
    """Whoever publishes, and from wherever: what phones would refuse never gets to them."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
    with pytest.raises(Refused) as caught, database.write_tx() as session:
        publish(
            session,
            programme_id=shop.points.id,
            pass_type_id=shop.points_type.id,
            template=template,
            dialects=DIALECTS,
            now=now,
        )
    assert words in caught.value.detail
    assert code in [finding["code"] for finding in caught.value.data["findings"]]
    with database.read_tx() as session:
        states = session.exec(select(TemplateVersion.state)).all()
    assert states == [VersionState.PUBLISHED] * 2


def test_the_programmes_own_names_are_tried(database: Database, now: datetime) -> None:
    """A long name of a shop is known before its cards are cut."""
    good = plain(product_template("loyalty"))
    with database.write_tx() as session:
        shop = open_shop(session, now)
        session.get_one(Organisation, shop.organisation.id).phone = None
        session.flush()
        subject = preflight.candidate_for(
            session, good, programme_id=shop.points.id, pass_type_id=shop.points_type.id
        )
    assert ("never-shown", "fields.back[6]") in [(f.code, f.path) for f in neutral(subject)]


def test_a_published_version_is_examined_as_it_lies_there(
    database: Database, now: datetime
) -> None:
    """With the images that its passes get, whatever became of them."""
    with database.write_tx() as session:
        open_shop(session, now)
        for version in session.exec(select(TemplateVersion)):
            subject = preflight.published(session, version)
            found = preflight.examine(subject, DIALECTS, session=session, now=now)
            assert [f.told() for f in found if f.severity is not N] == []
        session.delete(session.get_one(TemplateImage, (version.id, "icon", 1)))
        session.get_one(TemplateImage, (version.id, "logo", 2)).png = b"torn"
        session.flush()
        subject = preflight.published(session, version)
        found = preflight.examine(subject, DIALECTS, session=session, now=now)
    missing = [(f.path, f.severity) for f in found if f.code == "density-missing"]
    assert missing == [("images.icon", E), ("images.logo", W)]


def test_every_code_is_documented() -> None:
    """The manual lists what other software matches on, and nothing else."""
    root = TEMPLATES.parent
    page = (root / "docs/templates.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z`, -]+`) \|", page.split("## Pre-flight")[1], re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}
    sources = [
        *(root / "walletsvc/apple/preflight").glob("*.py"),
        *(root / "walletsvc/google/preflight").glob("*.py"),
        *(root / f"walletsvc/passes/{name}.py" for name in ("folder", "preflight")),
        root / "walletsvc/passes/template_checks.py",
    ]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    used = set(re.findall(r'\b(?:error|warning|note|say)\(\s*"([a-z-]+)"', code))
    assert used <= documented
    assert {known for known in documented if f'"{known}"' not in code} == set()
