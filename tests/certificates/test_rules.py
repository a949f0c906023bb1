"""Certificate codes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletsvc.certificates.rules import ALPHABET, new_code, normalise_code
from walletsvc.core.errors import InputError

CODE = "6NAP-GRVQ-629N-XNG5"


def test_codes_are_unambiguous_and_do_not_repeat() -> None:
    """Nothing that can be taken for something else when read out or printed."""
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(re.fullmatch(r"([2-9A-HJKMNPQRT-Y]{4}-){3}[2-9A-HJKMNPQRT-Y]{4}", c) for c in codes)
    assert all(normalise_code(code) == code for code in codes)


@pytest.mark.parametrize(
    "typed",
    [
        CODE,
        "6nap-grvq-629n-xng5",
        "6NAPGRVQ629NXNG5",
        " 6nap grvq  629n xng5\n",
        "6NАР-GRVQ-629N-ХNG5",  # А, Р and Х as a Russian keyboard types them
        "６ＮＡＰ－ＧＲＶＱ－６２９Ｎ－ＸＮＧ５",
        "6NAP-GRVQ-6Z9N-XNGS",  # 2 read as Z, 5 as S
    ],
)
def test_a_code_is_the_same_however_it_is_typed(typed: str) -> None:
    """Case, spacing, keyboard and look-alikes do not matter."""
    assert normalise_code(typed) == CODE


@given(st.integers(0, 15), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(place: int, wrong: str) -> None:
    """Any character in any place."""
    code = CODE.replace("-", "")
    if code[place] != wrong:
        with pytest.raises(InputError):
            normalise_code(code[:place] + wrong + code[place + 1 :])


@given(st.integers(0, 14))
def test_two_swapped_neighbours_are_noticed(place: int) -> None:
    """The commonest slip of a typist."""
    code = CODE.replace("-", "")
    if code[place] != code[place + 1]:
        swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
        with pytest.raises(InputError):
            normalise_code(swapped)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        CODE[:-1],
        CODE + "2",
        "Щ" * 16,
        "6NAP*" * 4,
        CODE + "!",
        "0" * 16,
        "A" * 5000,
        "\x00" * 16,
        CODE + "\ud83d",
    ],
)
def test_what_is_no_code_is_refused_and_never_repeated(text: str) -> None:
    """A code is money: it must not appear in messages."""
    with pytest.raises(InputError) as caught:
        normalise_code(text)
    assert caught.value.fields[0].code == "invalid_code"
    assert CODE not in caught.value.detail
