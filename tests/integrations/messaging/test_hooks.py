"""What gateways tell reaches us over HTTP, is stored once, and is acted upon once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
import structlog
from flask import Flask
from sqlmodel import Session, col, select
from werkzeug.serving import make_server

from tests.messaging.conftest import PHONE, Post, post
from walletsvc.integrations.messaging import blueprint
from walletsvc.jobs import events
from walletsvc.messaging import calls, hooks
from walletsvc.messaging.models import MessageState
from walletsvc.messaging.sending.sender import MessageSender
from walletsvc.settings import load
from walletsvc.storage.engine import Database
from walletsvc.storage.inbox import InboxEntry
from walletsvc.web import problems
from walletsvc.web import requests as web_requests
from walletsvc.web.context import Deps
from walletsvc.web.logs import redact_path

__all__ = ["post"]


class Hears:
    """Remembers which events were emitted."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.fail = False

    def __call__(self, session: Session, event: Any) -> None:
        if self.fail:
            raise RuntimeError
        self.events.append(event)


@pytest.fixture
def heard() -> Hears:
    return Hears()


@pytest.fixture
def database(database_url: str, heard: Hears) -> Iterator[Database]:
    handlers = {events.MessageReceived: (heard,), events.CallReceived: (heard,)}
    database = Database(database_url, carried=events.carried(handlers))
    yield database
    database.close()


@pytest.fixture
def url(post: Post) -> Iterator[str]:
    """Our webhooks, served on loopback."""
    app = Flask("walletsvc")
    web_requests.install(app)
    problems.install(app)
    app.register_blueprint(blueprint.create(Deps(load(), post.database, lambda: post.now)))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def address(post: Post, url: str, gateway_id: int, what: str) -> str:
    """A webhook's address, as the operator enters it into the account's settings."""
    gateway = post.stands(gateway_id)
    return f"{url}/hooks/messages/{gateway.public_id}/{gateway.hook_secret}/{what}"


def stored(post: Post) -> list[InboxEntry]:
    with post.database.read_tx() as session:
        return list(session.exec(select(InboxEntry).order_by(col(InboxEntry.id))))


def wait_for(post: Post, count: int) -> list[InboxEntry]:
    """Until the emulator's thread has told it."""
    for _ in range(200):
        if len(stored(post)) >= count:
            break
        threading.Event().wait(0.02)
    return stored(post)


@pytest.mark.parametrize("kind", ["smsaero", "smsc", "smsru"])
@pytest.mark.parametrize("fault", ["", "undelivered"])
def test_news_of_a_delivery(post: Post, url: str, kind: str, fault: str) -> None:
    gateway = post.gateway(kind)
    if kind != "smsaero":  # that one is told with each message
        post.sms.listen(kind, status=address(post, url, gateway, "status"))
    if fault:
        post.sms.arm(fault)
    id_ = post.write()
    MessageSender(post.database, lambda: post.now, url).drain()
    (entry,) = wait_for(post, 1)
    assert "123456" not in str(entry.body)
    assert PHONE[1:] not in str(entry.body)
    assert hooks.work_through(post.database, post.now) == 1
    wanted = MessageState.FAILED if fault else MessageState.DELIVERED
    assert post.message(id_).state is wanted
    assert hooks.work_through(post.database, post.now) == 0


def test_news_that_come_before_the_message_was_noted(post: Post, url: str) -> None:
    """The webhook is quicker than our own note of the id."""
    gateway = post.gateway("smsc")
    id_ = post.write()
    news = {"id": "4711", "phone": PHONE[1:], "status": "1"}
    told = requests.post(address(post, url, gateway, "status"), data=news, timeout=5)
    assert (told.status_code, told.text) == (200, "OK")
    assert hooks.work_through(post.database, post.now) == 0  # not known yet
    with post.database.write_tx() as session:
        message = post.message(id_)
        message.state, message.external_id, message.gateway_id = MessageState.SENT, "4711", gateway
        message.sent_at = post.now
        session.merge(message)
    assert hooks.work_through(post.database, post.now) == 1
    assert post.message(id_).state is MessageState.DELIVERED


def test_news_of_nothing_are_given_up(post: Post, url: str) -> None:
    gateway = post.gateway("smsc")
    news = {"id": "4711", "phone": PHONE[1:], "status": "1"}
    requests.post(address(post, url, gateway, "status"), data=news, timeout=5)
    post.later(minutes=11)
    assert hooks.work_through(post.database, post.now) == 1
    assert stored(post)[0].remark == "unknown message"


