"""Every adapter against the emulator of its provider: what is sent arrives, what fails is told by
what helps, and news are understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from walletsvc.emulators.google.http import Request, Response
from walletsvc.emulators.mail import ACCOUNT, MailEmulator
from walletsvc.emulators.sms import ACCOUNTS, SmsEmulator
from walletsvc.messaging.gateways import OWN, check_config, known
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.protocol import (
    BASES,
    Adapter,
    CallGateway,
    EmailGateway,
    Fate,
    Fault,
    Gateway,
    GatewayError,
    Outgoing,
    Sent,
    SmsGateway,
)

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
PHONE = "+79000001234"
SMS = ["smsaero", "smsc", "smsru"]
CALLS = ["smsc-call", "smsru-call"]
OUT = Outgoing(message_id="0123456789abcdefghjk", to=PHONE, text="Код 123456", at=NOW)


@pytest.fixture
def emulator() -> Iterator[SmsEmulator]:
    with SmsEmulator() as running:
        yield running


def config(kind: str, url: str) -> dict[str, Any]:
    """What the operator enters for an account at the emulator."""
    return {**ACCOUNTS[kind.removesuffix("-call")], "url": url}


def adapter(kind: str, url: str, **more: Any) -> Any:
    """The adapter for an account at the emulator."""
    chosen = known()[kind]
    values = json.loads(check_config(kind, {**config(kind, url), **more}))
    return chosen(chosen.Config.model_validate(values))


def fault_of(act: Callable[[], Any]) -> Fault:
    """Why it was not done."""
    with pytest.raises(GatewayError) as caught:
        act()
    assert PHONE[1:] not in caught.value.detail
    return caught.value.fault


@pytest.mark.parametrize("own", OWN)
def test_an_adapter_tells_what_it_is(own: type[Adapter]) -> None:
    assert issubclass(own, Gateway)
    assert own.kind
    assert own.label
    assert issubclass(own, BASES)
    assert own.channel in Channel
    for name, field in own.Config.model_fields.items():
        assert field.description, f"{own.kind}.{name} is not explained"
        secret = any(word in name for word in ("key", "password", "api_id"))
        assert secret == (field.annotation is SecretStr), f"{own.kind}.{name}"


@pytest.mark.parametrize("kind", SMS)
def test_what_is_sent_arrives(emulator: SmsEmulator, kind: str) -> None:
    sent = adapter(kind, emulator.base_url).send(OUT)
    (entry,) = emulator.log()
    assert (entry["to"], entry["text"], entry["gateway"]) == (PHONE, "Код 123456", kind)
    assert sent.external_id
    assert sent.price == 350
    assert adapter(kind, emulator.base_url).ask(sent.external_id, PHONE).fate is Fate.DELIVERED


@pytest.mark.parametrize("kind", [*SMS, *CALLS])
def test_a_ping_tells_the_balance(emulator: SmsEmulator, kind: str) -> None:
    assert "1000" in adapter(kind, emulator.base_url).ping()


WRONG: dict[str, dict[str, str]] = {
    "smsaero": {"api_key": "another-key-that-is-wrong"},
    "smsc": {"password": "wrong"},
    "smsru": {"api_id": "wrong-wrong"},
}


@pytest.mark.parametrize("kind", [*SMS, *CALLS])
def test_a_wrong_key_stops_the_gateway(emulator: SmsEmulator, kind: str) -> None:
    wrong = adapter(kind, emulator.base_url, **WRONG[kind.removesuffix("-call")])
    assert fault_of(wrong.ping) is Fault.CONFIGURATION
    if kind in SMS:
        assert fault_of(lambda: wrong.send(OUT)) is Fault.CONFIGURATION
    else:
        assert fault_of(lambda: wrong.begin(PHONE, NOW)) is Fault.CONFIGURATION


@pytest.mark.parametrize("kind", SMS)
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("429", Fault.LATER),
        ("503", Fault.LATER),
        ("500", Fault.UNKNOWN),
        ("cut", Fault.UNKNOWN),
        ("cut_after", Fault.UNKNOWN),
        ("garbage", Fault.UNKNOWN),
        ("wrong_key", Fault.CONFIGURATION),
        ("no_money", Fault.CONFIGURATION),
        ("refused", Fault.REFUSED),
    ],
)
def test_a_failure_is_told_by_what_helps(
    emulator: SmsEmulator, kind: str, name: str, fault: Fault
) -> None:
    emulator.arm(name)
    own = adapter(kind, emulator.base_url)
    assert fault_of(lambda: own.send(OUT)) is fault
    if name != "cut_after":
        own.send(OUT)  # and it goes on afterwards


@pytest.mark.parametrize("kind", SMS)
def test_who_is_not_there_is_tried_again(kind: str) -> None:
    with SmsEmulator() as gone:
        url = gone.base_url
    assert fault_of(lambda: adapter(kind, url).send(OUT)) is Fault.LATER


@pytest.mark.parametrize("kind", SMS)
@pytest.mark.parametrize("bad", [replace(OUT, to="+7900"), replace(OUT, text="  ")])
def test_what_never_can_be_sent_is_refused(emulator: SmsEmulator, kind: str, bad: Outgoing) -> None:
    own = adapter(kind, emulator.base_url)
    assert fault_of(lambda: own.send(bad)) is Fault.REFUSED
    assert emulator.log() == []


@pytest.mark.parametrize(("kind", "name"), [("smsc", "sender"), ("smsru", "sender")])
def test_a_senders_name_that_is_not_agreed(emulator: SmsEmulator, kind: str, name: str) -> None:
    own = adapter(kind, emulator.base_url, **{name: "UNKNOWN"})
    with pytest.raises(GatewayError):
        own.send(OUT)


@pytest.mark.parametrize("kind", ["smsc", "smsru"])
def test_a_message_given_again_is_sent_once(emulator: SmsEmulator, kind: str) -> None:
    own = adapter(kind, emulator.base_url)
    emulator.arm("cut_after")
    assert fault_of(lambda: own.send(OUT)) is Fault.UNKNOWN
    again = replace(OUT, again=True)
    if kind == "smsc":
        assert isinstance(own.send(again), Sent)
    else:
        assert fault_of(lambda: own.send(again)) is Fault.REPEATED
    assert len(emulator.log()) == 1


@pytest.mark.parametrize("kind", ["smsc", "smsru"])
def test_a_message_that_did_not_arrive_is_sent_again(emulator: SmsEmulator, kind: str) -> None:
    own = adapter(kind, emulator.base_url)
    emulator.arm("cut")
    assert fault_of(lambda: own.send(OUT)) is Fault.UNKNOWN
    own.send(replace(OUT, again=True))
    assert len(emulator.log()) == 1


@pytest.mark.parametrize("kind", SMS)
def test_an_undelivered_message_is_told(emulator: SmsEmulator, kind: str) -> None:
    emulator.arm("undelivered")
    own = adapter(kind, emulator.base_url)
    assert own.ask(own.send(OUT).external_id, PHONE).fate is Fate.FAILED
    emulator.arm("silent")
    other = own.send(replace(OUT, message_id="another", text="Другое"))
    assert own.ask(other.external_id, PHONE).fate is Fate.UNDER_WAY


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_is_awaited(emulator: SmsEmulator, kind: str) -> None:
    waiting = adapter(kind, emulator.base_url).begin(PHONE, NOW)
    assert waiting.call_to.startswith("+7")
    assert bool(waiting.external_id) is (kind != "smsc-call")  # a phone is nobody's own id
    assert waiting.expires_at > NOW
    bad = adapter(kind, emulator.base_url)
    assert fault_of(lambda: bad.begin("+1", NOW)) is Fault.REFUSED


def test_no_address_names_a_key(emulator: SmsEmulator) -> None:
    """Addresses end in the logs of proxies."""
    seen: list[str] = []
    handle = emulator._server._handler

    def watched(request: Request) -> Response | None:
        seen.append(f"{request.path} {dict(request.query)}")
        return handle(request)

    emulator._server._handler = watched
    for kind in SMS:
        adapter(kind, emulator.base_url).send(OUT)
    assert seen == ["/v2/sms/send {}", "/sys/send.php {}", "/sms/send {}"]


class TestMail:
    """SMTP."""

    @pytest.fixture
    def log(self) -> list[dict[str, Any]]:
        return []

    @pytest.fixture
    def port(self, log: list[dict[str, Any]]) -> Iterator[int]:
        with MailEmulator(lambda channel, **what: log.append({"channel": channel, **what})) as mail:
            yield mail.port

    def smtp(self, port: int, **more: Any) -> EmailGateway:
        values = {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sender": "Лавка <cards@example.com>",
            **ACCOUNT,
            **more,
        }
        own = known()["smtp"]
        made = own(own.Config.model_validate(json.loads(check_config("smtp", values))))
        assert isinstance(made, EmailGateway)
        return made

    LETTER = Outgoing("abc", "anna@example.org", "Ваша карта\nготова", NOW, subject="Карта")

    def test_a_letter_arrives(self, port: int, log: list[dict[str, Any]]) -> None:
        sent = self.smtp(port).send(self.LETTER)
        (entry,) = log
        assert (entry["to"], entry["subject"]) == ("anna@example.org", "Карта")
        assert entry["text"].split() == ["Ваша", "карта", "готова"]
        assert entry["message_id"] == sent.external_id == "<abc@example.com>"

    def test_a_subject_with_a_line_break_adds_no_header(
        self, port: int, log: list[dict[str, Any]]
    ) -> None:
        self.smtp(port).send(replace(self.LETTER, subject="Карта\r\nBcc: all@example.com"))
        assert [entry["to"] for entry in log] == ["anna@example.org"]

    @pytest.mark.parametrize(
        ("more", "to", "fault"),
        [
            ({"password": "wrong"}, "anna@example.org", Fault.CONFIGURATION),
            ({"sender": "x@elsewhere.org"}, "anna@example.org", Fault.CONFIGURATION),
            ({"security": "starttls"}, "anna@example.org", Fault.CONFIGURATION),
            ({"user": ""}, "anna@example.org", Fault.CONFIGURATION),
            ({}, "anna@invalid", Fault.REFUSED),
            ({}, "later@example.org", Fault.LATER),
        ],
    )
    def test_a_failure_is_told_by_what_helps(
        self, port: int, more: dict[str, Any], to: str, fault: Fault
    ) -> None:
        own = self.smtp(port, **more)
        assert fault_of(lambda: own.send(replace(self.LETTER, to=to))) is fault

    def test_a_greylist_lets_the_second_try_in(self, port: int, log: list[dict[str, Any]]) -> None:
        own, letter = self.smtp(port), replace(self.LETTER, to="later@example.org")
        assert fault_of(lambda: own.send(letter)) is Fault.LATER
        own.send(letter)
        assert len(log) == 1

    def test_a_ping_logs_in(self, port: int) -> None:
        assert "lets us in" in self.smtp(port).ping()
        wrong = self.smtp(port, password="wrong")
        assert fault_of(wrong.ping) is Fault.CONFIGURATION

    def test_no_server(self) -> None:
        with MailEmulator(lambda *_, **__: None) as mail:
            port = mail.port
        assert fault_of(lambda: self.smtp(port).send(self.LETTER)) is Fault.LATER


def test_kinds_of_gateway_are_of_their_classes(emulator: SmsEmulator) -> None:
    for kind in SMS:
        assert isinstance(adapter(kind, emulator.base_url), SmsGateway)
    for kind in CALLS:
        assert isinstance(adapter(kind, emulator.base_url), CallGateway)


def test_the_inbox_can_be_read_in_both_languages(emulator: SmsEmulator) -> None:
    adapter("smsc", emulator.base_url).send(replace(OUT, text="<b>Код</b> 123456"))
    for language, title in (("ru", "Сообщения"), ("en", "Messages")):
        page = requests.get(f"{emulator.base_url}/?lang={language}", timeout=5).text
        assert title in page
        assert "&lt;b&gt;Код&lt;/b&gt; 123456" in page
        assert PHONE in page


def test_what_was_sent_can_be_asked_for(emulator: SmsEmulator) -> None:
    adapter("smsru", emulator.base_url).send(OUT)
    (entry,) = requests.get(f"{emulator.base_url}/_/log", timeout=5).json()
    assert entry["to"] == PHONE
    assert entry["text"] == OUT.text
    answer = requests.post(f"{emulator.base_url}/_/faults", json={"fault": "no such"}, timeout=5)
    assert answer.status_code == 400
