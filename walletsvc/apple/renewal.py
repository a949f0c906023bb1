"""A new signing certificate takes over: passes go on under the same pass type identifier.

The former one is retired, not deleted: it goes on signing where the new key is not at hand
yet. Every published pass is published once more, so that phones get it signed anew before the
former certificate ends; that is a bulk job, and the pass type's generation, which is part of
what a pass says, makes it happen exactly once whoever comes first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func
from sqlmodel import Session, col, select, update

from walletsvc.apple.dialect import PUSHES
from walletsvc.apple.identity import active_certificate
from walletsvc.apple.models import (
    CertificateState,
    ChannelState,
    PushChannel,
    SigningCertificate,
)
from walletsvc.core.actor import Actor
from walletsvc.jobs import bulk
from walletsvc.passes.models import Pass, PassType
from walletsvc.storage.engine import signal

BULK_KIND: Final = "certificate"
# One certificate maker at a time: two would each write an intermediate over the other's, or
# make two keys for one request.
_LOCK: Final = 0x77616C6C6574


def lock(session: Session) -> None:
    """Let nobody else make or import certificates until this transaction ends."""
    session.exec(select(func.pg_advisory_xact_lock(_LOCK)))


def ensure_pass_type(session: Session, identifier: str, team: str, now: datetime) -> PassType:
    """The pass type of this identifier, made when it is new."""
    found = session.exec(select(PassType).where(PassType.identifier == identifier)).first()
    if found is None:
        found = PassType(
            identifier=identifier,
            team_identifier=team,
            epoch=int(now.timestamp()),
            created_at=now,
        )
        session.add(found)
        session.flush()
    return found


def certificate_row(
    pass_type: PassType,
    leaf: x509.Certificate,
    issuer: x509.Certificate,
    key_file: str,
    now: datetime,
) -> SigningCertificate:
    """The row of a certificate; with its issuer, so that other hosts need no file of it."""
    return SigningCertificate(
        pass_type_id=pass_type.id,
        state=CertificateState.ACTIVE,
        fingerprint=fingerprint(leaf),
        certificate_pem=certificate_pem(leaf).decode(),
        chain_pem=certificate_pem(issuer).decode(),
        key_file=key_file,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        created_at=now,
    )


def activate(
    session: Session, pass_type: PassType, row: SigningCertificate, *, actor: Actor, now: datetime
) -> bulk.BulkJob | None:
    """Let this certificate sign from now on, and the pass type's passes be published anew.

    Returns the job that does it; None when nothing has been published yet.
    """
    former = active_certificate(session, pass_type.id)
    if former is not None and former is not row:
        former.state = CertificateState.RETIRED
        session.flush()  # first: only one may be active
    row.state = CertificateState.ACTIVE
    session.add(row)
    session.flush()
    resume_pushes(session, pass_type.id, now)
    published = session.exec(
        select(func.count())
        .select_from(Pass)
        .where(Pass.pass_type_id == pass_type.id, col(Pass.revision) > 0)
    ).one()
    if not published:
        return None
    job = bulk.begin(
        session,
        kind=BULK_KIND,
        title=f"Renewed certificate of {pass_type.identifier}",
        parameters={"pass_type_id": pass_type.id},
        total=published,
        actor=actor,
        now=now,
    )
    # Last: publishers lock this row for their tags.
    pass_type.generation += 1
    session.flush()
    return job


def resume_pushes(session: Session, pass_type_id: int, now: datetime) -> None:
    """Try at once again what a certificate that did not work had stopped; what only the operator
    may resume stays as it is."""
    session.execute(
        update(PushChannel)
        .where(
            col(PushChannel.pass_type_id) == pass_type_id,
            col(PushChannel.state) == ChannelState.STOPPED,
            col(PushChannel.retry_at).is_not(None),
        )
        .values(retry_at=now)
    )
    signal(session, PUSHES)


def key_file_names(session: Session) -> set[str]:
    """The key files that certificates refer to."""
    return set(session.exec(select(SigningCertificate.key_file)))


def fingerprint(certificate: x509.Certificate) -> str:
    """What a certificate is told apart by: SHA-256, in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as text."""
    return certificate.public_bytes(Encoding.PEM)
