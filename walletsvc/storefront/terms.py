"""`/terms/<programme>`: the conditions that count, and every former version under its number."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from flask import Blueprint, Response, render_template, request
from sqlmodel import Session

from walletsvc.core.errors import NotFound
from walletsvc.enrolment import settings as enrolment
from walletsvc.programmes.models import Programme
from walletsvc.programmes.terms import service
from walletsvc.storefront import brand as brands
from walletsvc.web import prose
from walletsvc.web.context import Deps
from walletsvc.web.i18n import language

# The page is everybody's; a new version must be seen soon after it was published.
_SHORTLY: Final = "public, max-age=60"
_DATE: Final = "d\xa0MMMM\xa0y"
_LONGEST_NUMBER: Final = 9
_SHOWN: Final = 100  # versions that are listed


def add_to(blueprint: Blueprint, deps: Deps) -> None:
    """Give the blueprint the pages of the terms."""

    @blueprint.get("/terms/<slug>")
    def terms(slug: str) -> Response:
        wanted = request.args.get("version", "")
        with deps.database.read_tx() as session:
            programme = brands.find(session, slug)
            if programme is None:
                raise NotFound("There is no such programme.")
            page = _page(session, programme, _number(wanted))
        response = Response(render_template("storefront/terms.html", **page))
        response.headers["Cache-Control"] = _SHORTLY
        response.headers["Vary"] = "Accept-Language, Cookie"
        return response


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_NUMBER:
        raise NotFound("There is no such version.")
    return int(text)


def _page(session: Session, programme: Programme, number: int | None) -> dict[str, Any]:
    """What the page's template needs; raises NotFound for a version that was never published."""
    shown = service.shown(session, programme, language(), number)
    versions = service.list_versions(session, programme, limit=_SHOWN)
    current = f"/terms/{programme.slug}"
    return {
        "brand": brands.brand(session, programme),
        "terms": shown,
        "body": prose.html(shown.body),
        "day": _day(shown.published_at, programme) if shown.published_at else "",
        "versions": [(each.number, _day(each.published_at, programme)) for each in versions],
        "former": bool(versions) and shown.number != versions[0].number,
        "current": current,
        "address": current if number is None else f"{current}?version={number}",
        "joining": programme.closed_at is None and enrolment.of(session, programme).open,
    }


def _day(moment: datetime, programme: Programme) -> str:
    local = moment.astimezone(ZoneInfo(programme.time_zone))
    return format_date(local, _DATE, locale=language())
