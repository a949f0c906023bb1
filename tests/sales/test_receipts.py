"""The block of a receipt: the right words and figures, no line too long."""

from __future__ import annotations

import pytest

from tests.sales.shop import BOOK, Café
from walletsvc.sales.receipts import WIDTHS, Language, masked_phone, printed


def test_a_phone_is_masked() -> None:
    """Its owner recognises it, nobody else learns it."""
    assert masked_phone("+79001234567") == "+7 *** ***-45-67"
    assert masked_phone("+375291234567") == "+ *** ***-45-67"
    assert masked_phone(None) is None


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_no_line_is_too_long(café: Café, width: int, language: Language) -> None:
    """Whatever stands in it, at every width and in both languages."""
    café.publish({**BOOK, "available_after_days": 14})
    card, gift = café.card(12_345, promotional=True), café.certificate(10_000_000)
    made = café.buy(card, 9_876_543, points=1_234, certificates=[(gift, 1_234_567)])
    sums = {"discount": 12_345, "earned": made.earned, "stamps": 3, "points": made.paid_points}
    text = printed(made.receipt, sums, currency="RUB", language=language, width=width)
    assert all(len(line) <= width for line in text.splitlines())
    assert not {"\u00a0", "\u202f"} & set(text)


def test_what_it_says(café: Café) -> None:
    """Requirement 22: phone, earned, paid with points, valid with promotional, what is to come."""
    café.publish({**BOOK, "available_after_days": 14})
    card = café.card(300, promotional=True)
    made = café.buy(card, 40_000, points=100)
    sums = {"discount": 0, "earned": made.earned, "stamps": 0, "points": 100}
    lines = printed(made.receipt, sums, currency="RUB", language="ru", width=40).splitlines()
    assert lines[0].startswith("Карта")
    assert lines[1:] == [
        "Телефон                 +7 *** ***-00-01",
        "Оплачено баллами                     100",
        "Начислено баллов                      15",
        "Доступно баллов                      200",
        "в том числе акционных                200",
        "Будет доступно 04.12.2026             15",
    ]
    assert "+7900" not in str(made.receipt)
