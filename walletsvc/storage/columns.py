"""Column types and field shorthands shared by all tables."""

from __future__ import annotations

import base64
import enum
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Identity, Text
from sqlalchemy.orm.instrumentation import manager_of_class
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from walletsvc.core.errors import ConfigurationError

# Constraint names must not depend on the dialect's mood: migrations refer to them.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Keyring:
    """Keys derived from the installation's secret, one per purpose (RFC 5869)."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._cipher = AESGCM(self._derive(secret, b"walletsvc encrypted text"))
        self._lookup = self._derive(secret, b"walletsvc lookup hash")

    @staticmethod
    def _derive(secret: str, purpose: bytes) -> bytes:
        return HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(secret.encode())

    def derive_text(self, purpose: bytes) -> str:
        """A further secret, such as the one that signs cookies."""
        return self._derive(self._secret, purpose).hex()

    def encrypt(self, text: str) -> str:
        """AES-256-GCM with a random nonce, in base 64."""
        return base64.b64encode(self.encrypt_bytes(text.encode())).decode()

    def encrypt_bytes(self, clear: bytes) -> bytes:
        """AES-256-GCM, a random nonce before it."""
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, clear, None)

    def decrypt(self, stored: str) -> str:
        """Undo `encrypt`; raises ConfigurationError when another secret encrypted it."""
        return self.decrypt_bytes(base64.b64decode(stored)).decode()

    def decrypt_bytes(self, stored: bytes) -> bytes:
        """Undo `encrypt_bytes`; raises ConfigurationError when another secret encrypted it."""
        try:
            return self._cipher.decrypt(stored[:12], stored[12:], None)
        except InvalidTag:
            raise ConfigurationError(
                "WALLETSVC_SECRET_KEY is not the key this database was written with: give every "
                "host the same one (of a single host it is in the data directory, secret_key)."
            ) from None

    def lookup_hash(self, code: str) -> bytes:
        """A keyed hash to find a short code by, useless to who steals only the database."""
        digest = hmac.HMAC(self._lookup, hashes.SHA256())
        digest.update(code.encode())
        return digest.finalize()


class _Unlocked:
    """The keyring of this process, set once by the composition root."""

    keyring: Keyring | None = None


def unlock(secret: str) -> None:
    """Make encrypted columns readable in this process."""
    _Unlocked.keyring = Keyring(secret)


def keyring() -> Keyring:
    """The process's keyring; `unlock` must have been called."""
    if _Unlocked.keyring is None:
        raise ConfigurationError("The secret key is not loaded: unlock() was not called.")
    return _Unlocked.keyring


class EncryptedText(TypeDecorator[str]):
    """Text that only the holder of the secret key can read."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else keyring().encrypt(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else keyring().decrypt(value)


def primary_key() -> Any:
    """An internal bigint id; it never leaves the process."""
    return Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=False)]
    )


def reference(target: str, *, index: bool = True, nullable: bool = False, **kwargs: Any) -> Any:
    """A foreign key `table.column`."""
    extra: dict[str, Any] = {"default": None} if nullable else {}
    return Field(
        foreign_key=target, index=index, nullable=nullable, sa_type=BigInteger, **extra, **kwargs
    )


def moment(*, nullable: bool = False, **kwargs: Any) -> Any:
    """A timestamp with time zone."""
    extra: dict[str, Any] = {"default": None} if nullable else {}
    return Field(sa_type=DateTime(timezone=True), nullable=nullable, **extra, **kwargs)


def minor_units(**kwargs: Any) -> Any:
    """An integer in minor units."""
    return Field(sa_type=BigInteger, **kwargs)


def choice(kind: type[enum.StrEnum], name: str, **kwargs: Any) -> Any:
    """An enumeration stored as text under a CHECK constraint called `name`."""
    column_type = Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )
    return Field(sa_type=column_type, **kwargs)


Row = TypeVar("Row", bound=SQLModel)


def as_read(model: type[Row], values: Mapping[str, Any]) -> Row:
    """A row that this process has just written, as if it had been read; no session's.

    Made through its constructor it would set, validate and note every field for itself, which
    takes longer than writing it.
    """
    found: Row = manager_of_class(model).new_instance()
    found.__dict__.update(values)
    return found
