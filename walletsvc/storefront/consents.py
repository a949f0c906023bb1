"""`/consents/<id>`: a text that people are asked to agree to, as an SMS at the till links to it.

The text is everybody's and a version never changes; one that was replaced says so, since somebody
may have agreed to it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from babel.dates import format_date
from flask import Blueprint, Response, render_template
from sqlmodel import Session, select

from walletsvc.core.errors import NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.merchants.models import Organisation
from walletsvc.people.consents.models import ConsentText
from walletsvc.people.consents.rules import shown_language
from walletsvc.web.context import Deps
from walletsvc.web.i18n import language


def add_to(blueprint: Blueprint, deps: Deps) -> None:
    """Give the blueprint the pages of the texts."""

    @blueprint.get("/consents/<text>")
    def consent_text(text: str) -> Response:
        with deps.database.read_tx() as session:
            page = _page(session, text)
        response = Response(render_template("storefront/consent_text.html", **page))
        response.headers["Cache-Control"] = "public, max-age=60"
        response.headers["Vary"] = "Accept-Language, Cookie"
        response.headers["X-Robots-Tag"] = "noindex"
        return response


def _page(session: Session, text_id: str) -> dict[str, Any]:
    """What the page's template needs; raises NotFound."""
    found = None
    if PUBLIC_ID.fullmatch(text_id):
        found = session.exec(select(ConsentText).where(ConsentText.public_id == text_id)).first()
    if found is None:
        raise NotFound("There is no such text.")
    spoken = shown_language(found.body, language())
    return {
        "organisation": session.get_one(Organisation, found.organisation_id).name,
        "spoken": spoken,
        "title": found.title[spoken],
        "paragraphs": [each for each in found.body[spoken].split("\n\n") if each.strip()],
        "version": found.version,
        "day": _day(found.published_at),
        "replaced": _day(found.retired_at) if found.retired_at is not None else None,
    }


def _day(moment: datetime) -> str:
    return str(format_date(moment, "d\xa0MMMM\xa0y", locale=language()))
