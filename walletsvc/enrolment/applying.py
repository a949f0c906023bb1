"""From a form that was sent in to a card: the phone is proven first, and only then is anything
said of who it belongs to.

A form is sent with a nonce of its page: sent twice, it is one application, one message, one card.
Everything that changes an application holds its row; locks go from the application to the proof,
the phone, the person, the cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session

from walletsvc.core.errors import NotFound, Refused, wrong
from walletsvc.enrolment import forms, settings, sources
from walletsvc.enrolment.applications import found, is_over, locked, subject
from walletsvc.enrolment.completing import KnownPerson, known_people
from walletsvc.enrolment.confirming import Confirmed, choose, claim, confirm
from walletsvc.enrolment.forms import ApplicationForm
from walletsvc.enrolment.models import Application, ApplicationState
from walletsvc.enrolment.settings import Rules
from walletsvc.messaging.proving import service as proving
from walletsvc.messaging.proving.models import ProofPurpose, Route
from walletsvc.messaging.proving.service import Started
from walletsvc.people.consents.models import Way
from walletsvc.people.rules import masked_phone
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.storage.engine import Database
from walletsvc.storage.rows import Changed, Inserted, Read, get

__all__ = [
    "Application",
    "ApplicationForm",
    "Applied",
    "Confirmed",
    "KnownPerson",
    "Seen",
    "again",
    "apply",
    "choose",
    "claim",
    "confirm",
    "look",
    "open_programme",
    "subject",
]

LIFETIME: Final = timedelta(hours=1)
_NONCE_LENGTH: Final = 64

_BY_SLUG: Final = Read(Programme, "WHERE slug = :slug")
_APPLICATIONS: Final = Inserted(Application, unless="nonce")
_BY_NONCE: Final = Read(Application, "WHERE nonce = :nonce FOR UPDATE")
_ASKED: Final = Changed(Application, "proof")


@dataclass(frozen=True, slots=True)
class Applied:
    """An application that waits for the proof of its phone. `proof` is None when the card has
    been there already: this form was sent in before."""

    application: str
    proof: Started | None


@dataclass(frozen=True, slots=True)
class Seen:
    """An application as its page shows it, without anything personal but the end of the phone."""

    programme: Programme
    phone: str
    language: str
    state: ApplicationState
    proof: Started | None
    people: Sequence[KnownPerson] | None
    plastic_refused: bool
    expires_at: datetime


def apply(
    database: Database,
    *,
    programme_slug: str,
    form: ApplicationForm,
    nonce: str,
    source: str | None,
    address: str,
    language: str,
    now: datetime,
    route: Route | None = None,
    way: Way = Way.FORM,
) -> Applied:
    """Take a form in and have its phone proven, by the first route unless another is wanted.

    `source` is a short code; one that is unknown, closed or another programme's counts for
    nothing. Sent again with the same nonce, the form as it is now counts. Raises InputError with
    every field, NotFound, Refused (the programme takes nobody), TooManyTries, Unavailable.
    """
    if not 16 <= len(nonce) <= _NONCE_LENGTH:
        raise wrong("nonce", "is not one of ours: open the form again")
    with database.write_tx() as session:
        programme = open_programme(session, programme_slug)
        rules = settings.of(session, programme)
        if not rules.open:
            raise Refused("Nobody can join this programme by themselves at present.")
        tidy = forms.check(session, programme, rules, form, now)
        row = _kept(session, programme, nonce, tidy, language, way, now)
        if row.state is ApplicationState.DONE:
            return Applied(row.public_id, None)
        _renew(session, row, tidy, source, language, now)
        wanted = route if route is not None else rules.routes[0]
        started = _ask(session, row, rules, wanted, address, now)
        return Applied(row.public_id, started)


def again(
    database: Database, application: str, *, route: Route, address: str, now: datetime
) -> Started:
    """Ask for the proof once more, or by another route. Within the resend pause nothing is sent.

    Raises NotFound, Refused (over, done, or a route that is not offered), TooManyTries,
    Unavailable.
    """
    with database.write_tx() as session:
        row = locked(session, application)
        if is_over(row, now):
            raise Refused("The form is over: fill it in again.")
        rules = settings.of(session, get(session, Programme, row.programme_id))
        return _ask(session, row, rules, route, address, now)


def look(session: Session, application: str, *, now: datetime) -> Seen:
    """What the page of an application shows; raises NotFound."""
    row = found(session, application)
    waits = row.state is ApplicationState.WAITING and row.expires_at > now
    started = None
    if waits and row.proof is not None and row.proven_at is None:
        started = proving.shown(session, row.proof, subject=subject(row))
    proven = waits and row.proven_at is not None
    return Seen(
        programme=get(session, Programme, row.programme_id),
        phone=masked_phone(row.phone) if row.phone else "",
        language=row.language,
        state=row.state,
        proof=started,
        people=known_people(session, row) if proven else None,
        plastic_refused=row.plastic_refused,
        expires_at=row.expires_at,
    )


def open_programme(session: Session, slug: str) -> Programme:
    """The programme that somebody wants to join; raises NotFound for one without cards, Refused
    for a closed one."""
    programme = _BY_SLUG.first(session, slug=slug)
    if programme is None or programme.kind is ProgrammeKind.GIFT:
        raise NotFound("There is no such programme.")
    if programme.closed_at is not None:
        raise Refused(f"The programme '{programme.slug}' is closed.")
    return programme


def _kept(
    session: Session,
    programme: Programme,
    nonce: str,
    form: ApplicationForm,
    language: str,
    way: Way,
    now: datetime,
) -> Application:
    """The application of this nonce, locked, made when there is none: of two at once the second
    waits for the first."""
    row = _APPLICATIONS.tried(
        session,
        nonce=nonce,
        programme_id=programme.id,
        form=forms.packed(form),
        phone=form.phone,
        way=way,
        language=language,
        created_at=now,
        expires_at=now + LIFETIME,
    ) or _BY_NONCE.one(session, nonce=nonce)
    if row.programme_id != programme.id:
        raise wrong("nonce", "is another form's: open the form again")
    return row


def _renew(
    session: Session,
    row: Application,
    form: ApplicationForm,
    source: str | None,
    language: str,
    now: datetime,
) -> None:
    """The form as it was sent last is what counts; another phone has to be proven anew."""
    row.plastic_refused = False
    if row.phone != form.phone or row.expires_at <= now:
        row.proof = row.proven_at = row.proven_with = None
    row.form, row.phone, row.language = forms.packed(form), form.phone, language
    row.state, row.completed_at, row.expires_at = ApplicationState.WAITING, None, now + LIFETIME
    named = sources.by_code(session, source) if source else None
    if named is not None and named.programme_id == row.programme_id and named.closed_at is None:
        row.source_id = named.id
    session.flush()


def _ask(
    session: Session, row: Application, rules: Rules, route: Route, address: str, now: datetime
) -> Started:
    if route not in rules.routes:
        raise wrong("route", "is not offered by this programme", "not_allowed")
    if row.proven_at is not None and row.proof is not None:
        return proving.shown(session, row.proof, subject=subject(row))
    programme = get(session, Programme, row.programme_id)
    started = proving.begin(
        session,
        organisation_id=programme.organisation_id,
        programme_id=programme.id,
        purpose=ProofPurpose.JOIN,
        phone=row.phone,
        subject=subject(row),
        route=route,
        language=row.language,
        address=address,
        now=now,
    )
    _ASKED.one(session, row, proof=started.proof)
    return started
