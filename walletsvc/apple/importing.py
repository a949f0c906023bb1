"""Importing a certificate: everything is checked before anything is written.

The key file is written before the row that names it, under a name that follows from the key:
a crash between the two leaves a key that waits for its certificate, and the same import again
finds it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from sqlmodel import Session, select

from walletsvc.apple.bundles import Bundle
from walletsvc.apple.identity.chain import (
    chain_problems,
    intermediates,
    issuer_of,
    trust_anchors,
    verify_chain,
)
from walletsvc.apple.identity.check import wants_nfc
from walletsvc.apple.identity.choice import active_certificate, examine, stored_leaf
from walletsvc.apple.identity.keys import (
    SigningKey,
    find_key,
    key_name,
    key_pem,
    mode_problems,
    read_key,
)
from walletsvc.apple.identity.rules import (
    date_problems,
    day,
    generation,
    is_authority,
    is_development,
    is_pass_certificate,
    nfc_problem,
    pass_type_of,
    require_team,
    subject_problems,
    team_of,
)
from walletsvc.apple.keyfiles import private_folder, write_private
from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.apple.renewal import (
    activate,
    certificate_pem,
    certificate_row,
    ensure_pass_type,
    fingerprint,
    lock,
    resume_pushes,
)
from walletsvc.core.actor import Actor
from walletsvc.core.errors import ConfigurationError
from walletsvc.jobs.bulk import BulkJob
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings


class Outcome(enum.StrEnum):
    """What an import did."""

    ACTIVATED = "activated"
    ACTIVE_ALREADY = "active already"
    KEY_PUT_IN_PLACE = "key put in place"


@dataclass(frozen=True)
class Imported:
    """The certificate, what was done with it, and the job that publishes its passes anew."""

    pass_type: str
    row: SigningCertificate
    outcome: Outcome
    job: BulkJob | None = None


def import_certificate(
    session: Session,
    settings: Settings,
    bundle: Bundle,
    *,
    pass_type: str | None = None,
    team: str | None = None,
    replace_newer: bool = False,
    actor: Actor,
    now: datetime,
) -> Imported:
    """Let the certificate of a bundle sign for the pass type it was issued for.

    `pass_type` and `team` only confirm what the certificate says. Raises ConfigurationError
    with everything that is wrong, in words; then nothing was written.
    """
    leaf = _leaf(bundle)
    _confirm(leaf, pass_type, team)
    require_team(team_of(leaf))
    lock(session)
    key = bundle.key
    found = find_key(settings.certs_dir, leaf)
    known = session.exec(
        select(SigningCertificate).where(SigningCertificate.fingerprint == fingerprint(leaf))
    ).first()
    kind = session.exec(select(PassType).where(PassType.identifier == pass_type_of(leaf))).first()
    if known is not None and kind is not None:
        active = known.state is CertificateState.ACTIVE
        if active or not (replace_newer or _is_newer(session, kind, leaf)):
            return _complete(session, settings, kind, known, key or (found and found[1]), now)
    problems = _problems(session, settings, leaf, bundle, kind, found, now)
    if problems:
        raise ConfigurationError(f"{bundle.name} was not imported. {' '.join(problems)}")
    if kind is not None and known is None and not replace_newer:
        _refuse_older(session, kind, leaf)
    kind = kind or ensure_pass_type(session, pass_type_of(leaf), team_of(leaf), now)
    issuer = issuer_of(leaf, [*intermediates(settings), *bundle.certificates])
    assert issuer is not None  # noqa: S101 - its absence is one of the problems
    path = found[0] if found else _store_key(settings, kind.identifier, key)
    row = known or certificate_row(kind, leaf, issuer, path.name, now)
    row.key_file = path.name
    job = activate(session, kind, row, actor=actor, now=now)
    return Imported(kind.identifier, row, Outcome.ACTIVATED, job)


def import_authorities(settings: Settings, bundle: Bundle, now: datetime) -> list[Path]:
    """Keep intermediate certificates (a newer generation of Apple's) for chains to come.

    Raises ConfigurationError for one that no trusted root has issued.
    """
    files = {}
    for certificate in bundle.certificates:
        failure = verify_chain(certificate, [], trust_anchors(settings), now)
        if failure is not None:
            name = certificate.subject.rfc4514_string()
            raise ConfigurationError(
                f"{bundle.name} was not imported. '{name}' was not issued by Apple's root "
                f"certificate ({failure})."
            )
        name = generation(certificate.subject) or "other"
        files[f"AppleWWDRCA{name}-{fingerprint(certificate)[:16]}.pem"] = certificate
    folder = private_folder(settings.certs_dir)
    for name, certificate in files.items():
        write_private(folder / name, certificate_pem(certificate))
    return [folder / name for name in files]


def holds_only_authorities(bundle: Bundle) -> bool:
    """Whether a bundle brings intermediates instead of a certificate to sign with."""
    certificates = bundle.certificates
    return bool(certificates) and bundle.key is None and all(map(is_authority, certificates))


def _leaf(bundle: Bundle) -> x509.Certificate:
    """The certificate to sign with among those of the bundle."""
    leaves = [found for found in bundle.certificates if not is_authority(found)]
    if not leaves:
        raise ConfigurationError(
            f"{bundle.name} holds no certificate to sign with"
            f"{', only a private key' if bundle.key is not None else ''}."
        )
    fitting = [found for found in leaves if is_pass_certificate(found)]
    if not fitting:
        raise ConfigurationError(
            f"{bundle.name} is not a Pass Type ID certificate but "
            f"'{leaves[0].subject.rfc4514_string()}'. At developer.apple.com choose the "
            "certificate of a Pass Type ID."
        )
    if len(fitting) > 1:
        named = ", ".join(map(pass_type_of, fitting))
        raise ConfigurationError(
            f"{bundle.name} holds {len(fitting)} Pass Type ID certificates ({named}): import them "
            "one by one."
        )
    return fitting[0]


def _confirm(leaf: x509.Certificate, pass_type: str | None, team: str | None) -> None:
    for given, found, what in (
        (pass_type, pass_type_of(leaf), "pass type"),
        (team, team_of(leaf), "team"),
    ):
        if given is not None and given != found:
            raise ConfigurationError(f"The certificate is for the {what} {found}, not {given}.")


def _problems(
    session: Session,
    settings: Settings,
    leaf: x509.Certificate,
    bundle: Bundle,
    kind: PassType | None,
    found: tuple[Path, SigningKey] | None,
    now: datetime,
) -> list[str]:
    """Everything that keeps this certificate from signing here, in words."""
    problems = []
    if kind is not None:
        problems += subject_problems(kind.identifier, kind.team_identifier, leaf)
    problems += date_problems(leaf, now)
    candidates = [*intermediates(settings), *bundle.certificates]
    problems += chain_problems(leaf, candidates, settings, now)
    if bundle.key is not None and bundle.key.public_key() != leaf.public_key():
        problems.append("The private key in the file does not belong to the certificate.")
    elif bundle.key is None and found is None:
        problems.append(
            f"Its private key is not among the keys in {settings.certs_dir}. Import it on the "
            "machine where 'walletsvc certs csr' was run, give the key with --key, or export "
            "certificate and key together as .p12."
        )
    elif found is not None:
        problems += mode_problems(found[0])
    if kind is not None and kind.id in wants_nfc(session) and (message := nfc_problem(leaf)):
        problems.append(message)
    return problems


def _complete(
    session: Session,
    settings: Settings,
    kind: PassType,
    known: SigningCertificate,
    key: SigningKey | None,
    now: datetime,
) -> Imported:
    """A certificate that is known already: its key may be missing on this machine."""
    path = settings.certs_dir / known.key_file
    if isinstance(read_key(path), str) and key is not None:
        leaf = stored_leaf(known)
        if leaf is None or key.public_key() != leaf.public_key():
            raise ConfigurationError("The private key in the file does not belong to it.")
        private_folder(settings.certs_dir)
        write_private(path, key_pem(key))
        resume_pushes(session, kind.id, now)
        return Imported(kind.identifier, known, Outcome.KEY_PUT_IN_PLACE)
    if known.state is not CertificateState.ACTIVE:
        raise ConfigurationError(_older(session, kind))
    problems = examine(kind, known, settings, now)
    if problems:
        raise ConfigurationError(
            f"The certificate is the active one of {kind.identifier} already, but it does not "
            f"work here: {' '.join(problems)}"
        )
    return Imported(kind.identifier, known, Outcome.ACTIVE_ALREADY)


def _refuse_older(session: Session, kind: PassType, leaf: x509.Certificate) -> None:
    active = active_certificate(session, kind.id)
    present = stored_leaf(active) if active is not None else None
    if present is not None and _rank(leaf) < _rank(present):
        raise ConfigurationError(_older(session, kind))


def _is_newer(session: Session, kind: PassType, leaf: x509.Certificate) -> bool:
    active = active_certificate(session, kind.id)
    present = stored_leaf(active) if active is not None else None
    return present is None or _rank(leaf) > _rank(present)


def _older(session: Session, kind: PassType) -> str:
    active = active_certificate(session, kind.id)
    dates = f" ({day(active.not_before)}, valid until {day(active.not_after)})" if active else ""
    return (
        f"{kind.identifier} already signs with a newer certificate{dates}; nothing was changed. "
        "To go back to the older one all the same, add --replace-newer."
    )


def _rank(leaf: x509.Certificate) -> tuple[bool, datetime]:
    """Later is newer, and one of Apple's is always newer than one that was made here."""
    return (not is_development(leaf), leaf.not_valid_before_utc)


def _store_key(settings: Settings, pass_type: str, key: SigningKey | None) -> Path:
    assert key is not None  # noqa: S101 - its absence is one of the problems
    path = private_folder(settings.certs_dir) / key_name(pass_type, key)
    write_private(path, key_pem(key))
    return path
