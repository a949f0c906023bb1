"""What a certificate says about itself, and what that must be: no files, no database."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from walletsvc.core.errors import ConfigurationError

DEVELOPMENT: Final = "walletsvc development (not Apple)"
# Days before the end at which an operator is told, more urgently each time.
WARN_AT: Final = (30, 14, 7, 1)
URGENT_FROM: Final = 7

NEW_FROM_APPLE: Final = (
    "request a new Pass Type ID certificate ('walletsvc certs csr') and import it "
    "('walletsvc certs import')"
)

_PASS_TYPE: Final = re.compile(r"pass\.[A-Za-z0-9][A-Za-z0-9.-]{0,148}")
_TEAM: Final = re.compile(r"[A-Z0-9]{10}")
_GENERATION: Final = re.compile(r"\bG\d+\b")
_WWDR: Final = "Worldwide Developer Relations"
# Apple's extension that repeats the pass type identifier in every Pass Type ID certificate.
PASS_TYPE_EXTENSION: Final = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
# How Apple begins the common names; a look-up of a real certificate shows either.
PLAIN_NAME: Final = "Pass Type ID: "
NFC_NAME: Final = "Pass Type ID with NFC: "


def require_pass_type(identifier: str) -> None:
    """Raise ConfigurationError when this is no pass type identifier."""
    if not _PASS_TYPE.fullmatch(identifier):
        raise ConfigurationError(
            f"'{identifier}' is not a pass type identifier; write pass.com.example.loyalty."
        )


def require_team(identifier: str) -> None:
    """Raise ConfigurationError when this is no team identifier."""
    if not _TEAM.fullmatch(identifier):
        raise ConfigurationError(
            f"'{identifier}' is not a team identifier: ten capital letters and digits."
        )


def named(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """The first attribute of this kind in a name, or nothing."""
    for attribute in name.get_attributes_for_oid(oid):
        return str(attribute.value)
    return ""


def pass_type_of(leaf: x509.Certificate) -> str:
    """The pass type identifier a certificate was issued for."""
    return named(leaf.subject, NameOID.USER_ID)


def team_of(leaf: x509.Certificate) -> str:
    """The team a certificate was issued to."""
    return named(leaf.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)


def is_development(leaf: x509.Certificate) -> bool:
    """Whether `walletsvc certs dev` made this certificate."""
    names = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(name.value == DEVELOPMENT for name in names)


def is_nfc_capable(leaf: x509.Certificate) -> bool:
    """Whether passes signed with this certificate may have an NFC field.

    Apple issues two types (App Store Connect API: `PASS_TYPE_ID`, `PASS_TYPE_ID_WITH_NFC`) and
    documents no mark in the certificate; readers of packages tell them apart by the common
    name, "Pass Type ID with NFC: pass.…" against "Pass Type ID: pass.…".
    """
    return named(leaf.subject, NameOID.COMMON_NAME).startswith(NFC_NAME.rstrip())


def is_pass_certificate(leaf: x509.Certificate) -> bool:
    """Whether this is a Pass Type ID certificate at all, not one for apps, sites or payments."""
    if not _PASS_TYPE.fullmatch(pass_type_of(leaf)):
        return False
    marked = any(extension.oid == PASS_TYPE_EXTENSION for extension in leaf.extensions)
    common = named(leaf.subject, NameOID.COMMON_NAME)
    return marked or common.startswith((PLAIN_NAME.rstrip(), NFC_NAME.rstrip()))


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether this certificate may issue others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def generation(issuer: x509.Name) -> str:
    """Which Worldwide Developer Relations intermediate a name means: G1, G4, …; "" if none.

    The first one bears no number; later ones have it as OU, or (G2) in the common name.
    """
    common = named(issuer, NameOID.COMMON_NAME)
    if _WWDR not in common:
        return ""
    unit = named(issuer, NameOID.ORGANIZATIONAL_UNIT_NAME)
    found = _GENERATION.search(unit) or _GENERATION.search(common)
    return found[0] if found else "G1"


def days_left(not_after: datetime, now: datetime) -> int:
    """Whole days until the end; negative after it."""
    return (not_after - now) // timedelta(days=1)


def threshold(days: int) -> int | None:
    """The nearest warning that is due when so many days are left; None when none is yet."""
    return min((limit for limit in WARN_AT if days <= limit), default=None)


def subject_problems(pass_type: str, team: str, leaf: x509.Certificate) -> list[str]:
    """What in the leaf's subject is not this pass type's."""
    problems = []
    found = pass_type_of(leaf)
    if found != pass_type:
        problems.append(
            f"The certificate was issued for the pass type {found or '(none)'}. "
            f"Install the certificate that Apple issued for {pass_type}."
        )
    found = team_of(leaf)
    if found != team:
        problems.append(
            f"The certificate belongs to the team {found or '(none)'}, but the pass type is set "
            f"up for the team {team}. Use the certificate of that team."
        )
    return problems


def date_problems(leaf: x509.Certificate, now: datetime) -> list[str]:
    """Whether it is too early or too late for the leaf."""
    if now < leaf.not_valid_before_utc:
        return [
            (
                f"The certificate is valid only from {day(leaf.not_valid_before_utc)}, and the "
                f"clock says {day(now)}. Check the clock of this machine."
            )
        ]
    if now > leaf.not_valid_after_utc:
        return [
            (
                f"The certificate expired on {day(leaf.not_valid_after_utc)}: passes can neither "
                f"be signed nor updated. To go on, {renewal_advice(leaf)}."
            )
        ]
    return []


def renewal_advice(leaf: x509.Certificate) -> str:
    """How to get the next certificate of this kind."""
    return "run 'walletsvc certs dev'" if is_development(leaf) else NEW_FROM_APPLE


def expiry_warning(leaf: x509.Certificate, now: datetime) -> str | None:
    """That a certificate which still works will soon end; None while there is time."""
    left = days_left(leaf.not_valid_after_utc, now)
    if threshold(left) is None:
        return None
    count = "less than a day" if left < 1 else "1 day" if left == 1 else f"{left} days"
    return (
        f"The certificate runs out in {count} (on {day(leaf.not_valid_after_utc)}). "
        f"Installed passes stay, but none can be changed after that. To renew, "
        f"{renewal_advice(leaf)}."
    )


def nfc_problem(leaf: x509.Certificate) -> str | None:
    """Why passes signed with this certificate have no NFC field; None when they may."""
    if is_nfc_capable(leaf):
        return None
    return (
        "A published template of this pass type has an NFC field, but the certificate is none "
        "for NFC: its passes are signed without that field. Import a certificate of the type "
        "'Pass Type ID with NFC' (Apple grants it on request), or publish the template without "
        "its nfc part."
    )


def day(moment: datetime) -> str:
    """A moment as operators read it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
