"""Two batches that are settled at the same time."""

from __future__ import annotations

import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.google.desk import LEASE, Desk, Holder, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from walletsvc.google import message_box, outbox
from walletsvc.google.client import Answer
from walletsvc.google.message_box import Post
from walletsvc.google.outbox import Claim
from walletsvc.google.sending import load as loads
from walletsvc.google.sending.load import Load
from walletsvc.jobs.changes import Lane


def posts(desk: Desk, issuer: int, gifts: list[Holder]) -> list[Post]:
    """A message of each gift card, claimed by itself."""
    desk.change(gifts, 100)
    desk.sender().couriers[0].carry()  # the objects; their messages are due now
    made = []
    for _ in gifts:
        with desk.database.write_tx() as session:
            made.append(
                message_box.claim(
                    session, issuer, Lane.INTERACTIVE, now=desk.now, lease=LEASE, limit=1
                )
            )
    assert [len(post.letters) for post in made] == [1] * len(gifts)
    return made


def claims(desk: Desk, issuer: int, gifts: list[Holder]) -> list[Claim]:
    """A change of each gift card, claimed by itself."""
    made = []
    for gift in gifts:
        desk.change([gift], 100)
        with desk.database.write_tx() as session:
            made.append(
                outbox.claim(
                    session, issuer, Lane.INTERACTIVE, HOUSE, now=desk.now, lease=LEASE, limit=5
                )
            )
    assert [len(claim.steps) for claim in made] == [1] * len(gifts)
    return made


@pytest.mark.parametrize("asked", [True, False])
def test_batches_with_each_others_messages_do_not_wait_for_each_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """One has the object of the first card and the message of the second, the other the reverse."""
    gifts = desk.gifts(2)
    [(issuer,)] = desk.rows("SELECT pass_type_id FROM google_issuers")
    letters = posts(desk, issuer, gifts)
    letters.sort(key=lambda post: post.letters[0].pass_id)
    gifts.sort(key=lambda gift: gift.pass_id)
    steps = claims(desk, issuer, gifts)
    batches = [Load(issuer, Lane.INTERACTIVE, steps[n], letters[1 - n]) for n in range(len(gifts))]
    # Both have got as far as their objects, if they can, before either goes on to its messages.
    both = threading.Barrier(2)
    name = "settle" if asked else "put_back"
    real = getattr(message_box, name)

    def together(*args: object, **named: object) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)
        return real(*args, **named)

    monkeypatch.setattr(message_box, name, together)

    def work(load: Load) -> None:
        with desk.database.write_tx() as session:
            if asked:
                loads.settle(session, load, [Answer(200)] * 2, random.Random(1), now=desk.now)
            else:
                loads.put_back(session, load, now=desk.now)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, batches))
    monkeypatch.undo()
    desk.settle(desk.sender())
    assert desk.waiting() == 0
