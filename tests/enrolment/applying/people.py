"""People who are known already, and codes that are none."""

from __future__ import annotations

from tests.enrolment.conftest import PHONE, Counter
from tests.factories import TILL
from walletsvc.cards.models import Card
from walletsvc.enrolment.service import enrol


def wrong(code: str) -> str:
    """Another code than this."""
    return f"{(int(code) + 1) % 1_000_000:06}"


def known(counter: Counter, first_name: str, last_name: str = "Кузнецова") -> Card:
    """A member with the same phone, whom somebody entered without proof."""
    with counter.database.write_tx() as session:
        return enrol(
            session,
            programme=counter.shop.programme,
            phone=PHONE,
            first_name=first_name,
            last_name=last_name,
            actor=TILL,
            now=counter.now,
        ).card
