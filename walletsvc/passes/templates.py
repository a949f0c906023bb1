"""Templates: published as versions into the database, after pre-flight."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.actor import SYSTEM, Actor
from walletsvc.core.errors import Refused
from walletsvc.passes import images, preflight, spreading
from walletsvc.passes.findings import errors
from walletsvc.passes.folder import LoadedTemplate, load
from walletsvc.passes.models import (
    PassTemplate,
    TemplateImage,
    TemplateVersion,
    VersionState,
)
from walletsvc.passes.protocol import Dialect
from walletsvc.passes.schemas import Style
from walletsvc.programmes.models import Programme, ProgrammeKind

__all__ = ["LoadedTemplate", "is_published", "load", "publish"]

_KINDS_OF: Final = {
    Style.LOYALTY: (ProgrammeKind.POINTS, ProgrammeKind.STAMPS, ProgrammeKind.DISCOUNT),
    Style.GIFT: (ProgrammeKind.GIFT,),
}


def publish(
    session: Session,
    *,
    programme_id: int,
    pass_type_id: int,
    template: LoadedTemplate,
    dialects: Iterable[Dialect],
    now: datetime,
    actor: Actor = SYSTEM,
) -> TemplateVersion:
    """Make this template the programme's published version, and retire the former one.

    A bulk job then publishes the passes that were made from the former (`spreading`).
    `dialects` are those of the installation (`Publisher.dialects`): each has its say in the
    pre-flight. Publishing what is published already changes nothing and returns the present
    version. Raises Refused when the style does not fit the programme, when the programme's
    passes were issued under another pass type (that never changes, phones hold them), or when
    pre-flight finds an error.
    """
    _require_fit(session, programme_id, template.description.style)
    parent = _lock_parent(session, programme_id, pass_type_id, now)
    if parent.pass_type_id != pass_type_id:
        raise Refused("The programme's passes are issued under another pass type identifier.")
    present = _published(session, parent.id)
    if present is not None and present.digest == template.digest():
        return present
    _require_fit_to_fly(session, parent, template, dialects, now)
    if present is not None:
        present.state = VersionState.RETIRED
        session.flush()  # before the new one is inserted: only one may be published
    version = _add_version(session, parent, template, now)
    if present is not None:
        programme = session.get_one(Programme, programme_id)
        spreading.begin_template(session, parent, programme, version.number, actor=actor, now=now)
    return version


def is_published(session: Session, programme_id: int) -> bool:
    """Whether the programme's cards have a look, without which no wallet gets them."""
    parent = session.exec(
        select(PassTemplate).where(PassTemplate.programme_id == programme_id)
    ).first()
    return parent is not None and _published(session, parent.id) is not None


def _add_version(
    session: Session, parent: PassTemplate, template: LoadedTemplate, now: datetime
) -> TemplateVersion:
    """The template as the next version, published; the parent is locked."""
    version = TemplateVersion(
        template_id=parent.id,
        number=_next_number(session, parent.id),
        state=VersionState.PUBLISHED,
        description=template.description.model_dump(mode="json"),
        digest=template.digest(),
        created_at=now,
        published_at=now,
    )
    session.add(version)
    session.flush()
    session.add_all(_image_rows(version.id, template))
    session.flush()
    return version


def _require_fit(session: Session, programme_id: int, style: Style) -> None:
    programme = session.get_one(Programme, programme_id)
    if programme.kind not in _KINDS_OF[style]:
        raise Refused(
            f"The template is for {style} cards; the programme '{programme.slug}'"
            f" is one of the kind '{programme.kind}'."
        )


def _require_fit_to_fly(
    session: Session,
    parent: PassTemplate,
    template: LoadedTemplate,
    dialects: Iterable[Dialect],
    now: datetime,
) -> None:
    candidate = preflight.candidate_for(
        session, template, programme_id=parent.programme_id, pass_type_id=parent.pass_type_id
    )
    found = preflight.examine(candidate, dialects, session=session, now=now)
    refused = errors([*template.image_findings, *found])
    if refused:
        lines = "\n".join(f"  {finding.told()}" for finding in refused)
        raise Refused(
            f"The template cannot be published:\n{lines}",
            findings=[finding.as_json() for finding in refused],
        )


def _published(session: Session, template_id: int) -> TemplateVersion | None:
    return session.exec(
        select(TemplateVersion).where(
            TemplateVersion.template_id == template_id,
            TemplateVersion.state == VersionState.PUBLISHED,
        )
    ).first()


def _next_number(session: Session, template_id: int) -> int:
    last = session.exec(
        select(func.max(TemplateVersion.number)).where(TemplateVersion.template_id == template_id)
    ).one()
    return (last or 0) + 1


def _lock_parent(
    session: Session, programme_id: int, pass_type_id: int, now: datetime
) -> PassTemplate:
    """The programme's template, made if missing, locked: versions are numbered one at a time."""
    session.execute(
        insert(PassTemplate)
        .values(programme_id=programme_id, pass_type_id=pass_type_id, created_at=now)
        .on_conflict_do_nothing(index_elements=["programme_id"])
    )
    return session.exec(
        select(PassTemplate).where(col(PassTemplate.programme_id) == programme_id).with_for_update()
    ).one()


def _image_rows(version_id: int, template: LoadedTemplate) -> list[TemplateImage]:
    return [
        TemplateImage(version_id=version_id, kind=kind, density=density, png=png)
        for kind, source in template.images.items()
        for density, png in {images.SOURCE: source, **template.pictures[kind]}.items()
    ]
