"""Google's copies are damaged in every way; the comparison finds and mends it without a sound."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.google.desk import Desk, Holder, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE, PUBLISHER
from tests.passes.shop import TILL
from walletsvc.core.actor import OPERATOR, SYSTEM
from walletsvc.core.clock import Clock
from walletsvc.google import breaker, tasks
from walletsvc.google.limiter import Limiter
from walletsvc.google.reconciling import asking, report
from walletsvc.google.reconciling.asking import Asker, Halted
from walletsvc.google.reconciling.report import Counts, Report
from walletsvc.google.reconciling.running import Reconciler
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of several pages, without hundreds of objects."""
    monkeypatch.setattr(asking, "PAGE", 3)


def reconciler(desk: Desk, *, rate: float = 100_000.0, **options: Any) -> Reconciler:
    """A comparison by the desk's clock."""
    clock: Clock = lambda: desk.now  # noqa: E731
    [(pass_type_id,)] = desk.rows("SELECT pass_type_id FROM google_issuers")
    stopped: Callable[[], bool] = options.pop("stopped", lambda: False)
    client = desk.sender().setup.client  # hung up with the desk
    asker = Asker(client, Limiter(desk.database, rate), pass_type_id, clock, stopped)
    return Reconciler(desk.database, asker, PUBLISHER, HOUSE, clock, **options)


def damage(desk: Desk, object_id: str, **fields: Any) -> None:
    """Write into Google's copy; None takes a field away."""
    with desk.google.store.lock:
        stored = desk.google.store.find(object_id)
        assert stored is not None
        body = {**stored.body, **fields}
        stored.body = {name: value for name, value in body.items() if value is not None}
        stored.rendered = None


def lose(desk: Desk, resource_id: str) -> None:
    """Google has not got it any more."""
    store = desk.google.store
    with store.lock:
        gone = store._resources.pop(resource_id)
        if not gone.kind.is_class:
            del store._members[gone.body["classId"]][resource_id]


def class_id(desk: Desk, kind: str = "loyalty") -> str:
    """The class of the cards, or of the gift cards."""
    [(found,)] = desk.rows("SELECT class_id FROM google_classes WHERE kind = :kind", kind=kind)
    return str(found)


def state(desk: Desk) -> list[list[tuple[Any, ...]]]:
    """Everything of Google's in our database, but the rate."""
    tables = ("objects", "classes", "messages", "buzzes", "reconciliations")
    own = [[tuple(row) for row in desk.rows(f"SELECT * FROM google_{name}")] for name in tables]
    return [*own, [tuple(row) for row in desk.rows("SELECT id, revision, tag FROM passes")]]


def mend(desk: Desk) -> Counts:
    """Compare, send what is due, and find nothing more the next time."""
    buzzes = len(desk.google.buzzes())
    found = reconciler(desk).run(SYSTEM).counts
    desk.settle(desk.sender())
    assert len(desk.google.buzzes()) == buzzes
    assert desk.rows("SELECT 1 FROM google_messages WHERE state <> 'sent'") == []
    return found


def differences(desk: Desk) -> Counts:
    """What another comparison finds, without mending it."""
    return reconciler(desk, dry_run=True).run(SYSTEM).counts


def spoil_everything(desk: Desk, held: list[Holder], gifts: list[Holder]) -> Holder:
    """Each kind of damage, to a card of its own; returns the one whose save nobody told of."""
    edited, lost, saved, removed, dropped, *_ = held
    damage(desk, edited.object_id, loyaltyPoints={"balance": {"int": 7}}, accountName="Nobody")
    damage(desk, gifts[0].object_id, balance={"micros": "1", "currencyCode": "RUB"})
    lose(desk, lost.object_id)
    lose(desk, dropped.object_id)
    desk.execute(
        "UPDATE google_objects SET has_users = false WHERE pass_id = ANY(:ids)",
        ids=[saved.pass_id, dropped.pass_id],
    )
    desk.google.remove(removed.object_id, callback=False)
    damage(desk, class_id(desk), hexBackgroundColor="#ffffff")
    return saved


def test_what_nobody_published_is_sent(desk: Desk) -> None:
    """A purchase while no process knew the issuer; a dry run publishes nothing."""
    [holder] = desk.cards(1)
    with desk.database.write_tx() as session:
        ledger.credit(
            session, holder.account_id, 50, source="test", actor=TILL, reason="t", now=desk.now
        )
    desk.execute("DELETE FROM changes")
    differences(desk)
    assert desk.row(holder).due_at is None
    reconciler(desk).run(SYSTEM)
    desk.settle(desk.sender())
    assert desk.shown(holder) == desk.balance(holder) == 150


