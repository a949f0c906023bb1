"""What it costs to be attacked: so many messages, so many guesses, however it is done."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from tests.concurrency.at_once import outcome, together
from tests.messaging.proving.conftest import PHONE, SENDING, Desk
from walletsvc.core.errors import TooManyTries
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving import rules
from walletsvc.messaging.proving.models import ProofPurpose
from walletsvc.messaging.proving.service import Outcome


def started(desk: Desk, phone: str = PHONE, **changes: Any) -> str:
    return outcome(lambda: desk.start(phone, **changes))


def test_one_phone_is_sent_five_an_hour_and_ten_a_day(desk: Desk) -> None:
    """Whoever asks, from wherever, for whatever; a till has as many of its own."""
    done = 0
    for hour in range(12):
        for number in range(8):
            purpose = (ProofPurpose.JOIN, ProofPurpose.LOG_IN, ProofPurpose.CLAIM)[number % 3]
            result = started(
                desk,
                subject=f"form:{hour}-{number}",
                address=f"198.51.100.{number}",
                purpose=purpose,
                programme_id=None if number % 2 else desk.shop.programme.id,
                now=desk.later(hours=hour),
            )
            done += result == "done"
    assert done == 10
    assert desk.count(Message) == 10
    assert started(desk, subject="form:x", now=desk.later(hours=24)) == "done"
    for number in range(6):
        purpose = (ProofPurpose.SPEND, ProofPurpose.TILL)[number % 2]
        result = started(
            desk, subject=f"key:{number}", purpose=purpose, values={"consent": ""},
            now=desk.later(hours=11),
        )  # fmt: skip
        assert result == ("done" if number < 5 else "too_many_tries")


def test_one_address_is_answered_sixty_times_an_hour(desk: Desk) -> None:
    """Over all phones; the whole /64 of IPv6 is one customer's."""
    results = Counter(
        started(desk, f"+790000{number:05}", address=f"2001:db8:1:2::{number:x}")
        for number in range(64)
    )
    assert results == {"done": 60, "too_many_tries": 4}
    assert started(desk, "+79000077777", address="2001:db8:1:3::1") == "done"


def test_a_programme_sends_no_more_than_its_ceiling(desk: Desk) -> None:
    """Over all phones and addresses: this is what pumping can cost."""
    results = Counter(
        started(desk, f"+790000{number:05}", address=f"198.51.{number}.1")
        for number in range(SENDING.per_hour + 5)
    )
    assert results == {"done": SENDING.per_hour, "too_many_tries": 5}
    assert started(desk, "+79000077777", now=desk.later(hours=1)) == "done"


@pytest.mark.parametrize(
    ("phone", "home"),
    [
        ("+79000001234", True),
        ("+77011234567", True),  # Kazakhstan: the same +7
        ("+375291234567", True),
        ("+393471234567", False),
        ("+12015550123", False),
        ("+8801712345678", False),
    ],
)
def test_few_codes_go_abroad(desk: Desk, phone: str, home: bool) -> None:
    """Who earns by codes has phones in far countries."""
    assert (rules.country(phone) in SENDING.home) is home
    for number in range(3):
        assert started(desk, f"+3934712345{number:02}") == "done"
    assert started(desk, phone) == ("done" if home else "too_many_tries")


def test_a_crowd_at_once_is_sent_no_more(desk: Desk) -> None:
    results = together(16, lambda number: started(desk, subject=f"form:{number}"))
    assert Counter(results) == {"done": 5, "too_many_tries": 11}
    assert desk.count(Message) == 5


def test_a_new_proof_gives_no_new_guesses_without_end(desk: Desk) -> None:
    """Fifteen an hour and forty a day of one phone, over all its proofs."""
    looked_at = 0
    for hour in range(14):  # until midnight: the windows are fixed in time
        for number in range(3):
            now = desk.later(hours=hour, minutes=number)
            if started(desk, subject=f"form:{hour}-{number}", now=now) != "done":
                continue
            proof = newest(desk)
            for _ in range(5):
                tried = guess(desk, proof, f"form:{hour}-{number}", now)
                looked_at += tried == "wrong"
    assert looked_at == 40


