"""From a change to the phones: what is published, who is told, and how often."""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog
from sqlalchemy import text
from werkzeug.http import http_date

from tests.apple.conftest import Service, pass_json
from tests.factories import TILL
from tests.storage.connections import until_one_waits
from walletsvc.app import report_certificates
from walletsvc.apple.dialect import AppleDialect
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.passes import stored
from walletsvc.passes.publish import Publisher


def test_two_changes_before_the_drain_are_one_push(service: Service) -> None:
    """The phone fetches the result of both."""
    service.client.get(service.pass_url(), headers=service.auth())
    service.register()
    service.drain()
    service.change(10)
    service.change(20)
    assert service.count("pushes") == 0
    service.drain()
    assert service.count("pushes") == 1


def group(service: Service) -> None:
    """Let the second member's card join the first's."""
    with service.database.write_tx() as session:
        cards = [session.get_one(Card, member[0].id) for member in service.members]
        groups.approve(session, cards[1], cards[0], reason="Семья", actor=TILL, now=service.clock())


def phones(service: Service) -> None:
    """A phone of its own for each member."""
    for index in (0, 1):
        service.client.get(service.pass_url(index), headers=service.auth(index))
        service.register(index, library=f"phone-{index}", token=f"{index:064x}")
    service.drain()


def shown(service: Service) -> list[object]:
    """What each member's pass says when its phone fetches it."""
    values = []
    for index in (0, 1):
        answer = service.client.get(service.pass_url(index), headers=service.auth(index))
        store = pass_json(answer.data)["storeCard"]
        assert isinstance(store, dict)
        values.append(store["headerFields"][0]["value"])
    return values


def pushed(service: Service) -> list[str]:
    """The phones that are about to be told; afterwards they have been."""
    with service.database.write_tx() as session:
        found = session.execute(
            text("SELECT library_identifier FROM pushes p JOIN devices d ON d.id = p.device_id"
                 " ORDER BY 1")
        ).scalars().all()  # fmt: skip
        session.execute(text("DELETE FROM pushes"))
    return list(found)


def test_a_shared_balance_reaches_every_phone_of_the_group(service: Service) -> None:
    """Joining, a change by either card, leaving: each phone is told and shows the truth."""
    service.change(100, index=0)
    service.change(30, index=1)
    phones(service)
    assert shown(service) == [100, 30]
    pushed(service)
    group(service)
    service.drain()
    assert pushed(service) == ["phone-0", "phone-1"]
    assert shown(service) == [130, 130]
    service.change(-50, index=0)
    service.drain()
    assert pushed(service) == ["phone-0", "phone-1"]
    assert shown(service) == [80, 80]
    with service.database.write_tx() as session:
        card = session.get_one(Card, service.members[1][0].id)
        groups.leave(session, card, 10, actor=TILL, now=service.clock())
    service.drain()
    assert pushed(service) == ["phone-0", "phone-1"]
    assert shown(service) == [70, 10]


def test_a_card_without_points_that_joins_shows_the_shared_ones(service: Service) -> None:
    """No value moves, so only its own phone has news."""
    service.change(100, index=0)
    phones(service)
    pushed(service)
    group(service)
    service.drain()
    assert pushed(service) == ["phone-1"]
    assert shown(service) == [100, 100]


def test_a_change_that_leaves_the_content_equal_is_no_push(service: Service) -> None:
    """A phone that asked and found nothing new would complain, and rightly."""
    service.client.get(service.pass_url(), headers=service.auth())
    service.register()
    service.drain()
    before = service.pass_()
    service.change(10)
    service.change(-10)
    service.drain()
    assert service.count("pushes") == 0
    assert service.count("changes") == 0
    assert service.pass_().tag == before.tag


def test_two_passes_of_one_device_are_one_push(service: Service) -> None:
    """Apple keeps only the newest push per device and topic anyway."""
    for index in (0, 1):
        service.client.get(service.pass_url(index), headers=service.auth(index))
        service.register(index)
    service.drain()
    service.change(10, index=0)
    service.change(10, index=1)
    service.drain()
    assert service.count("pushes") == 1


