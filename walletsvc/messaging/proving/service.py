"""Starting a proof of a phone, trying its code, and using it once.

Nothing here looks at who a phone belongs to, so no answer can tell.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.core.errors import NotFound, PhoneNotProven
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.messaging.proving import counting, rules
from walletsvc.messaging.proving.asking import AWAIT_CALL, ask, routes
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.storage.engine import Database
from walletsvc.storage.rows import Changed, Inserted, Read
from walletsvc.storage.statement import Statement

__all__ = [
    "AWAIT_CALL", "Checked", "Outcome", "Started", "begin", "check", "replayed", "routes", "shown",
    "start", "status", "try_code", "use",
]  # fmt: skip

_NOTHING: Final[Mapping[str, str]] = {}


class Outcome(enum.StrEnum):
    """How a proof stands."""

    PROVEN = "proven"
    WRONG = "wrong"
    WAITING = "waiting"
    EXPIRED = "expired"
    SPENT = "spent"  # no tries left
    USED = "used"


_CLOSED: Final = (Outcome.USED, Outcome.EXPIRED)

_PROOFS: Final = Inserted(PhoneProof)
_TRIED: Final = Changed(PhoneProof, "tries", "proven_at")
_USED: Final = Changed(PhoneProof, "used_at")
_READ: Final = Read(PhoneProof, "WHERE public_id = :proof AND subject = :subject")
# The proof as it is when nobody else changes it any more.
_LOCK: Final = Read(PhoneProof, "WHERE public_id = :proof AND subject = :subject FOR UPDATE")
_NEWEST_ALIKE: Final = Read(
    PhoneProof,
    """
    WHERE phone = :phone AND subject = :subject AND organisation_id = :organisation
      AND programme_id IS NOT DISTINCT FROM CAST(:programme AS bigint)
      AND purpose = :purpose AND route = :route AND texts = CAST(:texts AS text[])
      AND used_at IS NULL AND created_at > :since
    ORDER BY id DESC LIMIT 1 FOR UPDATE
    """,
)
_ONE_AT_A_TIME: Final = Statement("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")


@dataclass(frozen=True, slots=True)
class Started:
    """A proof that waits. `call_to` is the number to ring (route CALL, once the gateway named
    it), `token` what a messenger's bot is started with (route MESSENGER)."""

    proof: str
    route: Route
    expires_at: datetime
    resend_at: datetime
    call_to: str | None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """How a proof stands, and how many codes may still be tried."""

    outcome: Outcome
    tries_left: int


def start(
    database: Database,
    *,
    organisation_id: int,
    programme_id: int | None,
    purpose: ProofPurpose,
    phone: str,
    subject: str,
    route: Route = Route.SMS,
    language: str,
    address: str = "",
    now: datetime,
    values: Mapping[str, str] = _NOTHING,
) -> Started:
    """`begin` in a transaction of its own."""
    with database.write_tx() as session:
        return begin(
            session,
            organisation_id=organisation_id,
            programme_id=programme_id,
            purpose=purpose,
            phone=phone,
            subject=subject,
            route=route,
            language=language,
            address=address,
            now=now,
            values=values,
        )


def begin(
    session: Session,
    *,
    organisation_id: int,
    programme_id: int | None,
    purpose: ProofPurpose,
    phone: str,
    subject: str,
    route: Route = Route.SMS,
    language: str,
    address: str = "",
    now: datetime,
    values: Mapping[str, str] = _NOTHING,
    silent: bool = False,
    texts: Sequence[str] = (),
) -> Started:
    """Ask whoever holds the phone (E.164) to prove it.

    `subject` is who asks, such as a form or a browser's session: only it can try and use the
    proof, so it must be nothing that two strangers could have in common. `values` fill further
    gaps of the message's wording. Asked again within the resend pause, the answer is the same
    proof and nothing is sent; later a code that is still waited for is followed by another one of
    the same proof, and either will do. Raises TooManyTries, and Unavailable without a gateway.
    A `silent` proof counts and answers like any other, but no code is sent and none fits. What a
    call or a messenger proves must be looked at all the same. `texts`: what `values` name.
    """
    _one_at_a_time(session, phone)
    wanted = PhoneProof(
        organisation_id=organisation_id,
        programme_id=programme_id,
        purpose=purpose,
        route=route,
        phone=phone,
        subject=subject,
        texts=list(texts),
        created_at=now,
        expires_at=now + rules.LIFETIME,
    )
    former = _newest_alike(session, wanted)
    if former is not None and _asked_at(former) + rules.RESEND_AFTER > now:
        return _started(former)
    counting.count_sending(session, wanted, address, now)
    if former is not None and _again(former, now):
        former.sends += 1
        former.expires_at = now + rules.LIFETIME
        ask(session, former, language, None if silent else values, now)
        session.flush()
        return _started(former)
    ask(session, wanted, language, None if silent else values, now)
    return _started(_PROOFS.one(session, **dict(wanted)))


def check(database: Database, proof: str, *, subject: str, code: str, now: datetime) -> Checked:
    """`try_code` in a transaction of its own."""
    with database.write_tx() as session:
        return try_code(session, proof, subject=subject, code=code, now=now)


