"""The chain's open door: a form for everybody, a poster in each shop, who is told of a newcomer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlmodel import Session, col, select

from walletsvc.access import staff
from walletsvc.app import Installation
from walletsvc.cli.demo.shop import TILL, Shop
from walletsvc.enrolment import settings, sources
from walletsvc.enrolment.models import EnrolmentSettings, JoinSource
from walletsvc.enrolment.posters import service as posters
from walletsvc.enrolment.posters.drawing import Size
from walletsvc.merchants.models import Branch
from walletsvc.people.consents.service import current_texts

# One for each branch.
EMPLOYEES: Final = (
    ("Мария Громова", "gromova@nordshore.example"),
    ("Денис Рябинин", "ryabinin@nordshore.example"),
    ("Ася Лунина", "lunina@nordshore.example"),
)
FOLDER: Final = "posters"
_CAMPAIGN: Final = "Плакаты"
_LANGUAGES: Final = ("ru", "en")


def open_to_all(session: Session, shop: Shop, now: datetime) -> None:
    """Let everybody join by the form, unless somebody has settled that already."""
    if session.get(EnrolmentSettings, shop.loyalty.id) is not None:
        return
    fields = dict.fromkeys(settings.FIELDS, settings.Presence.OPTIONAL)
    rules = replace(settings.of(session, shop.loyalty), open=True, fields=fields)
    settings.change(session, shop.loyalty, rules, actor=TILL, now=now)
    current_texts(session, shop.organisation.id, now)  # publishes the shipped ones
    for branch, (name, email) in zip(shop.branches, EMPLOYEES, strict=True):
        employee = staff.create_staff(
            session, organisation_id=shop.organisation.id, name=name, email=email, now=now
        )
        staff.make_responsible(session, branch.public_id, employee.public_id)
        sources.create(
            session, shop.loyalty, branch=branch.public_id, campaign=_CAMPAIGN,
            label=f"Плакат: {branch.name}", now=now,
        )  # fmt: skip


def poster_sources(session: Session, shop: Shop) -> Sequence[JoinSource]:
    """Those of the branches' posters, in the order of the branches."""
    return session.exec(
        select(JoinSource)
        .join(Branch, col(Branch.id) == col(JoinSource.branch_id))
        .where(
            JoinSource.programme_id == shop.loyalty.id,
            JoinSource.campaign == _CAMPAIGN,
            col(JoinSource.closed_at).is_(None),
        )
        .order_by(col(Branch.id), col(JoinSource.id))
    ).all()


def print_posters(installation: Installation, shop: Shop) -> list[Path]:
    """Write the posters into the demo's folder, anew each time: the address may be another one."""
    loaded = installation.settings
    folder = loaded.data_dir / FOLDER
    folder.mkdir(exist_ok=True)
    written = []
    with installation.database.read_tx() as session:
        for source in poster_sources(session, shop):
            for language in _LANGUAGES:
                file = folder / f"{source.code}-{language}.pdf"
                file.write_bytes(
                    posters.poster(
                        session, source, base_url=loaded.base_url, language=language,
                        size=Size.A4, now=installation.clock(),
                    )
                )  # fmt: skip
                written.append(file)
    return written
