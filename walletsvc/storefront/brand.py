"""How a programme looks on its public pages: names, and the colours and logo of its cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, select

from walletsvc.passes import images
from walletsvc.programmes.models import Programme
from walletsvc.storage.statement import Statement

_BRAND: Final = Statement("""
SELECT o.name AS organisation, v.digest,
       EXISTS (SELECT FROM template_images i
                WHERE i.version_id = v.id AND i.density = :source AND i.kind = 'logo') AS logo,
       EXISTS (SELECT FROM template_images i
                WHERE i.version_id = v.id AND i.density = :source AND i.kind = 'icon') AS icon
  FROM programmes p
  JOIN organisations o ON o.id = p.organisation_id
  LEFT JOIN pass_templates t ON t.programme_id = p.id
  LEFT JOIN template_versions v ON v.template_id = t.id AND v.state = 'published'
 WHERE p.id = :programme
""")


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
    found = _BRAND.first(session, {"programme": programme.id, "source": images.SOURCE})
    return Brand(
        slug=programme.slug,
        programme=programme.name,
        organisation=found.organisation,
        look=f"/look/{found.digest.hex()}" if found.digest is not None else "",
        logo=found.logo,
        icon=found.icon,
    )
