"""Signing requests: a key of our own, and the question to Apple to certify it.

A pending request is just its key file: one that no certificate refers to yet and whose name
says for which pass type it was made. Nothing else has to be remembered, because the
certificate that comes back names its key by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlmodel import Session, select

from walletsvc.apple.identity.keys import (
    SigningKey,
    key_name,
    key_pem,
    requested_for,
    usable_keys,
)
from walletsvc.apple.identity.rules import require_pass_type, require_team
from walletsvc.apple.keyfiles import private_folder, write_private
from walletsvc.apple.renewal import key_file_names, lock
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings


@dataclass(frozen=True)
class Request:
    """A signing request (PKCS#10, PEM) and the file its key lies in."""

    pem: bytes
    key_file: Path
    repeated: bool


@dataclass(frozen=True)
class Pending:
    """A key that waits for its certificate."""

    pass_type: str
    path: Path


def request(
    session: Session,
    settings: Settings,
    *,
    pass_type: str,
    team: str | None = None,
    another: bool = False,
) -> Request:
    """The signing request for a pass type: the pending one again, or one with a new key.

    A new key is made beside the one in use, which stays as it is; `another` makes one although
    a request is pending. Raises ConfigurationError for a malformed identifier, a pass type of
    another team, or a new pass type without its team.
    """
    require_pass_type(pass_type)
    team = _team(session, pass_type, team)
    lock(session)
    folder = private_folder(settings.certs_dir)
    if not another:
        names = key_file_names(session)
        for path, key in usable_keys(folder):
            if path.name not in names and requested_for(path, key) == pass_type:
                return Request(_pem(key, pass_type, team), path, repeated=True)
    # What Apple asks for: "2048-bit RSA".
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / key_name(pass_type, made)
    write_private(path, key_pem(made))
    return Request(_pem(made, pass_type, team), path, repeated=False)


def pending(session: Session, settings: Settings) -> list[Pending]:
    """The keys that wait for their certificates, the newest first."""
    names = key_file_names(session)
    return [
        Pending(pass_type, path)
        for path, key in usable_keys(settings.certs_dir)
        if path.name not in names and (pass_type := requested_for(path, key)) is not None
    ]


def _team(session: Session, pass_type: str, team: str | None) -> str:
    known = session.exec(
        select(PassType.team_identifier).where(PassType.identifier == pass_type)
    ).first()
    if team is None:
        if known is None:
            raise ConfigurationError(f"{pass_type} is new here: say its team with --team.")
        return known
    require_team(team)
    if known is not None and known != team:
        raise ConfigurationError(f"{pass_type} is set up for the team {known}, not {team}.")
    return team


def _pem(key: SigningKey, pass_type: str, team: str) -> bytes:
    # Apple puts its own names into the certificate and reads nothing but the key. The common
    # name may have 64 characters.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, pass_type[:64]),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, team),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
