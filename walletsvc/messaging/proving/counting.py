"""Counting what is sent and guessed, against the limits.

What anybody may ask for and what needs an API key count apart: a stranger who uses up the one keeps
nobody from paying at the till.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.messaging.proving import rules
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose
from walletsvc.storage import limits
from walletsvc.storage.limits import Limit

_BY_KEY: Final = (ProofPurpose.TILL, ProofPurpose.SPEND)  # nobody else can begin these


def count_sending(session: Session, row: PhoneProof, address: str, now: datetime) -> None:
    """Count a message that this transaction will send: without it, it does not count. Raises
    TooManyTries."""
    phone = _whose(row)
    counted = [(rules.PER_PHONE_HOUR, phone), (rules.PER_PHONE_DAY, phone)]
    if address:
        place = rules.address_subject(address)
        counted += [(rules.PER_ADDRESS_HOUR, place), (rules.PER_ADDRESS_DAY, place)]
    whose = f"o{row.organisation_id}" if row.programme_id is None else f"{row.programme_id}"
    counted += rules.sending_of(session.info).ceilings(whose, row.phone)
    limits.count(session, counted, now)


def count_guess(session: Session, row: PhoneProof, now: datetime) -> None:
    """Count a try of a code before it is looked at; raises TooManyTries."""
    limits.count(session, _guesses(row), now)


def was_right(session: Session, row: PhoneProof, now: datetime) -> None:
    """The try that this transaction counted was no guess: only wrong ones count."""
    limits.uncount(session, _guesses(row), now)


def _guesses(row: PhoneProof) -> list[tuple[Limit, str]]:
    phone = _whose(row)
    return [(rules.GUESSES_HOUR, phone), (rules.GUESSES_DAY, phone)]


def _whose(row: PhoneProof) -> str:
    phone = rules.phone_subject(row.phone)
    return f"{phone}:key" if row.purpose in _BY_KEY else phone
