"""What the form shows: the programme's fields, the texts of the consents, what was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from sqlmodel import Session

from walletsvc.core.errors import FieldError, InputError
from walletsvc.enrolment import forms, settings
from walletsvc.enrolment.applying import open_programme
from walletsvc.enrolment.forms import ApplicationForm
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import ConsentText, Purpose
from walletsvc.storage.engine import Database
from walletsvc.storefront import brand as brands
from walletsvc.storefront.join import wording
from walletsvc.storefront.join.typed import Typed
from walletsvc.web import prose
from walletsvc.web.i18n import language


@dataclass(frozen=True)
class _Text:
    """A consent's text as the page shows it."""

    id: str
    version: int
    title: str
    body: Markup
    language: str


def page(session: Session, slug: str, typed: Typed, now: datetime) -> dict[str, Any] | None:
    """What the template needs; None for a programme that nobody can join by themselves.

    Raises NotFound, and Refused when the programme is closed. The session must be one that may
    write: an organisation's first form publishes the shipped texts.
    """
    programme = open_programme(session, slug)
    rules = settings.of(session, programme)
    if not rules.open:
        return None
    texts = consents.current_texts(session, programme.organisation_id, now)
    fields = {name: presence.value for name, presence in rules.fields.items()}
    return {
        "brand": brands.brand(session, programme),
        "action": address(slug, typed.source),
        "values": typed,
        "fields": fields,
        "texts": {
            "data": _shown(texts[Purpose.DATA]),
            "advertising": _shown(texts[Purpose.ADVERTISING]),
        },
        "channels": wording.channels(email=fields["email"] != "hidden"),
        "names": wording.names(),
        "errors": _NO_ERRORS,
        "notice": "",
    }


_NO_ERRORS: Mapping[str, str] = {}


def address(slug: str, source: str) -> str:
    """The form's own address; the source stays in it, so that a reload keeps it."""
    return f"/join/{quote(slug)}" + (f"?s={quote(source)}" if source else "")


def _shown(text: ConsentText) -> _Text:
    found = language() if language() in text.body else next(iter(text.body))
    return _Text(text.public_id, text.version, text.title[found], prose.html(text.body[found]),
                 found)  # fmt: skip


def read(database: Database, slug: str, typed: Typed, now: datetime) -> ApplicationForm:
    """What was typed, as the product reads it; when the birthday is no day, raises InputError
    with everything else that is wrong as well."""
    try:
        return typed.form()
    except InputError as error:
        other = typed.without_birthday().form()
        with database.read_tx() as session:
            programme = open_programme(session, slug)
            rules = settings.of(session, programme)
            if rules.fields["birthday"] is settings.Presence.HIDDEN:
                return other
            found: tuple[FieldError, ...] = ()
            try:
                forms.check(session, programme, rules, other, now)
            except InputError as more:
                found = tuple(each for each in more.fields if each.field != "birthday")
        raise InputError(error.detail, (*found, *error.fields)) from None