def test_every_kind_of_damage_is_mended(desk: Desk) -> None:
    """Afterwards Google holds what it should, nobody heard of it, and the report says it all."""
    held, gifts = desk.cards(8), desk.gifts(2)
    saved = spoil_everything(desk, held, gifts)
    # While nobody was thought to hold it, its points went on, and nobody published that.
    with desk.database.write_tx() as session:
        ledger.credit(
            session, saved.account_id, 50, source="test", actor=TILL, reason="t", now=desk.now
        )
    found = mend(desk)
    assert (found.classes, found.objects, found.in_wallets) == (2, 8, 7)
    assert (found.edited, found.edited_classes, found.missing_classes) == (3, 1, 0)
    assert (found.lost, found.saved, found.removed, found.unknown) == (2, 1, 1, 0)
    for each in (*held[:4], *held[5:], *gifts):
        if each is not held[3]:  # removed: brought up to date when it is wanted again
            assert desk.shown(each) == desk.balance(each)
    assert desk.shown(saved) == 150
    assert desk.google.resource(held[0].object_id)["accountName"] != "Nobody"
    assert desk.google.resource(class_id(desk))["hexBackgroundColor"] != "#ffffff"
    assert desk.row(held[4]).inserted_at is None
    row = desk.row(held[3])
    assert (row.has_users, row.removed_at) == (False, desk.now)
    assert [(each.kind, each.detail["found"]) for each in desk.rows(
        "SELECT kind, detail FROM pass_events WHERE detail ? 'found' ORDER BY kind"
    )] == [("removed", "reconcile"), ("saved", "reconcile")]  # fmt: skip
    # A new object is in nobody's wallet, as Google says.
    desk.google.save(held[1].object_id, callback=False)
    assert differences(desk).repairs == 0
    with desk.database.read_tx() as session:
        (kept,) = report.newest(session, 5)
    assert (kept.actor, kept.error, kept.finished_at) == (str(SYSTEM), "", desk.now)
    assert report.counts_of(kept) == found
    said = {what: words for what, words in kept.differences}  # noqa: C416 - lists, not pairs
    assert said[held[0].object_id] == "Google has another loyaltyPoints, accountName"
    assert said[held[1].object_id] == "Google does not have it: inserted again"


def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    """It counts the same as the run that mends."""
    held, gifts = desk.cards(8), desk.gifts(2)
    spoil_everything(desk, held, gifts)
    before, theirs = state(desk), desk.google.store.dump()
    found = reconciler(desk, dry_run=True).run(OPERATOR)
    assert state(desk) == before
    assert desk.google.store.dump() == theirs
    assert found == reconciler(desk).run(OPERATOR)


def test_killed_half_way_and_run_again_it_ends_the_same(desk: Desk) -> None:
    """Wherever it was killed; its report says that it did not come to its end."""

    class Killed(BaseException):
        """As good as SIGKILL: nothing of ours catches it but to say so."""

    held, gifts = desk.cards(8), desk.gifts(2)
    spoil_everything(desk, held, gifts)
    for survives in range(1, 4):
        pages = 0

        def kill(_: Report, most: int = survives) -> None:
            nonlocal pages
            pages += 1
            if pages == most:
                raise Killed

        with pytest.raises(Killed):
            reconciler(desk, progress=kill).run(SYSTEM)
    with desk.database.read_tx() as session:
        assert [each.finished_at for each in report.newest(session, 9)] == [None] * 3
    mend(desk)
    desk.google.save(held[1].object_id, callback=False)
    assert differences(desk).repairs == 0
    assert all(desk.shown(each) == desk.balance(each) for each in (held[0], held[1], *gifts))


def test_a_lost_class_comes_back_with_its_objects(desk: Desk) -> None:
    """The class first: no object is taken without."""
    held = desk.cards(2)
    for each in held:
        lose(desk, each.object_id)
    lose(desk, class_id(desk))
    unused = class_id(desk, "giftCard")
    lose(desk, unused)
    found = mend(desk)
    assert (found.missing_classes, found.lost) == (2, 2)
    assert desk.google.resource(unused)["reviewStatus"] == "approved"
    assert [desk.shown(each) for each in held] == [100, 100]


def test_what_nobody_holds_may_be_old(desk: Desk) -> None:
    """Google's copy is brought up to date when somebody wants it."""
    [holder] = desk.cards(1)
    desk.google.remove(holder.object_id, callback=False)
    desk.execute("UPDATE google_objects SET has_users = false")
    damage(desk, holder.object_id, loyaltyPoints={"balance": {"int": 7}})
    assert mend(desk).repairs == 0


def test_what_is_on_its_way_is_left_alone(desk: Desk) -> None:
    """Whether Google has it yet nobody knows, and its notification is to be heard."""
    held = desk.cards(2)
    desk.change(held[:1], 20, Lane.BULK)
    found = reconciler(desk).run(SYSTEM).counts
    assert (found.busy, found.repairs) == (1, 0)
    desk.settle(desk.sender())
    assert len(desk.buzzes(held[0])) == 1


def test_a_change_while_google_is_asked_is_heard(desk: Desk) -> None:
    """The balance looks old, but a word of the change is on its way by then."""
    [holder] = desk.cards(1)
    damage(desk, holder.object_id, loyaltyPoints={"balance": {"int": 7}})
    work = reconciler(desk)
    ask = work.asker.look_at

    def meanwhile(named: Any) -> Any:
        found = ask(named)
        desk.change([holder], 20, Lane.BULK)
        return found

    work.asker.look_at = meanwhile  # type: ignore[method-assign]
    found = work.run(SYSTEM).counts
    assert (found.busy, found.repairs) == (1, 0)
    desk.settle(desk.sender())
    assert (desk.shown(holder), len(desk.buzzes(holder))) == (120, 1)