def guess(desk: Desk, proof: str, subject: str, now: Any) -> str:
    try:
        return desk.check(proof, "nonsense", subject, now=now).outcome.value
    except TooManyTries:
        return "too_many_tries"


def newest(desk: Desk) -> str:
    with desk.database.read_tx() as session:
        found = session.execute(
            text("SELECT public_id FROM phone_proofs ORDER BY id DESC LIMIT 1")
        ).scalar_one()
        return str(found)


def test_a_guess_beyond_the_limit_is_not_looked_at(desk: Desk) -> None:
    """Not even the right one; an hour later it would be."""
    proofs = [desk.start(subject=f"form:{number}").proof for number in range(4)]
    code = desk.codes()[3]
    for number in range(3):
        for _ in range(5):
            desk.check(proofs[number], "nonsense", f"form:{number}")
    with pytest.raises(TooManyTries) as caught:
        desk.check(proofs[3], code, "form:3")
    assert caught.value.data["retry_after"] <= 1800
    assert desk.status(proofs[3], "form:3").outcome is Outcome.WAITING


def test_right_codes_are_no_guesses(desk: Desk) -> None:
    """Who types what the SMS says takes nothing of what wrong ones may be."""
    for hour, minute in ((0, 0), (0, 2), (0, 4), (1, 0)):
        now = desk.later(hours=hour, minutes=minute)
        proof = desk.start(subject=f"form:{hour}-{minute}", now=now).proof
        for _ in range(5):  # a lost answer, asked again
            assert (
                desk.check(proof, desk.codes()[-1], f"form:{hour}-{minute}", now=now).outcome
                == "proven"
            )
    assert guesses(desk) == 0


def guesses(desk: Desk) -> int:
    with desk.database.read_tx() as session:
        found = (
            "SELECT COALESCE(sum(tries), 0) FROM limit_counters WHERE name LIKE 'proof-guesses%'"
        )
        return int(session.execute(text(found)).scalar_one())


def test_a_stranger_does_not_lock_the_till(desk: Desk) -> None:
    """Whoever may ask without a key uses up what such may; a cashier's code is looked at."""
    for number in range(3):
        proof = desk.start(subject=f"form:{number}", purpose=ProofPurpose.LOG_IN).proof
        for _ in range(5):
            desk.check(proof, "nonsense", f"form:{number}")
    spend = desk.start(subject="key:1", purpose=ProofPurpose.SPEND).proof
    assert desk.check(spend, desk.codes()[-1], "key:1").outcome is Outcome.PROVEN
    mine = desk.start(subject="form:x").proof
    with pytest.raises(TooManyTries):
        desk.check(mine, desk.codes()[-1], "form:x")


def test_guesses_at_once_over_many_proofs(desk: Desk) -> None:
    proofs = [desk.start(subject=f"form:{number}").proof for number in range(5)]
    results = together(24, lambda n: guess(desk, proofs[n % 5], f"form:{n % 5}", desk.now))
    assert Counter(results)["wrong"] == 15


def test_codes_are_six_random_digits() -> None:
    """Every digit in every place, zeros in front too."""
    codes = [rules.new_code() for _ in range(3_000)]
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    for place in range(6):
        assert len({code[place] for code in codes}) == 10
    assert len(set(codes)) > 2_950


def test_an_address_is_hashed_by_its_network() -> None:
    same = {
        rules.address_subject(each) for each in ("2001:db8::1", "2001:db8::ffff", "2001:DB8:0::2")
    }
    assert len(same) == 1
    mapped = {rules.address_subject(each) for each in ("192.0.2.1", "::ffff:192.0.2.1")}
    assert len(mapped) == 1
    other = {rules.address_subject(each) for each in ("192.0.2.1", "192.0.2.2", "somewhere", "")}
    assert len(other) == 4
