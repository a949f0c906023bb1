"""Value that comes back past its time: the customer is told, for nobody can spend it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.sales.shop import Café
from walletsvc.programmes.rulebook.reasons import LANGUAGES, words
from walletsvc.sales.models import Refund
from walletsvc.sales.refunding import explained

LATER = timedelta(days=10)


def told(refund: Refund, language: str = "en") -> list[str]:
    """What the return says besides its figures."""
    return [words(each, language) for each in explained(refund)]


def test_points_that_come_back_past_their_time_are_told(café: Café) -> None:
    """Of two lots one is over: its part is named, the rest can be spent."""
    card = café.card()
    café.credit(card, 60, expires_at=café.now + timedelta(days=9))
    café.credit(card, 200, expires_at=café.now + timedelta(days=99))
    made = café.buy(card, 50_000, points=100)
    back = café.refund(made, now=café.now + LATER)
    assert (back.points_returned, back.outcome["expired"]) == (100, 60)
    assert told(back) == ["Came back past its time and cannot be spent any more: 60 points"]
    assert told(back, "ru") == ["Вернулось, но срок уже истёк — потратить нельзя: 60 баллов"]
    assert café.available(card, café.now + LATER) == 200
    assert café.clean()


def test_returns_in_parts_name_it_once(café: Café) -> None:
    """Each says what of its own part is over; together they come to what one would say."""
    card = café.card()
    café.credit(card, 60, expires_at=café.now + timedelta(days=9))
    café.credit(card, 200, expires_at=café.now + timedelta(days=99))
    made = café.buy(card, 50_000, points=100)
    backs = [café.refund(made, now=café.now + LATER, sum=part) for part in (12_500, 12_500, 25_000)]
    expired = [back.outcome["expired"] for back in backs]
    assert sum(expired) == 60
    assert [len(told(back)) for back in backs] == [int(amount > 0) for amount in expired]


@pytest.mark.parametrize("late", [timedelta(days=9) - timedelta(seconds=1), timedelta(days=9)])
def test_the_moment_of_the_return_decides(café: Café, late: timedelta) -> None:
    """Points end at their moment, not after it."""
    card = café.card()
    café.credit(card, 60, expires_at=café.now + timedelta(days=9))
    made = café.buy(card, 50_000, points=60)
    back = café.refund(made, now=café.now + late)
    assert back.outcome["expired"] == (60 if late == timedelta(days=9) else 0)
    assert bool(told(back)) is (late == timedelta(days=9))


def test_money_that_comes_back_to_an_expired_certificate_is_told(café: Café) -> None:
    """It can be paid out, not spent; one that is in time says nothing."""
    over = café.certificate(50_000, expires_at=café.now + timedelta(days=9))
    good = café.certificate(50_000)
    made = café.buy(None, 30_000, certificates=[(over, 10_000), (good, 5_000)])
    back = café.refund(made, now=café.now + LATER)
    assert back.certificates_returned == 15_000
    [said] = told(back)
    assert "Came back to a certificate that has expired" in said
    assert "100" in said
    assert "сертификат" in told(back, "ru")[0]


def test_what_comes_back_in_time_needs_no_words(café: Café) -> None:
    """Nor does a return that was made by an earlier release."""
    card = café.card(100)
    back = café.refund(café.buy(card, 50_000, points=100), now=café.now + LATER)
    assert (back.outcome["expired"], back.outcome["explanation"]) == (0, [])
    back.outcome = {"share": {}}
    assert explained(back) == []
    assert set(LANGUAGES) == {"ru", "en"}
