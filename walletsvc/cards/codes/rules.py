"""How codes of cards are made, written and judged. Pure functions."""

from __future__ import annotations

import base64
import enum
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import pyotp

from walletsvc.cards.rules import NUMBER_LENGTH, number_valid

STEP_SECONDS: Final = 30
TIME_DIGITS: Final = 8
# Another length than that of a code by the time, so that neither is taken for the other.
ROLLING_DIGITS: Final = 10

# A presentation, and a rolling code that somebody bought with.
VALID_FOR: Final = timedelta(minutes=10)
CLOCKS_DIFFER: Final = timedelta(minutes=10)  # how far a till's clock may be behind
# A rolling code that was taken, nobody bought with, and no phone has replaced yet.
UNSOLD_FOR: Final = timedelta(hours=24)
MOST_SALES: Final = 2  # with one rolling code

# A code of so long ago is known for what it is; an older one is just wrong.
_BACK: Final = timedelta(hours=2)
_AHEAD: Final = timedelta(minutes=10)

MOST_WRONG: Final = 10
WRONG_WINDOW: Final = timedelta(minutes=10)

_SECRET_BYTES: Final = 20  # as long as the hash (RFC 4226, section 4)


class Trouble(enum.StrEnum):
    """Why a code does not count."""

    USED = "code_used"
    OLD = "code_old"
    EXPIRED = "code_expired"
    AHEAD = "code_ahead"
    WRONG = "code_wrong"


class Read(NamedTuple):
    """The two parts of what a scanner read."""

    number: str
    code: str


def split(digits: str) -> Read | None:
    """A card's number with a code behind it; None for everything else.

    Digits alone: whatever keyboard layout a scanner types in, they come out as they are.
    """
    number, code = digits[:NUMBER_LENGTH], digits[NUMBER_LENGTH:]
    if len(code) not in (TIME_DIGITS, ROLLING_DIGITS) or not (code.isascii() and code.isdigit()):
        return None
    return Read(number, code) if number_valid(number) else None


def new_secret() -> str:
    """A random key for codes by the time, in base 16."""
    return secrets.token_hex(_SECRET_BYTES)


def new_rolling_code() -> str:
    """A random code."""
    return "".join(secrets.choice("0123456789") for _ in range(ROLLING_DIGITS))


def step_at(moment: datetime) -> int:
    """The step of time that a moment lies in."""
    return int(moment.timestamp()) // STEP_SECONDS


def step_end(step: int) -> datetime:
    """When the code of a step is over."""
    return datetime.fromtimestamp((step + 1) * STEP_SECONDS, UTC)


def code_of(secret: str, step: int) -> str:
    """The code of a step: RFC 6238 with SHA-1, as Google's rotating barcodes have it."""
    key = base64.b32encode(bytes.fromhex(secret)).decode()
    return pyotp.HOTP(key, digits=TIME_DIGITS).at(step)


def step_of(secret: str, code: str, now: datetime) -> int | Trouble:
    """Whose step's code this is: of now, or of the one before or after, for clocks differ."""
    present = step_at(now)
    for step in (present, present - 1, present + 1):
        if hmac.compare_digest(code_of(secret, step), code):
            return step
    for trouble, first, last in (
        (Trouble.EXPIRED, step_at(now - _BACK), present - 2),
        (Trouble.AHEAD, present + 2, step_at(now + _AHEAD)),
    ):
        if any(code_of(secret, step) == code for step in range(first, last + 1)):
            return trouble
    return Trouble.WRONG


@dataclass(frozen=True, slots=True)
class Shown:
    """Who showed a rolling code before: the key that took it first, when, how often somebody
    bought with it, and whose presentation of it is open."""

    taken_at: datetime
    taken_by: str
    sales: int
    open_by: str | None
    retired: bool


def again(shown: Shown, by: str, now: datetime) -> Trouble | None:
    """Whether a rolling code that was taken before may be taken once more; None: it may.

    The phone may not have got the new pass yet. Until it has, a code that nobody bought with is
    as good as new for a day; one that somebody bought with is good once more, for ten minutes,
    and where it was taken first: a picture of it is worth nothing at another till.
    """
    over = Trouble.USED if shown.sales else Trouble.OLD
    if shown.retired:
        return over
    if shown.open_by is not None:
        return None if shown.open_by == by else Trouble.USED
    if shown.sales == 0:
        return None if now < shown.taken_at + UNSOLD_FOR else over
    fresh = now < shown.taken_at + VALID_FOR
    return None if fresh and shown.sales < MOST_SALES and shown.taken_by == by else over
