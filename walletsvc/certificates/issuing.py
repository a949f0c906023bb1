"""Where a certificate's money comes from: sold or given, at first and again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.certificates.locking import lock
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.rules import new_code
from walletsvc.certificates.states import require_spendable
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Refused, wrong
from walletsvc.core.ids import secret_token, token_hash
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import Lane
from walletsvc.ledger.models import AccountKind, SystemCode, Transaction
from walletsvc.ledger.service import credit, open_account
from walletsvc.merchants.acceptance import require_open_branch
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.storage.columns import keyring

LANGUAGES: Final = ("ru", "en")
SOURCE: Final = "certificate"
_FROM: Final = {Origin.PAID: SystemCode.CASH_CLEARING, Origin.FREE: SystemCode.ISSUANCE}


def issue(
    session: Session,
    *,
    programme: Programme,
    face_value: int,
    origin: Origin = Origin.PAID,
    recipient_name: str = "",
    language: str = "ru",
    expires_at: datetime | None = None,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
    lane: Lane = Lane.INTERACTIVE,
) -> tuple[Certificate, str]:
    """A certificate worth `face_value` minor units, and its code.

    The money of a paid one comes from cash clearing: what was paid is from now on owed. That of
    a free one comes from issuance, and `reason` has to say why. Raises InputError naming the
    field, Refused (a closed programme, or one of cards), NotAccepted (a switched-off branch).
    """
    require_programme(programme)
    check_value("face_value", face_value)
    _check_end(expires_at, now)
    reason = _check_reason(origin, reason)
    require_open_branch(session, branch_id)
    certificate, code = create(
        session,
        programme=programme,
        face_value=face_value,
        origin=origin,
        recipient_name=recipient_name,
        language=language,
        expires_at=expires_at,
        branch_id=branch_id,
        now=now,
    )
    credit(
        session,
        certificate.account_id,
        face_value,
        source=SOURCE,
        actor=actor,
        reason=reason,
        now=now,
        against=_FROM[origin],
        branch_id=branch_id,
        lane=lane,
    )
    return certificate, code


def create(
    session: Session,
    *,
    programme: Programme,
    face_value: int,
    origin: Origin,
    recipient_name: str,
    language: str,
    expires_at: datetime | None,
    branch_id: int | None,
    now: datetime,
    transferred_from_id: int | None = None,
) -> tuple[Certificate, str]:
    """A certificate with nothing on it yet, and its code; raises InputError."""
    name = check_text("recipient_name", recipient_name, 120, required=False)
    if language not in LANGUAGES:
        raise wrong("language", "must be ru or en", "not_allowed")
    account = open_account(
        session,
        organisation_id=programme.organisation_id,
        unit_id=programme.unit_id,
        kind=AccountKind.CERTIFICATE,
        now=now,
    )
    code, token = new_code(), secret_token()
    certificate = Certificate(
        programme_id=programme.id,
        branch_id=branch_id,
        account_id=account.id,
        code=code,
        code_hash=keyring().lookup_hash(code),
        origin=origin,
        face_value=face_value,
        recipient_name=name,
        language=language,
        link_token=token,
        link_hash=token_hash(token),
        issued_at=now,
        expires_at=expires_at,
        transferred_from_id=transferred_from_id,
    )
    session.add(certificate)
    session.flush()
    return certificate, code


def top_up(
    session: Session,
    certificate: Certificate,
    amount: int,
    *,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Transaction:
    """Put `amount` more on a certificate; it comes from where the rest came from.

    So a certificate is wholly paid for, and its remainder can be paid out, or wholly given.
    Raises InputError, NotAccepted (branch), Refused, CertificateBlocked, CertificateExpired.
    """
    require_open_branch(session, branch_id)
    found, account = lock(session, certificate, now)
    require_spendable(found, now)
    reason = _check_reason(found.origin, reason)
    return credit(
        session,
        account.id,
        amount,
        source=SOURCE,
        actor=actor,
        reason=reason,
        now=now,
        against=_FROM[found.origin],
        branch_id=branch_id,
    )


def require_programme(programme: Programme) -> None:
    """Raises Refused unless certificates can be issued in it."""
    if programme.kind is not ProgrammeKind.GIFT:
        raise Refused(f"The programme '{programme.slug}' issues cards, not certificates.")
    if programme.closed_at is not None:
        raise Refused(f"The programme '{programme.slug}' is closed.")


def check_value(field: str, amount: int) -> None:
    """Raises InputError unless a certificate can be worth so much."""
    if not 0 < amount <= MAX_AMOUNT:
        raise wrong(field, "must be more than nothing and not absurdly much", "out_of_range")


def _check_reason(origin: Origin, reason: str) -> str:
    return check_text("reason", reason, 200, required=origin is Origin.FREE)


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise wrong("expires_at", "must lie in the future", "out_of_range")
