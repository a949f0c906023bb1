"""Everything about the signing certificates that an operator should know, in words."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.apple.identity.choice import Choice, choose, stored_leaf
from walletsvc.apple.identity.rules import (
    URGENT_FROM,
    day,
    days_left,
    expiry_warning,
    nfc_problem,
    threshold,
)
from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.passes.models import PassType, Wallet
from walletsvc.settings import Settings

_WANTS_NFC = text(
    "SELECT DISTINCT t.pass_type_id FROM pass_templates t"
    " JOIN template_versions v ON v.template_id = t.id AND v.state = 'published'"
    " WHERE v.description ->> 'nfc' IS NOT NULL"
)


class Severity(enum.StrEnum):
    """Whether something does not work, or will not for long."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """What is wrong with the certificate of a pass type, and what to do about it.

    `days_left` is set when it is about the certificate's end.
    """

    pass_type: str
    message: str
    severity: Severity = Severity.ERROR
    days_left: int | None = None

    def __str__(self) -> str:
        return f"{self.pass_type}: {self.message}"

    @property
    def urgent(self) -> bool:
        """Whether it cannot wait: it is an error, or becomes one within days."""
        soon = self.days_left is not None and self.days_left <= URGENT_FROM
        return self.severity is Severity.ERROR or soon


class Expiring(NamedTuple):
    """An active certificate near its end, or past it."""

    pass_type: str
    days_left: int
    not_after: datetime
    threshold: int


def check(session: Session, settings: Settings, now: datetime) -> list[Problem]:
    """What keeps passes from being signed at `now` (errors) or soon will (warnings).

    An empty list is good news.
    """
    with_nfc = wants_nfc(session)
    problems: list[Problem] = []
    for pass_type in session.exec(
        select(PassType).where(PassType.wallet == Wallet.APPLE).order_by(PassType.identifier)
    ):
        choice = choose(session, pass_type, settings, now)
        problems += _broken(pass_type.identifier, choice)
        leaf = stored_leaf(choice.used) if choice.used is not None else None
        if leaf is not None:
            problems += _of_leaf(pass_type.identifier, leaf, now, pass_type.id in with_nfc)
    return problems


def wants_nfc(session: Session) -> set[int]:
    """The pass types of which a published template has an NFC field."""
    return set(session.execute(_WANTS_NFC).scalars())


def certificate_days(session: Session, now: datetime) -> dict[str, float]:
    """The days that each pass type's active certificate has left; negative after its end."""
    return {
        pass_type: (not_after - now) / timedelta(days=1)
        for pass_type, not_after in _active_ends(session)
    }


def expiring(session: Session, now: datetime) -> list[Expiring]:
    """The active certificates for which a warning is due."""
    found = []
    for pass_type, not_after in _active_ends(session):
        left = days_left(not_after, now)
        limit = threshold(left)
        if limit is not None:
            found.append(Expiring(pass_type, left, not_after, limit))
    return found


def _active_ends(session: Session) -> list[tuple[str, datetime]]:
    rows = session.exec(
        select(PassType.identifier, SigningCertificate.not_after)
        .join(SigningCertificate, col(SigningCertificate.pass_type_id) == col(PassType.id))
        .where(SigningCertificate.state == CertificateState.ACTIVE)
        .order_by(PassType.identifier)
    )
    return [(identifier, not_after) for identifier, not_after in rows]


def _broken(pass_type: str, choice: Choice) -> list[Problem]:
    """The faults of the active certificate; harmless for now when a former one stands in."""
    if choice.used is None:
        return [Problem(pass_type, message) for message in choice.problems]
    instead = (
        f" Until then the former certificate {choice.used.fingerprint[:16]} signs and pushes "
        f"on this machine; it is valid until {day(choice.used.not_after)}."
    )
    return [Problem(pass_type, message + instead, Severity.WARNING) for message in choice.problems]


def _of_leaf(
    pass_type: str, leaf: x509.Certificate, now: datetime, with_nfc: bool
) -> list[Problem]:
    problems = []
    if with_nfc and (message := nfc_problem(leaf)):
        # A warning: everything works, only contactless readers are not served.
        problems.append(Problem(pass_type, message, Severity.WARNING))
    if message := expiry_warning(leaf, now):
        left = days_left(leaf.not_valid_after_utc, now)
        problems.append(Problem(pass_type, message, Severity.WARNING, left))
    return problems
