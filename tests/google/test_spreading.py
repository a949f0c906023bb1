"""Mass changes reach saved Google cards as they reach phones, and count them as such."""

from __future__ import annotations

from sqlmodel import col, select

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import PUBLISHER
from tests.google.test_reconcile import class_id
from tests.passes.shop import DIALECTS, TILL, member, plain, product_template
from walletsvc.apple.models import Device, Registration
from walletsvc.cards import bulk_credit
from walletsvc.jobs.bulk import BulkJob, BulkState
from walletsvc.jobs.bulk import service as bulk
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.drain import Drain
from walletsvc.passes import spreading
from walletsvc.passes.models import Pass
from walletsvc.passes.service import ensure_pass, find_by_link
from walletsvc.passes.templates import LoadedTemplate, publish


def with_apple(desk: Desk, count: int) -> list[int]:
    """Members with the card in an iPhone; the ids of their passes."""
    made = []
    with desk.database.write_tx() as session:
        for number in range(count):
            card = member(session, desk.shop, desk.now, points=10, phone=f"+7988000{number:04}")
            subject = find_by_link(session, card.link_token)
            assert subject is not None
            pass_ = ensure_pass(session, subject, DIALECTS[0], desk.now)
            device = Device(
                library_identifier=f"phone-{number}",
                push_token=f"{number:064x}",
                registered_at=desk.now,
                created_at=desk.now,
            )
            session.add(device)
            session.flush()
            session.add(
                Registration(
                    device_id=device.id,
                    pass_id=pass_.id,
                    pass_type_id=pass_.pass_type_id,
                    tag=0,
                    created_at=desk.now,
                )
            )
            made.append(pass_.id)
        PUBLISHER.publish(session, made, lane=Lane.BULK, now=desk.now)
    return made


def new_version(desk: Desk, background: str) -> int:
    """Publish the members' template in another colour and with another label; the version's id."""
    template = plain(product_template("loyalty"))
    described = template.description.model_dump()
    described["colours"]["background"] = background
    for texts in described["texts"].values():
        texts["points_label"] = "Bonus"
    changed = LoadedTemplate(type(template.description).model_validate(described), template.images)
    with desk.database.write_tx() as session:
        version = publish(
            session,
            programme_id=desk.shop.points.id,
            pass_type_id=desk.shop.points_type.id,
            template=changed,
            dialects=PUBLISHER.dialects,
            now=desk.now,
        )
        return version.id


def run_jobs(desk: Desk) -> BulkJob:
    """Do the bulk job, drain what it leaves in the change log; the job."""
    handlers = {**spreading.handlers(PUBLISHER), **bulk_credit.handlers()}
    runner = Runner(desk.database, handlers, clock=lambda: desk.now)
    while runner.run_once() == 0:
        pass
    drain = Drain(desk.database, lambda tx, batch: PUBLISHER.handle(tx, batch, desk.now))
    while drain.run_once():
        pass
    with desk.database.read_tx() as session:
        return bulk.newest(session)[0]


def test_a_template_reaches_both_wallets_and_google_says_nothing(desk: Desk) -> None:
    """Every card of either wallet counts in the progress; one that nobody holds is not sent."""
    phones, saved = with_apple(desk, 2), desk.cards(3)
    [unheld] = desk.cards(1)
    desk.execute(
        "UPDATE google_objects SET has_users = false WHERE pass_id = :id", id=unheld.pass_id
    )
    before = len(desk.google.log())
    version = new_version(desk, "#203040")
    job = run_jobs(desk)
    assert (job.state, job.done, job.total) == (BulkState.DONE, 6, 6)
    assert {row.lane for row in desk.objects() if row.due_at} == {Lane.BULK}
    desk.settle(desk.sender())
    with desk.database.read_tx() as session:
        held = select(Pass.version_id).where(
            col(Pass.id).in_([*phones, *(each.pass_id for each in saved)])
        )
        assert set(session.exec(held)) == {version}
    shown = [desk.google.resource(each.object_id)["loyaltyPoints"] for each in [*saved, unheld]]
    assert [each["label"] == "Bonus" for each in shown] == [True, True, True, False]
    assert desk.google.resource(class_id(desk))["hexBackgroundColor"] == "#203040"
    assert desk.google.buzzes() == []
    assert desk.rows("SELECT 1 FROM google_messages") == []
    patched = [each for each in desk.google.log()[before:] if each["method"] == "PATCH"]
    assert len([each for each in patched if "Object" in str(each)]) == 3
    [(pushes,)] = desk.rows("SELECT count(*) FROM pushes WHERE lane = 1")
    assert pushes >= 2


def test_a_broadcast_credits_and_tells_both(desk: Desk) -> None:
    """Each card is counted once, whatever wallets it is in; Google announces the points."""
    with_apple(desk, 2)
    saved = desk.cards(3)
    with desk.database.write_tx() as session:
        bulk_credit.begin(
            session,
            programme=desk.shop.points,
            amount=50,
            reason="birthday",
            actor=TILL,
            now=desk.now,
        )
    job = run_jobs(desk)
    assert (job.state, job.done, job.total) == (BulkState.DONE, 5, 5)
    desk.settle(desk.sender())
    assert [desk.shown(each) for each in saved] == [150] * 3
    assert [len(desk.buzzes(each)) for each in saved] == [1] * 3
