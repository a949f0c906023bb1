"""A phone is proven by a code: once, by who asked, within limits, and whoever guesses learns
nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.concurrency.at_once import outcome, together
from tests.factories import make_member, make_shop
from tests.heard import statements
from tests.messaging.proving.conftest import PHONE, Desk
from walletsvc.core.errors import NotFound, PhoneNotProven, TooManyTries, Unavailable
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving import rules, service
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.messaging.proving.service import Outcome


def wrong(code: str) -> str:
    """Another code than this."""
    return f"{(int(code) + 1) % 1_000_000:06}"


def test_the_whole_way(desk: Desk) -> None:
    """Started, told, proven, used; the message has the code first and the line that fills it in."""
    started = desk.start()
    assert (started.route, started.call_to) == (Route.SMS, None)
    assert started.expires_at == desk.later(minutes=10)
    assert started.resend_at == desk.later(seconds=60)
    (code,) = desk.codes()
    assert desk.sms() == [f"Код {code} — регистрация, Лавка shop\n@cards.example.test #{code}"]
    assert desk.status(started.proof).outcome is Outcome.WAITING
    checked = desk.check(started.proof, code)
    assert (checked.outcome, checked.tries_left) == (Outcome.PROVEN, 4)
    used = desk.use(started.proof, phone=PHONE)
    assert (used.phone, used.used_at) == (PHONE, desk.now)
    assert desk.status(started.proof).outcome is Outcome.USED
    with pytest.raises(PhoneNotProven):
        desk.use(started.proof)


def test_the_code_is_stored_as_a_keyed_hash_that_fits_one_row(desk: Desk) -> None:
    """The same code of another proof has another hash; the plain one is nowhere."""
    first, second = desk.start(), desk.start(subject="form:2")
    code = desk.codes()[0]
    assert rules.code_hash(first.proof, code) != rules.code_hash(second.proof, code)
    with desk.database.read_tx() as session:
        row = session.exec(select(PhoneProof).where(PhoneProof.public_id == first.proof)).one()
        assert row.code_hash == rules.code_hash(first.proof, code)
        dump = [
            *session.execute(text("SELECT p::text FROM phone_proofs p")).scalars(),
            *session.execute(text("SELECT m::text FROM messages m")).scalars(),
        ]
    assert not any(code in line for line in dump)


@pytest.mark.parametrize(
    "typed", ["{0}", " {0} ", "{1} {2}", "{1}-{2}", "\u2068{1}\u00a0{2}".replace("\u2068", "")]
)
def test_a_code_as_people_type_it(desk: Desk, typed: str) -> None:
    proof = desk.start().proof
    code = desk.codes()[0]
    assert desk.check(proof, typed.format(code, code[:3], code[3:])).outcome is Outcome.PROVEN


def test_five_tries(desk: Desk) -> None:
    """The sixth is not looked at, right as it may be."""
    proof = desk.start().proof
    code = desk.codes()[0]
    left = [desk.check(proof, wrong(code)) for _ in range(5)]
    assert [each.outcome for each in left] == [Outcome.WRONG] * 5
    assert [each.tries_left for each in left] == [4, 3, 2, 1, 0]
    assert desk.check(proof, code).outcome is Outcome.SPENT
    assert desk.status(proof).outcome is Outcome.SPENT
    with pytest.raises(PhoneNotProven):
        desk.use(proof)


@pytest.mark.parametrize("typed", ["", "12345", "abcdef", "x" * 1000, "é" * 6, "\x00"])
def test_nonsense_is_a_try_too(desk: Desk, typed: str) -> None:
    proof = desk.start().proof
    assert desk.check(proof, typed).tries_left == 4


def test_a_code_ends_after_ten_minutes(desk: Desk) -> None:
    proof = desk.start().proof
    code = desk.codes()[0]
    late = desk.check(proof, code, now=desk.later(minutes=10))
    assert late.outcome is Outcome.EXPIRED
    in_time = desk.check(proof, code, now=desk.later(minutes=9, seconds=59))
    assert in_time.outcome is Outcome.PROVEN


def test_a_proof_is_used_within_half_an_hour(desk: Desk) -> None:
    proof = desk.proven()
    with pytest.raises(PhoneNotProven):
        desk.use(proof, now=desk.later(minutes=30))
    assert desk.use(proof, now=desk.later(minutes=29)).used_at is not None


def test_a_retried_check_is_answered_the_same(desk: Desk) -> None:
    """The answer got lost: the right code proves again, another one does not."""
    proof = desk.proven()
    code = desk.codes()[0]
    assert desk.check(proof, code).outcome is Outcome.PROVEN
    assert desk.check(proof, wrong(code)).outcome is Outcome.WRONG
    assert desk.use(proof).proven_at == desk.now


def test_a_proof_is_its_askers(desk: Desk) -> None:
    """For another subject there is none; for another purpose or phone it proves nothing."""
    proof = desk.start().proof
    code = desk.codes()[0]
    calls: tuple[Callable[[], object], ...] = (
        lambda: desk.check(proof, code, "form:2"),
        lambda: desk.status(proof, "form:2"),
        lambda: desk.check("0" * 20, code),
        lambda: desk.check("nonsense", code),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert desk.check(proof, code).tries_left == 4
    changes: tuple[dict[str, Any], ...] = (
        {"subject": "form:2"},
        {"purpose": ProofPurpose.LOG_IN},
        {"phone": "+79000001235"},
        {"proof": "0" * 20},
    )
    for change in changes:
        with pytest.raises(PhoneNotProven, match=r"^The phone is not proven: begin anew\.$"):
            desk.use(**{"proof": proof, **change})
    desk.use(proof)


def test_an_unproven_proof_proves_nothing(desk: Desk) -> None:
    proof = desk.start().proof
    with pytest.raises(PhoneNotProven):
        desk.use(proof)


def test_what_is_undone_with_its_transaction_can_be_used_again(desk: Desk) -> None:
    """The card could not be issued: the proof is not lost."""
    proof = desk.proven()
    with pytest.raises(ZeroDivisionError), desk.database.write_tx() as session:
        service.use(session, proof, purpose=ProofPurpose.JOIN, subject="form:1", now=desk.now)
        _ = 1 / 0
    desk.use(proof)


def test_asking_again_at_once_sends_nothing(desk: Desk) -> None:
    """Two clicks are one SMS; after the pause there is another, of the same proof."""
    first = desk.start()
    assert desk.start(now=desk.later(seconds=59)) == first
    assert len(desk.sms()) == 1
    again = desk.start(now=desk.later(seconds=60))
    assert again.proof == first.proof
    assert again.resend_at == desk.later(seconds=120)
    assert len(desk.sms()) == 2


@pytest.mark.parametrize("which", [0, 1])
def test_after_asking_again_either_code_will_do(desk: Desk, which: int) -> None:
    """The first SMS may well come after the second was asked for."""
    proof = desk.start().proof
    desk.start(now=desk.later(seconds=60))
    codes = desk.codes()
    assert desk.check(proof, codes[which], now=desk.later(seconds=70)).outcome is Outcome.PROVEN


def test_asking_again_gives_no_new_tries(desk: Desk) -> None:
    """But who has none left gets a proof with new ones, once the pause is over."""
    proof = desk.start().proof
    code = desk.codes()[0]
    for _ in range(4):
        desk.check(proof, wrong(code))
    desk.start(now=desk.later(seconds=60))
    now = desk.later(seconds=61)
    assert desk.check(proof, "x", now=now).tries_left == 0
    assert desk.check(proof, desk.codes()[1], now=now).outcome is Outcome.SPENT
    assert desk.start(now=now).proof == proof
    another = desk.start(now=desk.later(seconds=121))
    assert another.proof != proof
    assert desk.check(another.proof, desk.codes()[2], now=another.resend_at).tries_left == 4


def test_without_a_gateway_nothing_is_begun(desk: Desk) -> None:
    """Nobody waits for what cannot come; the try is not counted either. A bot is no gateway."""
    with desk.database.write_tx() as session:
        session.execute(text("UPDATE gateways SET closed_at = created_at"))
    for route in (Route.SMS, Route.CALL):
        with pytest.raises(Unavailable):
            desk.start(route=route)
    assert desk.count(PhoneProof) == 0
    with desk.database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM limit_counters")).scalar_one() == 0


def test_no_phone_in_what_is_counted(desk: Desk) -> None:
    """Counters hold hashes: neither phones nor addresses."""
    proof = desk.start().proof
    desk.check(proof, "1")
    with desk.database.read_tx() as session:
        subjects = session.execute(text("SELECT subject FROM limit_counters")).scalars().all()
    assert len(subjects) == 7
    assert not any(PHONE[2:] in each or "192.0.2" in each for each in subjects)


def test_a_phone_known_or_not_is_answered_alike(desk: Desk) -> None:
    """The same answer from the same statements, whoever the phone belongs to."""
    with desk.database.write_tx() as session:
        make_member(session, desk.shop, desk.now, phone="+79000005555")
    answers = []
    for phone in ("+79000005555", "+79000006666"):
        with statements(desk.database) as seen:
            started = desk.start(phone, subject=f"form:{phone[-4:]}")
        answers.append((started.route, started.expires_at, started.resend_at, tuple(seen)))
    assert answers[0] == answers[1]
    assert len(answers[0][3]) > 5
    assert not any(re.search("persons|person_phones|cards", each) for each in answers[0][3])


def test_two_at_once_are_one_message(desk: Desk) -> None:
    """A double click: the same proof, one SMS."""
    proofs = together(8, lambda _: desk.start().proof)
    assert len(set(proofs)) == 1
    assert len(desk.sms()) == 1


def test_five_tries_however_many_at_once(desk: Desk) -> None:
    proof = desk.start().proof
    code = desk.codes()[0]
    results = together(12, lambda _: desk.check(proof, wrong(code)).outcome.value)
    assert Counter(results) == {"wrong": 5, "spent": 7}


def test_a_right_code_among_guesses_at_once(desk: Desk) -> None:
    """It is proven or was too late; there are never more than five tries."""
    proof = desk.start().proof
    code = desk.codes()[0]
    results = together(12, lambda n: desk.check(proof, code if n == 6 else "0").outcome.value)
    tried = [each for each in results if each in ("wrong", "proven")]
    assert len(tried) == 5
    assert desk.status(proof).outcome in (Outcome.PROVEN, Outcome.SPENT)
    with desk.database.read_tx() as session:
        assert session.exec(select(PhoneProof.tries)).one() == 5


def test_two_who_use_it_at_once(desk: Desk) -> None:
    proof = desk.proven()
    results = together(8, lambda _: outcome(lambda: desk.use(proof)))
    assert Counter(results) == {"done": 1, "phone_not_proven": 7}


def test_a_message_of_another_organisation(desk: Desk) -> None:
    """The same phone and subject at another shop is another proof."""
    with desk.database.write_tx() as session:
        other = make_shop(session, desk.now, "other")
    ours = desk.start()
    theirs = desk.start(organisation_id=other.organisation.id, programme_id=other.programme.id)
    assert ours.proof != theirs.proof
    assert len(desk.sms()) == 2


def test_till_wording(desk: Desk) -> None:
    """Who dictates a code agrees to what the SMS says."""
    desk.start(purpose=ProofPurpose.TILL, values={"consent": "Согласие: example.test/c."})
    code = desk.codes()[0]
    assert desk.sms() == [
        f"Код {code} — Лавка shop. Согласие: example.test/c. Назовите код кассиру, если согласны."
    ]


@pytest.mark.parametrize(
    ("purpose", "language", "says"),
    [
        (ProofPurpose.LOG_IN, "ru", ["вход", "Никому не говорите"]),
        (ProofPurpose.LOG_IN, "en", ["log-in", "Tell nobody"]),
        (ProofPurpose.CHANGE_PHONE, "ru", ["смена телефона", "Никому не говорите"]),
        (ProofPurpose.CHANGE_PHONE, "en", ["new phone", "Tell nobody"]),
        (ProofPurpose.SPEND, "ru", ["списание", "Назовите кассиру"]),
        (ProofPurpose.SPEND, "en", ["spending", "Tell the cashier"]),
        (ProofPurpose.CLAIM, "ru", ["привязка карты"]),
        (ProofPurpose.CLAIM, "en", ["linking a card"]),
        (ProofPurpose.JOIN, "ru", ["регистрация"]),
        (ProofPurpose.JOIN, "en", ["sign-up"]),
    ],
)
def test_the_message_says_what_the_code_is_for(
    desk: Desk, purpose: ProofPurpose, language: str, says: list[str]
) -> None:
    """So that a cashier cannot ask for a code that logs in; in one SMS, the line that fills it in
    only where it fits."""
    desk.start(purpose=purpose, language=language)
    (told,) = desk.sms()
    assert [each for each in says if each not in told] == []
    with desk.database.read_tx() as session:
        assert session.exec(select(Message.segments)).one() == 1
    fits = ProofPurpose.JOIN, ProofPurpose.CLAIM
    assert ("\n@cards.example.test #" in told) is (purpose in fits)


def test_the_message_ends_with_the_code(desk: Desk) -> None:
    started = desk.start()
    with desk.database.read_tx() as session:
        assert session.exec(select(Message.expires_at)).one() == started.expires_at
    assert started.expires_at - desk.now == timedelta(minutes=10)


def test_abuse_is_counted_by_phone(desk: Desk) -> None:
    """See test_abuse.py for the rest."""
    for number in range(5):
        desk.start(subject=f"form:{number}")
    with pytest.raises(TooManyTries) as caught:
        desk.start(subject="form:6")
    assert 0 < caught.value.data["retry_after"] <= 3600