def test_a_save_while_google_is_asked_stays(desk: Desk) -> None:
    """What Google said before is older than the callback."""
    [holder] = desk.cards(1)
    desk.google.remove(holder.object_id, callback=False)
    work = reconciler(desk)
    ask = work.asker.look_at

    def meanwhile(named: Any) -> Any:
        found = ask(named)
        desk.google.save(holder.object_id, callback=False)
        desk.execute("UPDATE google_objects SET has_users = true, heard_until = :now")
        return found

    work.asker.look_at = meanwhile  # type: ignore[method-assign]
    work.run(SYSTEM)
    assert desk.row(holder).has_users


def test_messages_are_counted_anew(desk: Desk) -> None:
    """Google takes ten; what it holds besides ours counts too."""
    [holder] = desk.cards(1)
    said = {"header": "h", "body": "b"}
    damage(desk, holder.object_id, messages=[{"id": str(n), **said} for n in range(9)])
    assert mend(desk).repairs == 0
    assert desk.row(holder).messages == 9


def test_an_object_that_is_not_ours_is_told_of(desk: Desk) -> None:
    """It was made after the backup that was restored; nothing is done about it."""
    desk.cards(1)
    named = f"{HOUSE.issuer_id}.stranger"
    with desk.google.store.lock:
        store = desk.google.store
        kind = next(iter(store.members(class_id(desk)))).kind
        store.put(kind, {"id": named, "classId": class_id(desk), "state": "active"})
    found = reconciler(desk).run(SYSTEM)
    assert (found.counts.unknown, found.counts.repairs) == (1, 0)
    assert found.differences == [[named, "it is at Google, but not in our books"]]


def test_what_google_does_not_answer_is_asked_again(desk: Desk) -> None:
    """A few times; a batch only for those that were not answered."""
    [holder, other, _] = desk.cards(3)
    for each in (holder, other):
        damage(desk, each.object_id, loyaltyPoints={"balance": {"int": 7}})
    desk.google.arm("500", count=1)
    desk.google.arm("429", count=1, method="get", resource="loyaltyObject", part=True)
    assert mend(desk).edited == 2
    assert desk.shown(holder) == 100


def test_what_concerns_everything_ends_it(desk: Desk) -> None:
    """With its reason in the report; nothing is lost or deleted by it."""
    desk.cards(1)
    before = desk.objects()
    desk.google.arm("permissionDenied", count=1)
    with pytest.raises(Halted, match="invite it"):
        reconciler(desk).run(SYSTEM)
    assert desk.objects() == before
    with desk.database.write_tx() as session:
        (kept,) = report.newest(session, 1)
        assert "invite it" in kept.error
        breaker.pause(session, None, actor=OPERATOR, now=desk.now)
    with pytest.raises(Halted, match="given nothing"):
        reconciler(desk).run(SYSTEM)
    with pytest.raises(Halted):
        reconciler(desk, stopped=lambda: True).run(SYSTEM)


def test_it_takes_its_turn_in_the_bulk_lane(desk: Desk) -> None:
    """While something urgent is due it gets none."""
    held = desk.cards(1)
    desk.change(held, 5)
    work = reconciler(desk)
    work.asker.patience = 0.05
    with pytest.raises(Halted, match="leaves no room"):
        work.run(SYSTEM)
    damage(desk, held[0].object_id, accountName="Nobody")
    desk.settle(desk.sender())
    [(free,)] = desk.rows("SELECT free_at FROM google_issuers")
    reconciler(desk, rate=10.0).run(SYSTEM)
    [(later,)] = desk.rows("SELECT free_at FROM google_issuers")
    assert later - free > timedelta(seconds=0.3)  # two classes, a list, the second look


def test_old_reports_and_notifications_go(desk: Desk) -> None:
    """When nobody asks for them any more; a message that waits stays."""
    held = desk.cards(1)
    desk.change(held, 5)
    desk.settle(desk.sender())
    reconciler(desk).run(SYSTEM)
    for state_ in ("sent", "due"):
        desk.execute(
            "INSERT INTO google_messages (pass_id, message_id, body, wants_buzz, state, lane,"
            " due_at, attempts, error, created_at)"
            " VALUES (:id, :state, '{}', true, :state, 0, :now, 0, '', :now)",
            id=held[0].pass_id, state=state_,
        )  # fmt: skip
    names = ("buzzes", "reconciliations", "messages")
    count = f"SELECT {', '.join(f'(SELECT count(*) FROM google_{name})' for name in names)}"
    tasks.forget(desk.database, desk.now + timedelta(days=29))
    assert [tuple(row) for row in desk.rows(count)] == [(1, 1, 2)]
    tasks.forget(desk.database, desk.now + timedelta(days=91))
    assert [tuple(row) for row in desk.rows(count)] == [(0, 0, 1)]