def test_told_twice_is_stored_once(post: Post, url: str) -> None:
    gateway = post.gateway("smsc")
    where = address(post, url, gateway, "inbound")
    for _ in range(3):
        told = {"id": "77", "phone": PHONE[1:], "mes": "БАЛАНС"}
        assert requests.post(where, data=told, timeout=5).status_code == 200
    assert len(stored(post)) == 1


@pytest.mark.parametrize("kind", ["smsaero", "smsc"])
def test_a_message_to_the_shop(post: Post, url: str, heard: Hears, kind: str) -> None:
    gateway = post.gateway(kind, organisation_id=post.shop.organisation.id)
    post.sms.listen(kind, inbound=address(post, url, gateway, "inbound"))
    assert post.sms.write(PHONE, "Баланс") == 200
    hooks.work_through(post.database, post.now)
    (event,) = heard.events
    assert event == events.MessageReceived(
        post.now, post.shop.organisation.id, PHONE, "Баланс", gateway
    )
    hooks.work_through(post.database, post.now)
    assert len(heard.events) == 1
    assert PHONE[1:] not in str(stored(post)[0].body)  # forgotten once it was acted upon


@pytest.mark.parametrize("kind", ["smsc-call", "smsru-call"])
def test_a_call_from_the_phone(post: Post, url: str, heard: Hears, kind: str) -> None:
    gateway = post.gateway(kind)
    post.sms.listen(kind.removesuffix("-call"), call=address(post, url, gateway, "call"))
    waiting = calls.begin(
        post.database, organisation_id=post.shop.organisation.id, phone=PHONE, now=post.now
    )
    assert waiting is not None
    assert post.sms.call("+79990000000", waiting.call_to) == 0  # another phone proves nothing
    assert post.sms.call(PHONE, waiting.call_to) == 200
    hooks.work_through(post.database, post.now)
    (event,) = heard.events
    assert event.external_id == waiting.external_id
    assert event.phone in ("", PHONE)


def rung(post: Post, url: str, gateway: int) -> None:
    """SMSC tells that the phone rang, now."""
    where = address(post, url, gateway, "call")
    assert requests.post(where, data={"phone": PHONE[1:]}, timeout=5).status_code == 200


def test_what_came_counts_from_when_it_came(post: Post, url: str, heard: Hears) -> None:
    """However late the job is: a call proves what was waited for then, and nothing newer."""
    came = post.now
    rung(post, url, post.gateway("smsc-call"))
    where = address(post, url, post.gateway("smsc"), "inbound")
    requests.post(where, data={"id": "7", "phone": PHONE[1:], "mes": "СТОП"}, timeout=5)
    post.later(minutes=4)
    hooks.work_through(post.database, post.now)
    assert [each.at for each in heard.events] == [came, came]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_call_told_again_is_the_same_call(
    post: Post, url: str, heard: Hears, at_once: bool
) -> None:
    """SMSC gives it no id; told again it must not prove what a stranger began meanwhile."""
    gateway = post.gateway("smsc-call")
    for _ in range(4):  # each by the last one's side, longer than once
        rung(post, url, gateway)
        if at_once:
            hooks.work_through(post.database, post.now)
        post.later(minutes=9)
    hooks.work_through(post.database, post.now)
    assert len(heard.events) == 1
    post.later(minutes=1)
    rung(post, url, gateway)
    hooks.work_through(post.database, post.now)
    assert [each.at for each in heard.events[1:]] == [post.now]
    assert PHONE[1:] not in str([each.model_dump() for each in stored(post)])


def test_news_of_a_delivery_are_no_call(post: Post, url: str, heard: Hears) -> None:
    """SMSC may send all it has to tell to one address; each names the phone."""
    gateway = post.gateway("smsc-call")
    where = address(post, url, gateway, "call")
    for told in (
        {"id": "1", "phone": PHONE[1:], "status": "1"},
        {"id": "2", "phone": PHONE[1:], "mes": "hello"},
        {"phone": "not a phone"},
        {},
    ):
        assert requests.post(where, data=told, timeout=5).status_code == 200
    hooks.work_through(post.database, post.now)
    assert heard.events == []