def test_a_pass_nobody_holds_is_published_only_when_asked_for(service: Service) -> None:
    """Nothing is built for cards that no phone shows; a poller still gets the newest."""
    service.client.get(service.pass_url(), headers=service.auth())
    revision = service.pass_().revision
    service.change(10)
    service.drain()
    assert service.pass_().revision == revision
    answer = service.client.get(service.pass_url(), headers=service.auth())
    store = pass_json(answer.data)["storeCard"]
    assert isinstance(store, dict)
    assert store["headerFields"][0]["value"] == 10
    assert service.pass_().revision == revision + 1


def test_a_device_that_registers_an_old_copy_is_told_at_once(service: Service) -> None:
    """A pass from last month's mail: published since, so no change is left to tell it."""
    link = service.members[0][0].link_token
    service.client.get(f"/p/{link}.pkpass")
    service.register(library="first")
    service.drain()
    service.change(10)
    service.drain()
    pushes = service.count("pushes")
    assert service.register(library="late", token="ef" * 32) == 201
    assert service.count("pushes") == pushes + 1
    # Whatever tag the late device already has for this pass type, the pass is named.
    tag = f"{service.shop.pass_type.epoch}-{service.pass_().tag}"
    answer = service.client.get(service.list_url(tag, library="late"))
    assert answer.status_code == 200
    assert service.client.get(service.list_url(tag, library="first")).status_code == 204


def test_a_device_that_just_downloaded_is_not_told_again(service: Service) -> None:
    """Its copy is the present one."""
    link = service.members[0][0].link_token
    service.client.get(f"/p/{link}.pkpass")
    service.register(library="first")
    service.change(10)
    service.drain()
    pushes = service.count("pushes")
    service.client.get(f"/p/{link}.pkpass")
    assert service.register(library="second", token="ef" * 32) == 201
    service.drain()
    assert service.count("pushes") == pushes


def test_a_device_that_leaves_during_publishing_does_not_fail_the_batch(service: Service) -> None:
    """Its registration was seen, its row is gone a moment later: the others are still told."""
    for library in ("leaving", "staying"):
        service.client.get(service.pass_url(), headers=service.auth())
        service.register(library=library)
    service.drain()
    service.change(10)
    with service.database.engine.connect() as connection:
        connection.execute(text("DELETE FROM devices WHERE library_identifier = 'leaving'"))
        drainer = threading.Thread(target=service.drain)
        drainer.start()
        until_one_waits(service.database)
        connection.commit()
    drainer.join(timeout=10)
    with service.database.read_tx() as session:
        told = session.execute(
            text("SELECT library_identifier FROM pushes p JOIN devices d ON d.id = p.device_id")
        ).scalars()
        assert list(told) == ["staying"]
    assert service.count("changes") == 0


def test_an_old_download_says_nothing_about_who_registers_now(service: Service) -> None:
    """Previews and bots download without registering; their counts must not pile up."""
    link = service.members[0][0].link_token
    service.client.get(f"/p/{link}.pkpass")
    service.register(library="first")
    service.change(10)
    service.drain()
    service.client.get(f"/p/{link}.pkpass")
    service.ticks.append(timedelta(hours=1))
    pushes = service.count("pushes")
    assert service.register(library="late", token="ef" * 32) == 201
    assert service.count("pushes") == pushes + 1


def test_a_new_public_address_is_a_new_pass(service: Service) -> None:
    """It stands in every package, so no copy with the old one may be called current."""
    first = service.client.get(service.pass_url(), headers=service.auth())
    moved = Publisher([AppleDialect("https://cards.new.example")])
    found = stored.by_id(service.database, service.members[0][1].id)
    assert found is not None
    current = moved.current(service.database, found, service.clock())
    assert current.revision == 2
    assert current.last_modified is not None
    assert http_date(current.last_modified) != first.headers["Last-Modified"]


def test_start_up_says_in_words_what_does_not_belong_together(service: Service) -> None:
    """The operator reads it before the first phone does not update; tills go on."""

    def said() -> list[str]:
        with structlog.testing.capture_logs() as lines:
            report_certificates(service.installation)
        return [line["problem"] for line in lines if line["pass_type"] == service.pass_type]

    assert said() == []
    with service.database.write_tx() as session:
        session.execute(text("UPDATE pass_types SET team_identifier = 'OTHERTEAM1'"))
    (problem,) = said()
    assert "OTHERTEAM1" in problem