def try_code(session: Session, proof: str, *, subject: str, code: str, now: datetime) -> Checked:
    """Try a code; the try counts, so the transaction must be committed whatever comes out.

    The right code proves the phone once and says so again when it is sent again. Raises NotFound
    for a proof that is not this subject's, TooManyTries when the phone's codes were guessed at
    too often, by whatever number of proofs: then not even the right one is looked at.
    """
    row = _lock(session, proof, subject)
    if row is None:
        raise _unknown()
    standing = _standing(row, now)
    if row.route is not Route.SMS or standing.outcome in _CLOSED:
        return standing
    if not standing.tries_left:  # also of a phone that is proven: nothing is compared any more
        return Checked(Outcome.SPENT, 0)
    counting.count_guess(session, row, now)
    former = bytes.fromhex(row.reference) if row.reference else None
    right = rules.fits(row.public_id, code, row.code_hash, former)
    if right:
        counting.was_right(session, row, now)
    proven_at = row.proven_at or now if right else row.proven_at
    _TRIED.one(session, row, tries=row.tries + 1, proven_at=proven_at)
    return Checked(Outcome.PROVEN if right else Outcome.WRONG, rules.TRIES - row.tries)


def status(session: Session, proof: str, *, subject: str, now: datetime) -> Checked:
    """How the proof stands, for ways without a code; raises NotFound when it is not theirs."""
    row = _READ.first(session, **_named(proof, subject))
    if row is None:
        raise _unknown()
    return _standing(row, now)


def shown(session: Session, proof: str, *, subject: str) -> Started:
    """The proof as it was started, with the number to ring once it is known."""
    row = _READ.first(session, **_named(proof, subject))
    if row is None:
        raise _unknown()
    return _started(row)


def use(
    session: Session,
    proof: str,
    *,
    purpose: ProofPurpose,
    subject: str,
    phone: str | None = None,
    now: datetime,
) -> PhoneProof:
    """Use a proof up, in the caller's transaction; of two at once the second finds it used.

    Raises PhoneNotProven, which does not tell one reason from another.
    """
    row = _lock(session, proof, subject)
    if (
        row is None
        or row.purpose is not purpose
        or (phone is not None and row.phone != phone)
        or _standing(row, now).outcome is not Outcome.PROVEN
    ):
        raise PhoneNotProven("The phone is not proven: begin anew.")
    _USED.one(session, row, used_at=now)
    return row


def replayed(session: Session, proof: str, *, subject: str, code: str, now: datetime) -> bool:
    """Whether this is, within a minute or two, once more what a proof was used with: a double
    click, or a lost answer. The try counts, as with `try_code`."""
    row = _lock(session, proof, subject)
    if row is None or row.used_at is None or row.used_at + rules.REPLAYED_WITHIN <= now:
        return False
    if row.route is not Route.SMS:
        return True
    if row.tries >= rules.TRIES:
        return False
    counting.count_guess(session, row, now)
    row.tries += 1
    former = bytes.fromhex(row.reference) if row.reference else None
    right = rules.fits(row.public_id, code, row.code_hash, former)
    if right:
        counting.was_right(session, row, now)
    return right


def _named(proof: str, subject: str) -> dict[str, str]:
    return {"proof": proof if PUBLIC_ID.fullmatch(proof) else "", "subject": subject}


def _lock(session: Session, proof: str, subject: str) -> PhoneProof | None:
    """The proof as it is when nobody else changes it any more."""
    return _LOCK.first(session, **_named(proof, subject))


def _unknown() -> NotFound:
    return NotFound("There is no such proof.")


def _one_at_a_time(session: Session, phone: str) -> None:
    """Two requests of one moment for a phone: the second sees what the first has sent."""
    _ONE_AT_A_TIME.run(session, {"what": f"walletsvc proof {phone}"})


def _newest_alike(session: Session, wanted: PhoneProof) -> PhoneProof | None:
    return _NEWEST_ALIKE.first(
        session,
        phone=wanted.phone,
        subject=wanted.subject,
        organisation=wanted.organisation_id,
        programme=wanted.programme_id,
        purpose=wanted.purpose.value,
        route=wanted.route.value,
        texts=wanted.texts,
        since=wanted.created_at - rules.KEPT_ALIVE,
    )


def _asked_at(row: PhoneProof) -> datetime:
    """When the phone was last asked: each further code lasts anew, the rest is asked once."""
    return row.expires_at - rules.LIFETIME if row.route is Route.SMS else row.created_at


def _again(row: PhoneProof, now: datetime) -> bool:
    """Whether asking again goes on with this proof instead of making a new one."""
    return (
        row.route is Route.SMS
        and _standing(row, now).outcome is Outcome.WAITING
        and row.sends < rules.SENDS
    )


def _started(row: PhoneProof) -> Started:
    return Started(
        proof=row.public_id,
        route=row.route,
        expires_at=row.expires_at,
        resend_at=_asked_at(row) + rules.RESEND_AFTER,
        call_to=rules.call_parts(row.reference)[0] or None if row.route is Route.CALL else None,
        token=row.reference if row.route is Route.MESSENGER else None,
    )


def _standing(row: PhoneProof, now: datetime) -> Checked:
    left = max(rules.TRIES - row.tries, 0)
    if row.used_at is not None:
        return Checked(Outcome.USED, left)
    if row.proven_at is not None:
        alive = row.proven_at + rules.USE_WITHIN > now
        return Checked(Outcome.PROVEN if alive else Outcome.EXPIRED, left)
    if row.expires_at <= now:
        return Checked(Outcome.EXPIRED, left)
    return Checked(Outcome.WAITING if left else Outcome.SPENT, left)