def test_sms_ru_tells_of_many_at_once(post: Post, url: str) -> None:
    """Numbered from 0; it signs them in that order, in which 10 comes after 9."""
    gateway = post.gateway("smsru")
    ids = [post.write(code=f"1234{number:02}") for number in range(12)]
    post.sender.drain()
    assert post.sms.report(address(post, url, gateway, "status")) == 200
    assert hooks.work_through(post.database, post.now) == 12
    assert {post.message(each).state for each in ids} == {MessageState.DELIVERED}


def test_a_forged_word_of_sms_ru_is_not_believed(post: Post, url: str, heard: Hears) -> None:
    gateway = post.gateway("smsru-call")
    told = {"data[]": "callcheck_status\n2026-1\n401\n1", "hash": "0" * 64}
    answer = requests.post(address(post, url, gateway, "call"), data=told, timeout=5)
    assert answer.status_code == 401
    assert stored(post) == []


@pytest.mark.parametrize("change", ["secret", "gateway", "what"])
def test_a_wrong_address_is_no_address(post: Post, url: str, change: str) -> None:
    gateway = post.gateway("smsc")
    parts = address(post, url, gateway, "status").split("/")
    parts[{"gateway": -3, "secret": -2, "what": -1}[change]] = "wrong"
    answer = requests.post("/".join(parts), data={"id": "1", "status": "1"}, timeout=5)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is nothing at this address."
    assert stored(post) == []


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"{", b"id=1&status=%00", b"phone=%00&mes=%00", b"a" * 100_000]
)
@pytest.mark.parametrize("kind", ["smsaero", "smsc", "smsru"])
@pytest.mark.parametrize("content", ["application/json", "application/x-www-form-urlencoded"])
def test_nonsense_is_thanked_for(
    post: Post, url: str, body: bytes, kind: str, content: str
) -> None:
    gateway = post.gateway(kind)
    for what in hooks.WHATS:
        answer = requests.post(
            address(post, url, gateway, what),
            data=body,
            headers={"Content-Type": content},
            timeout=5,
        )
        assert answer.status_code == 200
    hooks.work_through(post.database, post.now)


def test_a_handler_that_fails_keeps_no_others(post: Post, url: str, heard: Hears) -> None:
    gateway = post.gateway("smsc")
    id_ = post.write()
    where = address(post, url, gateway, "inbound")
    requests.post(where, data={"id": "1", "phone": PHONE[1:], "mes": "x"}, timeout=5)
    post.sms.listen("smsc", status=address(post, url, gateway, "status"))
    post.sender.drain()
    wait_for(post, 2)
    heard.fail = True
    hooks.work_through(post.database, post.now)
    assert post.message(id_).state is MessageState.DELIVERED
    heard.fail = False
    assert hooks.work_through(post.database, post.now) == 1  # it is tried again
    assert len(heard.events) == 1


def test_a_handler_that_always_fails_is_given_up(post: Post, url: str, heard: Hears) -> None:
    gateway = post.gateway("smsc")
    where = address(post, url, gateway, "inbound")
    requests.post(where, data={"id": "1", "phone": PHONE[1:], "mes": "x"}, timeout=5)
    heard.fail = True
    assert hooks.work_through(post.database, post.now) == 0
    assert hooks.work_through(post.database, post.now + timedelta(days=2)) == 1
    assert stored(post)[0].remark == "failed"


def test_a_closed_gateway_still_hears_of_what_it_sent(post: Post, url: str) -> None:
    gateway = post.gateway("smsc")
    where = address(post, url, gateway, "status")
    id_ = post.write()
    post.sender.drain()
    with post.database.write_tx() as session:
        row = post.stands(gateway)
        row.closed_at = post.now
        session.merge(row)
    news = {"id": post.message(id_).external_id, "phone": PHONE[1:], "status": "1"}
    requests.post(where, data=news, timeout=5)
    hooks.work_through(post.database, post.now)
    assert post.message(id_).state is MessageState.DELIVERED


def test_no_log_names_the_secret(post: Post, url: str) -> None:
    gateway = post.gateway("smsc")
    where = address(post, url, gateway, "status")
    secret = post.stands(gateway).hook_secret
    assert secret not in redact_path(where)
    with structlog.testing.capture_logs() as logs:
        requests.post(where, data={"id": "1", "phone": PHONE[1:], "status": "1"}, timeout=5)
    assert logs
    assert secret not in str(logs)
    assert PHONE[1:] not in str(logs)
