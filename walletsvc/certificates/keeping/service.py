"""Keeping a certificate with a person's card: by its code, which is what owning it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, func, select

from walletsvc.certificates.keeping.models import KeptCertificate
from walletsvc.certificates.lookup import look_up
from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import Refused, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.jobs.events import PersonErased, PersonsMerged
from walletsvc.ledger.queries import explain
from walletsvc.merchants.models import Organisation
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme
from walletsvc.storage.limits import Limit

MOST: Final = 100
# Codes cannot be guessed; who tries should be seen trying.
PER_PERSON: Final = Limit("certificate-keep", 10, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Kept:
    """A certificate that a person keeps; `available` in minor units of its currency."""

    certificate: Certificate
    programme: Programme
    organisation: str
    balance: int
    available: int


def keep(session: Session, person: Person, code: str, now: datetime) -> None:
    """Keep the certificate with this code; kept twice it is there once.

    Raises InputError naming `code` for one that the person's organisation does not accept, in the
    same words as for one that does not exist; Refused with too many. Count the try first.
    """
    found = look_up(session, code, person.organisation_id)
    if found is None:
        raise wrong("code", "is not the code of a certificate that is accepted here", "unknown")
    count = session.exec(
        select(func.count()).where(col(KeptCertificate.person_id) == person.id)
    ).one()
    if count >= MOST:
        raise Refused("There are too many certificates here: remove those that are used up.")
    session.execute(
        insert(KeptCertificate)
        .values(person_id=person.id, certificate_id=found.id, added_at=now)
        .on_conflict_do_nothing()
    )


def drop(session: Session, person_id: int, certificate: str) -> None:
    """Keep the certificate with this public id no longer; it stays what it is."""
    if PUBLIC_ID.fullmatch(certificate):
        wanted = select(Certificate.id).where(Certificate.public_id == certificate)
        session.execute(
            delete(KeptCertificate).where(
                col(KeptCertificate.person_id) == person_id,
                col(KeptCertificate.certificate_id).in_(wanted),
            )
        )


def kept(session: Session, person_id: int, now: datetime) -> Sequence[Kept]:
    """What the person keeps, the newest first, each with what is on it at this moment."""
    rows = session.exec(
        select(Certificate, Programme, Organisation.name)
        .join(KeptCertificate, col(KeptCertificate.certificate_id) == col(Certificate.id))
        .join(Programme, col(Programme.id) == col(Certificate.programme_id))
        .join(Organisation, col(Organisation.id) == col(Programme.organisation_id))
        .where(KeptCertificate.person_id == person_id)
        .order_by(col(KeptCertificate.added_at).desc(), col(Certificate.id).desc())
    )
    found = []
    for certificate, programme, organisation in rows:
        there = explain(session, certificate.account_id).at(now)
        found.append(
            Kept(certificate, programme, organisation, there.balance, there.available(now))
        )
    return found


def persons_merged(session: Session, event: PersonsMerged) -> None:
    """What the one kept, the other keeps."""
    theirs = select(KeptCertificate.certificate_id).where(
        KeptCertificate.person_id == event.into_id
    )
    session.execute(
        update(KeptCertificate)
        .where(
            col(KeptCertificate.person_id) == event.person_id,
            col(KeptCertificate.certificate_id).not_in(theirs),
        )
        .values(person_id=event.into_id)
    )


def person_erased(session: Session, event: PersonErased) -> None:
    """Nobody keeps anything any more."""
    session.execute(
        delete(KeptCertificate).where(col(KeptCertificate.person_id).in_(event.person_ids))
    )
