"""Check digits and random ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from walletsvc.core.ids import luhn_digit, luhn_valid, public_id, secret_token


def test_a_known_number_has_its_check_digit() -> None:
    """The worked example of ISO/IEC 7812-1 readers: 7992739871 takes a 3."""
    assert luhn_digit("7992739871") == "3"
    assert luhn_valid("79927398713")


@given(st.text("0123456789", min_size=1, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_any_single_wrong_digit_is_noticed(digits: str, place: int, shift: int) -> None:
    """That is what the digit is for."""
    number = digits + luhn_digit(digits)
    at = place % len(number)
    wrong = number[:at] + str((int(number[at]) + shift) % 10) + number[at + 1 :]
    assert luhn_valid(number)
    assert not luhn_valid(wrong)


def test_ids_do_not_repeat_and_can_be_read_out() -> None:
    """No letter that is taken for another one, and nothing predictable."""
    ids = {public_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert not set("".join(ids)) & set("ilou")
    assert len(secret_token()) == 32
