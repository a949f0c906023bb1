"""`/google/images/<version>/<kind>.png`: the pictures of a class, for Google and for everybody.

They belong to a template, not to a card, and never change under their address.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flask import Blueprint, Response, abort
from sqlmodel import Session, col, select

from walletsvc.google import pictures
from walletsvc.passes.images import DENSITIES, SOURCE
from walletsvc.passes.models import TemplateImage, TemplateVersion
from walletsvc.web.context import Deps

_FOREVER: Final = "public, max-age=31536000, immutable"
_KINDS: Final = ", ".join(pictures.SIZES)


def create(deps: Deps) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("google_images", __name__)

    @blueprint.get(f"{pictures.PATH}/<digest>/<any({_KINDS}):kind>.png")
    def class_image(digest: str, kind: str) -> Response:
        with deps.database.read_tx() as session:
            found = _source(session, digest, kind)
        if found is None:
            abort(404)
        response = Response(_drawn(kind, *found), content_type="image/png")
        response.headers["Cache-Control"] = _FOREVER
        return response

    return blueprint


# A class has three pictures, and Google and browsers keep them.
_drawn: Final = lru_cache(maxsize=32)(pictures.draw)


def _source(session: Session, digest: str, kind: str) -> tuple[bytes, str] | None:
    """The bytes that a picture is made of, and the card's colour. Equal digests mean equal
    looks, whichever template has them."""
    try:
        wanted = bytes.fromhex(digest)
    except ValueError:
        return None
    version = session.exec(
        select(TemplateVersion).where(col(TemplateVersion.digest) == wanted).limit(1)
    ).first()
    if version is None:
        return None
    rows = session.exec(
        select(TemplateImage.kind, TemplateImage.density).where(
            TemplateImage.version_id == version.id
        )
    ).all()
    source = pictures.made_of(kind, {name for name, _ in rows})
    if source is None:
        return None
    # The source itself has everything; of the rest the largest is the next best.
    there = {density for name, density in rows if name == source}
    best = SOURCE if SOURCE in there else max(there & set(DENSITIES))
    image = session.get_one(TemplateImage, (version.id, source, best))
    return image.png, version.description["colours"]["background"]
