"""Publishing a programme's terms, and which of them a reader sees.

A programme that has published none has the terms that follow from its rules
(`defaults.py`), so that there is always something to link to.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from sqlmodel import Session, col, func, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound, wrong
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.rules import check_text
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme
from walletsvc.programmes.terms import defaults
from walletsvc.programmes.terms.models import TermsVersion

LANGUAGES: Final = ("ru", "en")
TITLE_LENGTH: Final = 120
BODY_LENGTH: Final = 50_000


@dataclass(frozen=True)
class Shown:
    """Terms as one reader sees them; `number` and `published_at` are None for those that follow
    from the rules. `language` is that of the text, where the reader's own is missing."""

    number: int | None
    title: str
    body: str
    language: str
    published_at: datetime | None


def publish(
    session: Session,
    programme: Programme,
    *,
    title: Mapping[str, str],
    body: Mapping[str, str],
    actor: Actor,
    now: datetime,
) -> TermsVersion:
    """Make this the terms from now on. The same text again is the version there is.

    Raises InputError naming the field.
    """
    titles, bodies = _checked(title, body)
    digest = hashlib.sha256(orjson.dumps([titles, bodies], option=orjson.OPT_SORT_KEYS)).digest()
    # Of two who publish at once the second finds what the first did. Cards are issued meanwhile.
    session.exec(
        select(Programme.id).where(Programme.id == programme.id).with_for_update(key_share=True)
    ).one()
    former = current(session, programme.id)
    if former is not None and former.digest == digest:
        return former
    made = TermsVersion(
        programme_id=programme.id,
        number=former.number + 1 if former else 1,
        title=titles,
        body=bodies,
        digest=digest,
        actor=str(actor),
        published_at=max(now, former.published_at) if former else now,
    )
    session.add(made)
    session.flush()
    return made


def current(session: Session, programme_id: int) -> TermsVersion | None:
    """The version that counts; None when none was published."""
    newest = select(func.max(TermsVersion.number)).where(TermsVersion.programme_id == programme_id)
    return session.exec(
        select(TermsVersion).where(
            TermsVersion.programme_id == programme_id,
            TermsVersion.number == newest.scalar_subquery(),
        )
    ).first()


def get(session: Session, programme: Programme, number: int) -> TermsVersion:
    """The version with this number; raises NotFound."""
    found = session.exec(
        select(TermsVersion).where(
            TermsVersion.programme_id == programme.id, TermsVersion.number == number
        )
    ).first()
    if found is None:
        raise NotFound(f"The terms of '{programme.slug}' have no version {number}.")
    return found


def list_versions(
    session: Session, programme: Programme, *, before: int | None = None, limit: int = 50
) -> list[TermsVersion]:
    """Versions, the newest first, with numbers below `before`."""
    wanted = select(TermsVersion).where(TermsVersion.programme_id == programme.id)
    if before is not None:
        wanted = wanted.where(TermsVersion.number < before)
    return list(session.exec(wanted.order_by(col(TermsVersion.number).desc()).limit(limit)))


def shown(
    session: Session, programme: Programme, language: str, number: int | None = None
) -> Shown:
    """What a reader of this language sees: the version with this number, else the terms that
    count. Raises NotFound for a number that was never published."""
    version = current(session, programme.id) if number is None else get(session, programme, number)
    if version is not None:
        found = language if language in version.body else next(iter(version.body))
        return Shown(
            version.number, version.title[found], version.body[found], found, version.published_at
        )
    rules = versions.current(session, programme.id)
    organisation = session.get_one(Organisation, programme.organisation_id)
    book = versions.book_of(rules) if rules else None
    title, body = defaults.compose(programme, book, organisation, language)
    return Shown(None, title, body, language, None)


def _checked(
    title: Mapping[str, str], body: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    if not body:
        raise wrong("body", "must hold a text in at least one language", "required")
    for language in (*title, *body):
        if language not in LANGUAGES:
            raise wrong("body", f"must be in the languages {', '.join(LANGUAGES)}", "not_allowed")
    if set(title) != set(body):
        raise wrong("title", "must be in the same languages as the body", "required")
    titles = {language: check_text(f"title.{language}", title[language], TITLE_LENGTH)
              for language in LANGUAGES if language in title}  # fmt: skip
    bodies = {language: _check_body(f"body.{language}", body[language])
              for language in LANGUAGES if language in body}  # fmt: skip
    return titles, bodies


def _check_body(field: str, text: str) -> str:
    """The text with its lines; raises InputError when it is empty, too long or unprintable."""
    tidy = "\n".join(line.rstrip() for line in text.splitlines()).strip()
    if not tidy:
        raise wrong(field, "must not be empty", "required")
    if len(tidy) > BODY_LENGTH:
        raise wrong(field, f"must be at most {BODY_LENGTH} characters long", "too_long")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in tidy if char not in "\n\t"):
        raise wrong(field, "must not hold control characters", "invalid_characters")
    return tidy
