"""A certificate at many tills at once: never more is taken than was there, every till is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.api.conftest import make_app
from tests.certificates.shop import Gifts, open_gifts
from tests.concurrency.at_once import THREADS, outcome, together
from tests.factories import TILL
from tests.storage.connections import until_one_waits
from walletsvc.access.rules import SCOPES
from walletsvc.access.service import create_key
from walletsvc.certificates import service
from walletsvc.certificates.models import Certificate
from walletsvc.ledger.models import SystemCode
from walletsvc.storage.engine import Database


@pytest.fixture
def crowd(database_url: str, now: datetime) -> Iterator[Gifts]:
    """A shop whose database serves 64 tills at once."""
    database = Database(database_url, pool_size=THREADS)
    yield open_gifts(database, now)
    database.close()


def test_one_certificate_drained_from_64_tills(crowd: Gifts) -> None:
    """Own tills and a partner's: what they took is what was there, and the rest is told why."""
    gift = crowd.sold(1_000)
    owners = (crowd.issuer.id, crowd.partner.id)
    results = together(
        THREADS,
        lambda n: outcome(lambda: crowd.redeem(gift, 70, acceptor_id=owners[n % 2])),
    )
    assert Counter(results) == {"done": 14, "insufficient_funds": 50}
    assert crowd.balance(gift) == 20
    taken = sum(
        crowd.system(SystemCode.REDEMPTION, owner) for owner in (crowd.issuer, crowd.partner)
    )
    assert taken == 980
    assert crowd.clean()


PROCESS = """
import importlib, pkgutil, sys
from datetime import datetime
import walletsvc
from walletsvc.core.processes import keeping_all
with keeping_all():
    for module in pkgutil.walk_packages(walletsvc.__path__, "walletsvc."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
    from walletsvc.certificates import service
    from walletsvc.certificates.models import Certificate
    from walletsvc.core.actor import Actor
    from walletsvc.core.errors import WalletsvcError
    from walletsvc.storage import columns
    from walletsvc.storage.engine import Database
columns.unlock("test-secret-key-that-is-long-enough-0001")
url, certificate, owner, now = sys.stdin.readline().split()
database = Database(url, pool_size=2)
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    try:
        with database.write_tx() as session:
            found = session.get_one(Certificate, int(certificate))
            service.redeem(session, found, 13, acceptor_id=int(owner),
                           actor=Actor("till", "process"), reason="",
                           now=datetime.fromisoformat(now))
        print("done", flush=True)
    except WalletsvcError as error:
        print(error.code, flush=True)
"""


def test_one_certificate_drained_from_several_processes(crowd: Gifts) -> None:
    """Nothing is kept in one process's memory that another would need to know."""
    gift = crowd.sold(1_000)
    root = Path(__file__).parents[2]
    tills = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        for till in tills:
            assert till.stdin is not None
            given = (crowd.database.conninfo, gift.id, crowd.issuer.id, crowd.now.isoformat())
            till.stdin.write(" ".join(map(str, given)) + "\n")
            till.stdin.flush()
        for till in tills:
            assert till.stdout is not None
            assert till.stdout.readline() == "ready\n"
        answers = [till.communicate("go\n", timeout=60)[0].split() for till in tills]
    finally:
        for till in tills:
            till.kill()
            till.wait()
    told = Counter(word for words in answers for word in words)
    assert told == {"done": 76, "insufficient_funds": 24}
    assert crowd.balance(gift) == 1_000 - 76 * 13
    assert crowd.clean()


@pytest.mark.parametrize("_round", range(3))
def test_refunds_against_redemptions(crowd: Gifts, _round: int) -> None:
    """What is given back can be taken again, and nothing is given back twice."""
    gift = crowd.sold(1_000)
    paid = crowd.redeem(gift, 1_000)
    results = together(
        THREADS,
        lambda n: outcome(
            (lambda: crowd.refund(gift, paid, amount=100))
            if n % 2
            else (lambda: crowd.redeem(gift, 100))
        ),
    )
    refunds, redemptions = Counter(results[1::2]), Counter(results[::2])
    assert refunds["done"] == 10
    assert set(refunds) == {"done", "already_reversed"}
    assert set(redemptions) <= {"done", "insufficient_funds"}
    assert crowd.balance(gift) == 1_000 - 100 * redemptions["done"]
    assert crowd.clean()


