"""Counting what is sent and guessed, against the limits."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.messaging.proving import rules
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.storage import limits


def count_sending(session: Session, row: PhoneProof, address: str, now: datetime) -> None:
    """Count a message that this transaction will send: without it, it does not count. Raises
    TooManyTries."""
    phone = rules.phone_subject(row.phone)
    counted = [(rules.PER_PHONE_HOUR, phone), (rules.PER_PHONE_DAY, phone)]
    if address:
        place = rules.address_subject(address)
        counted += [(rules.PER_ADDRESS_HOUR, place), (rules.PER_ADDRESS_DAY, place)]
    whose = f"o{row.organisation_id}" if row.programme_id is None else f"{row.programme_id}"
    counted += rules.sending_of(session.info).ceilings(whose, row.phone)
    limits.count(session, counted, now)


def count_guess(session: Session, row: PhoneProof, now: datetime) -> None:
    """Count a try of a code; raises TooManyTries."""
    phone = rules.phone_subject(row.phone)
    limits.count(session, [(rules.GUESSES_HOUR, phone), (rules.GUESSES_DAY, phone)], now)
