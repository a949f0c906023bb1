"""How a programme looks on its public pages: names, and the colours and logo of its cards."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, select

from walletsvc.merchants.models import Organisation
from walletsvc.passes import images
from walletsvc.passes.models import PassTemplate, TemplateImage, TemplateVersion, VersionState
from walletsvc.programmes.models import Programme


@dataclass(frozen=True)
class Brand:
    """`look` is where the pictures and colours of its cards are; empty without a template."""

    slug: str
    programme: str
    organisation: str
    look: str = ""
    logo: bool = False
    icon: bool = False


def find(session: Session, slug: str) -> Programme | None:
    """The programme with this slug, whoever's it is."""
    return session.exec(select(Programme).where(Programme.slug == slug[:64])).first()


def brand(session: Session, programme: Programme) -> Brand:
    """How the programme looks now."""
    organisation = session.get_one(Organisation, programme.organisation_id)
    version = session.exec(
        select(TemplateVersion)
        .join(PassTemplate, col(PassTemplate.id) == col(TemplateVersion.template_id))
        .where(
            PassTemplate.programme_id == programme.id,
            TemplateVersion.state == VersionState.PUBLISHED,
        )
    ).first()
    if version is None:
        return Brand(programme.slug, programme.name, organisation.name)
    kinds = session.exec(
        select(TemplateImage.kind).where(
            TemplateImage.version_id == version.id, TemplateImage.density == images.SOURCE
        )
    ).all()
    return Brand(
        slug=programme.slug,
        programme=programme.name,
        organisation=organisation.name,
        look=f"/look/{version.digest.hex()}",
        logo="logo" in kinds,
        icon="icon" in kinds,
    )
