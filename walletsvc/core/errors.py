"""Every error the product raises on purpose.

    WalletsvcError
    ├── ConfigurationError      the installation cannot start or act as configured (operator)
    ├── InputError         400  something in the request is wrong; names the field
    │   ├── TooLarge       413
    │   └── IdempotencyKeyRequired   the call must not happen twice and came without its key
    ├── LengthRequired     411
    ├── WrongContentType   415
    ├── Unauthenticated    401
    ├── Forbidden          403
    ├── NotFound           404
    ├── Conflict           409
    │   ├── IdempotencyMismatch   the key was used before with another request
    │   ├── AlreadyReversed       the transaction was undone before
    │   ├── HoldClosed            the hold was captured, voided or ran out before
    │   └── DuplicateMember       the person has a card of this programme already
    ├── Refused            422  understood, well formed, and against a rule
    │   ├── InsufficientFunds     the account may not fall that low
    │   ├── NotAccepted           this organisation or branch does not take it
    │   ├── NotVerified           the card brings nothing until its holder has proved a phone
    │   ├── PresenceRequired      the card's number alone is not enough: a code of the moment is
    │   ├── CertificateBlocked    staff stopped the certificate; its money is still owed
    │   ├── CertificateExpired    the certificate is past its end; its money is still owed
    │   └── PhoneNotProven        nobody showed that they hold this phone, for this, lately
    ├── TooManyTries       429  a limit was reached (retryable)
    └── Unavailable        503  a part we depend on does not answer (retryable)

`code` is stable: other software matches on it. `detail` is for people. `data` carries what
a program needs beside the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field; `field` is its path in the request (`name.first`)."""

    field: str
    message: str
    code: str = "invalid"


class WalletsvcError(Exception):
    """Base of all deliberate errors: a stable code, an HTTP status and a human detail."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, **data: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.data = data


class ConfigurationError(WalletsvcError):
    """The installation cannot work as configured; the detail says what to change."""

    code = "configuration"
    title = "The installation is not configured correctly"


class InputError(WalletsvcError):
    """The request is malformed; `errors` names each wrong field."""

    code = "invalid_input"
    status = 400
    title = "The request is not valid"

    def __init__(self, detail: str, fields: tuple[FieldError, ...] = (), **data: Any) -> None:
        super().__init__(detail, **data)
        self.fields = fields


def wrong(field: str, message: str, code: str = "invalid") -> InputError:
    """The error that names one field: `message` goes on from its name ("must be a number")."""
    return InputError(f"{field}: {message}.", (FieldError(field, message, code),))


class TooLarge(InputError):
    """The body is larger than this endpoint accepts."""

    code = "too_large"
    status = 413
    title = "The request is too large"


class IdempotencyKeyRequired(InputError):
    """A call that must not happen twice came without an Idempotency-Key."""

    code = "idempotency_key_required"
    title = "The request needs an Idempotency-Key"


class WrongContentType(WalletsvcError):
    """The body is not of the type this endpoint reads."""

    code = "wrong_content_type"
    status = 415
    title = "The body has the wrong content type"


class LengthRequired(WalletsvcError):
    """The body came without Content-Length."""

    code = "length_required"
    status = 411
    title = "The request needs a Content-Length"


class Unauthenticated(WalletsvcError):
    """No credentials, or not the right ones."""

    code = "unauthenticated"
    status = 401
    title = "Authentication is required"


class Forbidden(WalletsvcError):
    """The credentials are good but do not cover this."""

    code = "forbidden"
    status = 403
    title = "Not allowed"


class NotFound(WalletsvcError):
    """Nothing here by that id, or nothing this caller may see."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(WalletsvcError):
    """The request does not fit the present state."""

    code = "conflict"
    status = 409
    title = "Conflict"


class IdempotencyMismatch(Conflict):
    """The same Idempotency-Key came with a different request."""

    code = "idempotency_mismatch"
    title = "The idempotency key was used for another request"


class AlreadyReversed(Conflict):
    """The transaction was undone before."""

    code = "already_reversed"
    title = "The transaction is already reversed"


class HoldClosed(Conflict):
    """The hold was captured, voided or ran out before; `state` says which."""

    code = "hold_closed"
    title = "The hold is closed"


class DuplicateMember(Conflict):
    """The person already has a card of this programme."""

    code = "duplicate_member"
    title = "Already a member"


class Refused(WalletsvcError):
    """A rule of the business says no."""

    code = "refused"
    status = 422
    title = "Refused"


class InsufficientFunds(Refused):
    """The account may not fall that low; `available` says how much there is, in minor units."""

    code = "insufficient_funds"
    title = "Not enough on the account"


class NotAccepted(Refused):
    """This organisation or branch does not take the card or certificate."""

    code = "not_accepted"
    title = "Not accepted here"


class NotVerified(Refused):
    """The card brings nothing until its holder has proved a phone."""

    code = "not_verified"
    title = "The card is not verified"


class PresenceRequired(Refused):
    """The holder has to show a code of the moment, or to prove the phone; `why` says what of it
    is not so: missing, expired or used."""

    code = "presence_required"
    title = "A code of the moment is needed"


class CertificateBlocked(Refused):
    """Staff stopped the certificate; its money is still owed."""

    code = "certificate_blocked"
    title = "The certificate is blocked"


class CertificateExpired(Refused):
    """The certificate is past its end; its money is still owed and can be paid out."""

    code = "certificate_expired"
    title = "The certificate has expired"


class PhoneNotProven(Refused):
    """Nobody showed that they hold this phone, for this purpose, lately; it is not said more."""

    code = "phone_not_proven"
    title = "The phone is not proven"


class TooManyTries(WalletsvcError):
    """A limit was reached; `retry_after` says in how many seconds to try again."""

    code = "too_many_tries"
    status = 429
    title = "Too many tries"
    retryable = True


class Unavailable(WalletsvcError):
    """Something this answer depends on is not there now; trying again later may help."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"
    retryable = True
