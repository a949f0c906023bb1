"""The examples of the till's calls."""

from __future__ import annotations

from typing import Any, Final

CARD: Final = "3h7k9m2p5r8t0v4x6z1b"
CERTIFICATE: Final = "5c8e1g4j7m0q3s6v9y2b"


def money(amount: int) -> dict[str, Any]:
    """Roubles in kopecks."""
    return {"amount": amount, "currency": "RUB"}


BILL: Final[dict[str, Any]] = {
    "card_id": CARD,
    "lines": [
        {
            "item": "cappuccino",
            "group": "coffee",
            "name": "Капучино",
            "quantity": "2",
            "price": money(25000),
        },
        {"item": "cake", "group": "pastry", "name": "Торт", "sum": money(40000)},
    ],
    "channel": "till",
    "points": 100,
    "certificates": [{"certificate_id": CERTIFICATE, "amount": money(30000)}],
}
CALCULATED: Final[dict[str, Any]] = {
    "at": "2026-11-24T10:15:00Z",
    "rules_version": 3,
    "total": money(90000),
    "discount": money(0),
    "payable": money(90000),
    "points": 100,
    "points_money": money(10000),
    "certificates": [
        {"certificate_id": CERTIFICATE, "amount": money(30000), "left": money(170000)}
    ],
    "money": money(50000),
    "earned": 40,
    "stamps": 0,
    "available_from": "2026-11-24T10:15:00Z",
    "expires_at": "2027-11-24T21:00:00Z",
    "tier": "bronze",
    "tier_after": "bronze",
    "lines": [
        {
            "item": "cappuccino",
            "sum": money(50000),
            "discount": money(0),
            "points_money": money(5556),
            "earned": 22,
        },
        {
            "item": "cake",
            "sum": money(40000),
            "discount": money(0),
            "points_money": money(4444),
            "earned": 18,
        },
    ],
    "explanation": [
        {
            "code": "points_do_not_earn",
            "text": "Оплачено баллами, 100,00 ₽: за эту часть баллы не начисляются",
        },
        {"code": "base_of_tier", "text": "Уровень «Бронза», 5 % от 800,00 ₽: +40 баллов"},
    ],
}
QUOTE: Final = {**CALCULATED, "most_points": 270, "available": 520}
PURCHASE_ID: Final = "7q9s1v3x5z7b9d1f3h5k"
PURCHASE: Final[dict[str, Any]] = {
    **CALCULATED,
    "id": PURCHASE_ID,
    "state": "recorded",
    "source": "till-1",
    "external_id": "4711",
    "recorded_at": "2026-11-24T10:15:01Z",
    "branch_id": "1z3b5d7f9h2k4m6p8r0t",
    "channel": "till",
    "card_id": CARD,
    "receipt": {
        "phone": "+7 *** ***-45-67",
        "balance": 560,
        "valid": 560,
        "promotional": 0,
        "future": [],
        "stamps": None,
        "text": "Карта                  **** 1234\n"
        "Телефон         +7 *** ***-45-67\n"
        "Оплачено сертификатом   300,00 ₽\n"
        "Осталось на сертификате\n"
        "                      1 700,00 ₽\n"
        "Оплачено баллами             100\n"
        "Начислено баллов              40\n"
        "Доступно баллов              560",
    },
    "refunds": [],
    "corrects": None,
    "corrected_by": None,
    "repeated": False,
    "dry_run": False,
}
BRIEF: Final = {
    name: PURCHASE[name]
    for name in (
        "id", "state", "source", "external_id", "at", "recorded_at", "branch_id", "channel",
        "card_id", "total", "discount", "points", "money", "earned", "stamps",
    )
}  # fmt: skip
REFUND: Final[dict[str, Any]] = {
    "id": "2f4h6k8m0p2r4t6v8x0z",
    "state": "done",
    "source": "till-1",
    "external_id": "4711-R1",
    "purchase_id": PURCHASE_ID,
    "purchase_external_id": "4711",
    "at": "2026-11-24T12:00:00Z",
    "recorded_at": "2026-11-24T12:00:00Z",
    "money": money(13889),
    "points": 27,
    "certificates": [{"certificate_id": CERTIFICATE, "amount": money(8333)}],
    "taken_back": 11,
    "shortfall": 0,
    "recovered": 0,
    "expired": 10,
    "balance": 576,
    "explanation": [
        {
            "code": "returned_expired",
            "text": "Вернулось, но срок уже истёк — потратить нельзя: 10 баллов",
        }
    ],
    "problem": None,
    "dry_run": False,
}
