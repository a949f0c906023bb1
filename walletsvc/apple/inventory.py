"""What certificates and key files there are, as operators list them."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlmodel import Session, col, select

from walletsvc.apple.authorities import INTERMEDIATE
from walletsvc.apple.identity.choice import choose, stored_leaf
from walletsvc.apple.identity.keys import mode_problems
from walletsvc.apple.identity.rules import (
    days_left,
    generation,
    is_development,
    is_nfc_capable,
)
from walletsvc.apple.models import SigningCertificate
from walletsvc.apple.renewal import key_file_names
from walletsvc.apple.signing_requests import pending
from walletsvc.passes.models import PassType, Wallet
from walletsvc.settings import Settings

_OWN: Final = frozenset({f"{INTERMEDIATE}.key", "roots"})


@dataclass(frozen=True)
class Entry:
    """A signing certificate. `signs` is whether it does on this machine now."""

    pass_type: str
    team: str
    state: str
    signs: bool
    issued_by: str
    nfc: bool
    valid_from: datetime
    valid_until: datetime
    days_left: int
    fingerprint: str
    key_file: str
    key_present: bool


def entries(session: Session, settings: Settings, now: datetime) -> list[Entry]:
    """All certificates: by pass type, the active one first, then the newest."""
    found = []
    for kind in session.exec(
        select(PassType).where(PassType.wallet == Wallet.APPLE).order_by(PassType.identifier)
    ):
        used = choose(session, kind, settings, now).used
        rows = session.exec(
            select(SigningCertificate)
            .where(SigningCertificate.pass_type_id == kind.id)
            .order_by(SigningCertificate.state, col(SigningCertificate.not_before).desc())
        )
        found += [_entry(kind, row, settings, now, signs=row is used) for row in rows]
    return found


def _entry(
    kind: PassType, row: SigningCertificate, settings: Settings, now: datetime, *, signs: bool
) -> Entry:
    leaf = stored_leaf(row)
    issued_by = "unreadable"
    if leaf is not None:
        made_here = is_development(leaf)
        issued_by = "development" if made_here else f"Apple {generation(leaf.issuer)}".strip()
    return Entry(
        pass_type=kind.identifier,
        team=kind.team_identifier,
        state=row.state.value,
        signs=signs,
        issued_by=issued_by,
        nfc=leaf is not None and is_nfc_capable(leaf),
        valid_from=row.not_before,
        valid_until=row.not_after,
        days_left=days_left(row.not_after, now),
        fingerprint=row.fingerprint,
        key_file=row.key_file,
        key_present=(settings.certs_dir / row.key_file).is_file(),
    )


def remarks(session: Session, settings: Settings) -> list[str]:
    """What else is there: folders and keys open to others, pending requests, files among the
    keys that belong to nothing."""
    folder = settings.certs_dir
    said = open_folder("data directory", settings.data_dir)
    if not folder.is_dir():
        return said
    waiting = {request.path: request for request in pending(session, settings)}
    used = key_file_names(session)
    said += open_folder("folder for keys", folder)
    for path in sorted(folder.iterdir()):
        if path.name not in used:  # those are examined with their certificates
            said += _of_file(path, waiting[path].pass_type if path in waiting else None)
    return said


def open_folder(what: str, folder: Path) -> list[str]:
    """That other users of this machine may look into a folder, if they may."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not mode & 0o077:
        return []
    said = f"The {what} {folder} is open to other users of this machine (mode {mode:04o})."
    return [f"{said} Run: chmod 700 {folder}"]


def _of_file(path: Path, requested_for: str | None) -> list[str]:
    said = mode_problems(path) if path.suffix == ".key" else []
    if requested_for is not None:
        said.append(
            f"{requested_for}: a request is pending (key {path.name}). Import the certificate that "
            "Apple issues for it; 'walletsvc certs csr' shows the request again."
        )
    elif path.name not in _OWN and path.suffix != ".pem":
        said.append(f"{path} belongs to no certificate; keep it elsewhere or delete it.")
    return said
