"""Certificate codes, made to be read out, typed on any keyboard, and checked at once; and
what may be done with a certificate in which state."""

from __future__ import annotations

import enum
import secrets
import unicodedata
from datetime import datetime
from typing import Final

from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import (
    CertificateBlocked,
    CertificateExpired,
    FieldError,
    InputError,
    Refused,
)

# 29 letters and digits that cannot be taken for one another: no 0 O, 1 I L, S (5), Z (2).
# A prime number of them lets one check character catch every single mistyped character and
# every swap of two neighbours.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRTUVWXY"
LENGTH: Final = 16  # 15 random characters (72 bits) and the check character
_GROUP: Final = 4

# The same letters on a Russian keyboard look the same and are other characters; S and Z are
# misread digits, for the alphabet has neither.
_LOOKALIKES: Final = str.maketrans("АВЕКМНРСТУХSZ", "ABEKMHPCTYX52")


def _check_character(body: str) -> str:
    total = sum(weight * ALPHABET.index(char) for weight, char in enumerate(body, start=1))
    return ALPHABET[total % len(ALPHABET)]


def _grouped(code: str) -> str:
    return "-".join(code[start : start + _GROUP] for start in range(0, LENGTH, _GROUP))


def new_code() -> str:
    """A random code in its written form, `XXXX-XXXX-XXXX-XXXX`."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
    return _grouped(body + _check_character(body))


def normalise_code(text: str) -> str:
    """A code as somebody typed or scanned it, in its written form.

    Case, spaces, hyphens and the keyboard's language do not matter. Raises InputError, which
    never repeats the code, when it cannot be one.
    """
    if len(text) <= 64:
        upper = unicodedata.normalize("NFKC", text).upper().translate(_LOOKALIKES)
        code = "".join(char for char in upper if char in ALPHABET)
        noise = set(upper) - set(ALPHABET)
        if (
            len(code) == LENGTH
            and all(char == "-" or char.isspace() for char in noise)
            and _check_character(code[:-1]) == code[-1]
        ):
            return _grouped(code)
    message = "is not a certificate code: please check each character"
    raise InputError(f"code: {message}.", (FieldError("code", message, "invalid_code"),))


class State(enum.StrEnum):
    """Whether a certificate can be spent, and if not, why; what comes first decides."""

    CLOSED = "closed"  # transferred, or its remainder was paid out
    BLOCKED = "blocked"
    EXPIRED = "expired"
    ACTIVE = "active"


def state(certificate: Certificate, now: datetime) -> State:
    """The state at this moment, whatever the nightly job has noted so far."""
    if certificate.closed_at is not None:
        return State.CLOSED
    if certificate.blocked_at is not None:
        return State.BLOCKED
    if certificate.expires_at is not None and certificate.expires_at <= now:
        return State.EXPIRED
    return State.ACTIVE


def require_spendable(certificate: Certificate, now: datetime) -> None:
    """Raises Refused (closed), CertificateBlocked or CertificateExpired."""
    match state(certificate, now):
        case State.CLOSED:
            raise Refused("The certificate is closed: it was transferred or paid out.")
        case State.BLOCKED:
            raise CertificateBlocked("The certificate is blocked; staff can say why.")
        case State.EXPIRED:
            raise CertificateExpired(
                "The certificate has expired: it cannot be spent, its remainder can be paid out."
            )
        case State.ACTIVE:
            pass