@pytest.mark.parametrize("_round", range(5))
def test_blocking_against_redemptions(crowd: Gifts, _round: int) -> None:
    """Named bug: checked before the lock. Nothing is taken after the block has been answered."""
    gift = crowd.sold(10_000)
    results = together(
        16,
        lambda n: outcome((lambda: crowd.redeem(gift, 100)) if n else (lambda: crowd.block(gift))),
    )
    taken = results[1:].count("done")
    assert results[0] == "done"
    assert set(results[1:]) <= {"done", "certificate_blocked"}
    assert crowd.balance(gift) == 10_000 - 100 * taken
    assert outcome(lambda: crowd.redeem(gift, 1)) == "certificate_blocked"


@pytest.mark.parametrize("verb", ["block", "pay_out", "transfer"])
def test_what_was_checked_before_the_lock_is_checked_again_after_it(
    crowd: Gifts, verb: str
) -> None:
    """A till that read a good certificate waits while it is stopped: it must not go on."""
    gift = crowd.sold(1_000)
    waiting = threading.Event()
    answers: list[str] = []

    def till() -> None:
        with crowd.database.write_tx() as session:
            seen = session.get_one(Certificate, gift.id)  # open, with money on it
            waiting.set()
            answers.append(
                outcome(
                    lambda: service.redeem(
                        session, seen, 500, acceptor_id=crowd.issuer.id, actor=TILL, reason="",
                        now=crowd.now,
                    )
                )
            )  # fmt: skip

    with crowd.database.write_tx() as session:
        common = {"actor": TILL, "reason": "x", "now": crowd.now}
        found = session.get_one(Certificate, gift.id)
        verbs: dict[str, Callable[..., object]] = {
            "block": service.block,
            "pay_out": service.pay_out,
            "transfer": service.hand_over,
        }
        verbs[verb](session, found, **common)
        thread = threading.Thread(target=till)
        thread.start()
        assert waiting.wait(10)
        until_one_waits(crowd.database)
    thread.join(30)
    assert answers == ["certificate_blocked" if verb == "block" else "refused"]
    assert crowd.clean()


@pytest.mark.parametrize("_round", range(3))
def test_paying_out_against_redemptions(crowd: Gifts, _round: int) -> None:
    """The bearer gets what the tills did not take, once; together it is what was there."""
    gift = crowd.sold(1_000)
    results = together(
        32,
        lambda n: outcome(
            (lambda: crowd.pay_out(gift)) if n < 4 else (lambda: crowd.redeem(gift, 100))
        ),
    )
    out, taken = Counter(results[:4]), Counter(results[4:])
    assert set(out) <= {"done", "refused"}
    assert out["done"] <= 1
    assert set(taken) <= {"done", "refused", "insufficient_funds"}
    paid_out = 1_000 + crowd.system(SystemCode.CASH_CLEARING)
    redeemed = crowd.system(SystemCode.REDEMPTION)
    assert redeemed == 100 * taken["done"]
    assert redeemed + paid_out + crowd.balance(gift) == 1_000
    assert crowd.clean()


def test_transfers_at_once_make_one_successor(crowd: Gifts) -> None:
    """While tills redeem: every kopeck is on the successor, or was taken."""
    gift = crowd.sold(1_000)
    results = together(
        24,
        lambda n: outcome(
            (lambda: crowd.transfer(gift)) if n < 8 else (lambda: crowd.redeem(gift, 50))
        ),
    )
    assert results[:8].count("done") == 1
    assert set(results) <= {"done", "refused"}
    taken = 50 * results[8:].count("done")
    with crowd.database.read_tx() as session:
        left = session.execute(
            text("SELECT sum(balance) FROM accounts WHERE kind = 'certificate'")
        ).scalar_one()
    assert left == 1_000 - taken
    assert crowd.clean()


def test_a_receipt_sent_64_times_redeems_once(crowd: Gifts, now: datetime, tmp_path: Path) -> None:
    """Named bug: double redeem. The same Idempotency-Key, all at the same moment."""
    gift = crowd.sold(1_000)
    with crowd.database.write_tx() as session:
        _, secret = create_key(
            session, organisation_id=crowd.issuer.id, name="till", scopes=SCOPES, now=now
        )
    app = make_app(crowd.database, lambda: now, tmp_path)

    def retry(_: int) -> tuple[int, bytes]:
        with app.test_client() as client:
            answer = client.post(
                f"/api/v1/certificates/{gift.public_id}/redemptions",
                json={"amount": 300, "reason": "receipt"},
                headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": "receipt-1"},
            )
            return answer.status_code, answer.data

    answers = together(THREADS, retry)
    assert len(set(answers)) == 1
    assert answers[0][0] == 200
    assert crowd.balance(gift) == 700
    assert crowd.clean()
