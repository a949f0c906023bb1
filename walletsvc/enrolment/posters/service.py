"""The poster of one source: words of the language, colours and logo of the programme's cards."""

from __future__ import annotations

import tomllib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlmodel import Session, col, select

from walletsvc.core.quoting import nested
from walletsvc.enrolment.models import JoinSource
from walletsvc.enrolment.posters.drawing import Poster, Size, draw
from walletsvc.merchants.models import Organisation
from walletsvc.passes.models import PassTemplate, TemplateImage, TemplateVersion, VersionState
from walletsvc.passes.schemas import Description
from walletsvc.programmes.models import Programme

_TEXTS: Final = Path(__file__).parent / "texts.toml"


def poster(
    session: Session,
    source: JoinSource,
    *,
    base_url: str,
    language: str,
    size: Size,
    now: datetime,
) -> bytes:
    """The PDF. `base_url` is where customers reach the installation."""
    return draw(compose(session, source, base_url=base_url, language=language), size, now)


def compose(session: Session, source: JoinSource, *, base_url: str, language: str) -> Poster:
    """What the poster says and looks like."""
    programme = session.get_one(Programme, source.programme_id)
    organisation = session.get_one(Organisation, programme.organisation_id)
    said = _texts()[language]
    address = f"{base_url}/j/{source.code}"
    card = said[_kind(programme.name)]
    version = session.exec(
        select(TemplateVersion)
        .join(PassTemplate, col(PassTemplate.id) == col(TemplateVersion.template_id))
        .where(
            PassTemplate.programme_id == programme.id,
            TemplateVersion.state == VersionState.PUBLISHED,
        )
    ).first()
    return Poster(
        language=language,
        organisation=organisation.name,
        headline=said["headline"],
        card=card.format(programme=nested(programme.name) if "«" in card else programme.name),
        steps=said["steps"],
        link=said["link"],
        fine=said["fine"],
        address=address,
        shown=address.split("://", 1)[1],
        **_look(session, version),
    )


def _kind(name: str) -> str:
    """Which words go with the name: one that says itself that it is a card needs none."""
    return "card_named" if "карта" in name.casefold() else "card"


def _look(session: Session, version: TemplateVersion | None) -> dict[str, Any]:
    """The card's colours and its largest logo; nothing where no template is published."""
    if version is None:
        return {}
    colours = Description.model_validate(version.description).colours
    largest = session.exec(
        select(TemplateImage)
        .where(TemplateImage.version_id == version.id, TemplateImage.kind == "logo")
        .order_by(col(TemplateImage.density).desc())
        .limit(1)
    ).first()
    return {
        "background": colours.background,
        "foreground": colours.foreground,
        "logo": largest.png if largest else None,
    }


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads(_TEXTS.read_text(encoding="utf-8"))
