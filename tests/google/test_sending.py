"""Balances on their way to Google Wallet."""

from __future__ import annotations

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture


def test_first(desk: Desk) -> None:
    """x"""
    [a, b] = desk.cards(2)
    assert desk.shown(a) == 100
    sender = desk.sender()
    desk.change([a, b], 20)
    assert sender.drain() == 2
    assert desk.shown(a) == 120
    assert len(desk.buzzes(a)) == 1
    assert desk.waiting() == 0
    [g] = desk.gifts(1)
    desk.change([g], 100)
    desk.settle(desk.sender())
    assert desk.shown(g) == 500_100
    assert [b["kind"] for b in desk.buzzes(g)] == ["MESSAGE"]
    print(desk.google.log()[-3:])
