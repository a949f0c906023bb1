"""Private keys in the data directory: read, told apart, found by the certificate they fit."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from walletsvc.apple.identity.rules import NEW_FROM_APPLE

SigningKey = RSAPrivateKey | EllipticCurvePrivateKey

_NAME: Final = re.compile(r"(?P<pass_type>pass\..+)-(?P<mark>[0-9a-f]{16})\.key")


def read_key(path: Path) -> SigningKey | str:
    """The key, or why there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return f"The private key {path} is missing. Restore it from a backup, or {NEW_FROM_APPLE}."
    except OSError as error:
        return (
            f"The private key {path} cannot be opened: {error.strerror}. "
            "Make it readable for the user that walletsvc runs as, and for nobody else."
        )
    except TypeError:
        return f"The private key {path} has a password. Store it without one, with mode 0600."
    except (ValueError, UnsupportedAlgorithm):
        return f"{path} is not a private key in PEM form. Restore it from a backup."
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        return f"The private key {path} is neither RSA nor EC; Apple issues certificates for those."
    return key


def key_problems(path: Path, leaf: x509.Certificate) -> list[str]:
    """What is wrong with the key file of a certificate."""
    key = read_key(path)
    if isinstance(key, str):
        return [key]
    problems = mode_problems(path)
    if key.public_key() != leaf.public_key():
        problems.append(
            f"The private key {path} does not belong to the certificate. "
            "Put the key there with which the certificate was requested."
        )
    return problems


def mode_problems(path: Path) -> list[str]:
    """Whether others on this machine can reach a key file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return []
    return [
        (
            f"The private key {path} is open to other users of this machine (mode {mode:04o}). "
            f"Run: chmod 600 {path}"
        )
    ]


def key_pem(key: SigningKey) -> bytes:
    """The form in which keys lie in the data directory; a secret."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_name(pass_type: str, key: SigningKey) -> str:
    """The file name of a key: the same key always gets the same one."""
    return f"{pass_type}-{_mark(key.public_key())}.key"


def requested_for(path: Path, key: SigningKey) -> str | None:
    """The pass type that a key file was made for; None when its name is not one of ours."""
    match = _NAME.fullmatch(path.name)
    if match is None or match["mark"] != _mark(key.public_key()):
        return None
    return match["pass_type"]


def usable_keys(folder: Path) -> Iterator[tuple[Path, SigningKey]]:
    """The key files of a folder that can be read, the newest first."""
    for path in sorted(folder.glob("*.key"), key=_age, reverse=True):
        key = read_key(path)
        if not isinstance(key, str):
            yield path, key


def find_key(folder: Path, leaf: x509.Certificate) -> tuple[Path, SigningKey] | None:
    """The key file that belongs to a certificate."""
    wanted = leaf.public_key()
    return next((found for found in usable_keys(folder) if found[1].public_key() == wanted), None)


def _age(path: Path) -> tuple[int, str]:
    return (path.lstat().st_mtime_ns, path.name)


def _mark(public: RSAPublicKey | EllipticCurvePublicKey) -> str:
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]
