"""Service accounts, their key files, and which issuers they were invited to.

A key file is as Google's console gives it, but for `token_uri`, which leads to the emulator.
The emulator keeps only the public half; in a folder it is found by a process that runs already.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from walletsvc.core.errors import ConfigurationError
from walletsvc.emulators.google.errors import Json, permission_denied

DEFAULT_ISSUER: Final = "3388000000000000001"
_SUFFIX: Final = ".account.json"


@dataclass(slots=True)
class ServiceAccount:
    """An account that can sign: its public key by the id that its assertions name."""

    email: str
    key_id: str
    public_key: rsa.RSAPublicKey


@dataclass(slots=True)
class Issuer:
    """An issuer account of the Wallet console; `permissions` are roles by e-mail address."""

    issuer_id: str
    name: str = "Demo shop"
    permissions: dict[str, str] = field(default_factory=dict)
    merchant_locations: bool = False
    extra: Json = field(default_factory=dict)

    def as_json(self) -> Json:
        """The API's Issuer."""
        return {"issuerId": self.issuer_id, "name": self.name, **self.extra}

    def permissions_as_json(self) -> Json:
        """The API's Permissions."""
        return {
            "issuerId": self.issuer_id,
            "permissions": [
                {"emailAddress": email, "role": role.lower()}
                for email, role in self.permissions.items()
            ],
        }


def make_key(
    token_uri: str,
    issuer_id: str = DEFAULT_ISSUER,
    role: str = "WRITER",
    private_key: str | None = None,
) -> tuple[Json, Json]:
    """A new service account: its key file, and what the emulator is to know of it.

    Without a role the account is not invited to the issuer. Making an RSA key takes a moment; a
    `private_key` in PEM is used instead.
    """
    key = _private_key(private_key)
    email = f"wallet-{secrets.token_hex(3)}@emulated-project.iam.gserviceaccount.com"
    key_id = secrets.token_hex(20)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key_file = {
        "type": "service_account",
        "project_id": "emulated-project",
        "private_key_id": key_id,
        "private_key": private.decode(),
        "client_email": email,
        "client_id": str(secrets.randbelow(10**20)),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }
    known = {
        "email": email,
        "key_id": key_id,
        "public_key": public.decode(),
        "issuer_id": issuer_id,
        "role": role,
    }
    return key_file, known


def _private_key(pem: str | None) -> rsa.RSAPrivateKey:
    if pem is None:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    # Without the check of its primes, which takes as long as many tests.
    key = serialization.load_pem_private_key(
        pem.encode(), None, unsafe_skip_rsa_key_validation=True
    )
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError("A service account's key must be RSA.")
    return key


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads; raises ConfigurationError when that fails."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def write_key(
    folder: Path, base_url: str, path: Path, issuer_id: str = DEFAULT_ISSUER, role: str = "WRITER"
) -> str:
    """A new service account for the emulator that keeps its state in `folder`.

    Writes its key file to `path`; returns its e-mail address. The emulator need not run.
    """
    key_file, known = make_key(f"{base_url}/token", issuer_id=issuer_id, role=role)
    write_secret(folder / f"{known['key_id']}{_SUFFIX}", orjson.dumps(known))
    write_secret(path, orjson.dumps(key_file, option=orjson.OPT_INDENT_2))
    return str(key_file["client_email"])


def ensure_key(folder: Path, base_url: str, path: Path, issuer_id: str = DEFAULT_ISSUER) -> None:
    """`write_key`, unless a key file is there that leads to this emulator."""
    try:
        there = orjson.loads(path.read_bytes())
        known = folder / f"{there['private_key_id']}{_SUFFIX}"
        if there["token_uri"] == f"{base_url}/token" and known.exists():
            return
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        there = None
    write_key(folder, base_url, path, issuer_id)


class Accounts:
    """Everyone who may sign, and every issuer; the caller holds the store's lock."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is looked through again whenever an unknown account comes."""
        self._folder = folder
        self._seen: set[str] = set()
        self._accounts: dict[str, ServiceAccount] = {}
        self.issuers: dict[str, Issuer] = {}

    def add(self, known: Mapping[str, Any]) -> ServiceAccount:
        """Take in what `make_key` says of an account; the issuer is opened with it."""
        key = serialization.load_pem_public_key(str(known["public_key"]).encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise ConfigurationError("A service account's key must be RSA.")
        account = ServiceAccount(known["email"], known["key_id"], key)
        self._accounts[account.email] = account
        issuer = self.open_issuer(known["issuer_id"])
        if known["role"]:
            issuer.permissions.setdefault(account.email, known["role"])
        return account

    def open_issuer(self, issuer_id: str) -> Issuer:
        """The issuer with this id, made when there is none."""
        return self.issuers.setdefault(issuer_id, Issuer(issuer_id))

    def find(self, email: object) -> ServiceAccount | None:
        """The account with this e-mail address; looks into the folder for new ones."""
        if not isinstance(email, str):
            return None
        if email not in self._accounts and self._folder is not None:
            for file in sorted(self._folder.glob(f"*{_SUFFIX}")):
                if file.name not in self._seen:
                    self._seen.add(file.name)
                    self.add(orjson.loads(file.read_bytes()))
        return self._accounts.get(email)

    def allow(self, email: str, issuer_id: str, *, write: bool = True) -> Issuer:
        """The issuer, when the account was invited to it; otherwise permissionDenied."""
        issuer = self.issuers.get(issuer_id)
        role = issuer.permissions.get(email) if issuer else None
        if issuer is None or role is None or (write and role == "READER"):
            raise permission_denied(
                f"Permission denied: {email} may not do this for issuer {issuer_id}."
            )
        return issuer
