"""Whether the card's holder is there: in a programme with codes of the moment, nothing is taken off
and no points are spent without one that was scanned, or a proof of the holder's phone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.cards.codes import service as codes
from walletsvc.cards.codes.models import CodePolicy, Presentation
from walletsvc.cards.codes.service import Taker
from walletsvc.cards.models import Card
from walletsvc.core.errors import PresenceRequired, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.messaging.proving import service as proving
from walletsvc.messaging.proving.models import ProofPurpose
from walletsvc.programmes.rulebook.reasons import Code
from walletsvc.sales.facts import CardFacts
from walletsvc.sales.models import Purchase
from walletsvc.sales.sale import Caller, Mistake, Sale

# The phone of a proof, if the holder of the card answers it.
_PHONE: Final = text("""
SELECT f.phone FROM phone_proofs f
  JOIN phones h ON h.e164 = f.phone
  JOIN person_phones pp ON pp.phone_id = h.id
  JOIN cards c ON c.person_id = pp.person_id
 WHERE f.public_id = :proof AND f.subject = :subject AND f.purpose = 'spend' AND c.id = :card_id
""")


@dataclass(frozen=True, slots=True)
class Shown:
    """Whether the holder is `present`, as far as the programme asks, and what showed it."""

    present: bool = True
    presentation: Presentation | None = None
    proof: str | None = None
    phone: str | None = None


def taker(caller: Caller) -> Taker:
    """The caller as one who takes codes."""
    return Taker(caller.organisation_id, caller.branch_id, str(caller.actor))


def look(
    session: Session,
    caller: Caller,
    sale: Sale,
    card: CardFacts | None,
    points: int,
    at: datetime,
    now: datetime,
    mistake: Mistake | None,
) -> Shown:
    """What of the holder's presence a sale shows; nothing is used up yet.

    Points that are taken from a hold need nothing more: it was asked for when they were held. Nor
    do those of a correction, as far as the same card's paid before; what is shown with it is shown
    now, whenever the sale was. Raises InputError for what belongs to somebody else,
    PresenceRequired for what is over, and when points are spent without any.
    """
    if card is None:
        return Shown()
    policy, at = card.programme.code_policy, at if mistake is None else now
    found = shown(session, caller, card.id, policy, sale.presentation, sale.proof, at, now)
    if found.present:
        return found
    if points and sale.hold is not None:
        return Shown()
    if mistake is None or mistake.card_id != card.id:
        if points:
            raise missing()
        return found
    if points > mistake.points:
        raise missing()
    return Shown(present=mistake.present)


def shown(
    session: Session,
    caller: Caller,
    card_id: int,
    policy: CodePolicy,
    presentation: str | None,
    proof: str | None,
    at: datetime,
    now: datetime,
) -> Shown:
    """What a presentation or a proof shows of this card's holder `at` a moment; see `look`."""
    if presentation is not None and proof is not None:
        raise wrong("proof", "cannot be given together with `presentation`", "not_allowed")
    if policy is CodePolicy.STATIC:
        return Shown()
    if presentation is not None:
        found = codes.check(session, presentation, card_id=card_id, taker=taker(caller), at=at)
        return Shown(presentation=found)
    if proof is None:
        return Shown(present=False)
    phone = _phone(session, caller, card_id, proof)
    checked = proving.status(session, proof, subject=_subject(caller), now=now)
    if checked.outcome is not proving.Outcome.PROVEN:
        used = checked.outcome is proving.Outcome.USED
        raise PresenceRequired(
            "The phone is not proven: send a new code.", why="used" if used else "missing"
        )
    return Shown(proof=proof, phone=phone)


def use_up(session: Session, caller: Caller, found: Shown, used_for: str, now: datetime) -> None:
    """Use what was shown; of two at once the second is refused. The accounts are locked first."""
    if found.presentation is not None:
        codes.use(session, found.presentation, used_for, now)
    if found.proof is not None:
        proving.use(
            session,
            found.proof,
            purpose=ProofPurpose.SPEND,
            subject=_subject(caller),
            phone=found.phone,
            now=now,
        )


def missing() -> PresenceRequired:
    """The error of whoever shows nothing where something is needed."""
    return PresenceRequired(
        "The card's number alone does not spend: scan the code that the phone shows now, or send"
        " a code by SMS.",
        why="missing",
    )


def was_present(old: Purchase) -> bool:
    """Whether a purchase was one at which its card's holder was there, as far as was asked."""
    told: list[dict[str, Any]] = old.outcome.get("explanation") or []
    return old.card_id is not None and all(each["code"] != Code.PRESENCE_REQUIRED for each in told)


def card_now(session: Session, old: Purchase) -> int | None:
    """The card of a purchase, or the one that it is part of by now."""
    if old.card_id is None:
        return None
    return session.get_one(Card, old.card_id).merged_into_id or old.card_id


def _phone(session: Session, caller: Caller, card_id: int, proof: str) -> str:
    found = None
    if PUBLIC_ID.fullmatch(proof):
        values = {"proof": proof, "subject": _subject(caller), "card_id": card_id}
        found = session.execute(_PHONE, values).scalar()
    if found is None:
        raise wrong("proof", "is not a proof of a phone of the card's holder", "unknown")
    return str(found)


def _subject(caller: Caller) -> str:
    """What proofs that were asked for over the REST interface are bound to."""
    return f"key:{caller.organisation_id}"
