"""`walletsvc gateways` and `messages`: set up, tried, and looked at without seeing too much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.messaging.conftest import PHONE
from walletsvc.cli.doctor import messages as doctor
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import InputError, NotFound
from walletsvc.emulators.mail import ACCOUNT, MailEmulator
from walletsvc.emulators.sms import ACCOUNTS, SmsEmulator
from walletsvc.merchants.service import create_organisation
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.messaging.protocol import Fault, GatewayError
from walletsvc.messaging.sending.sender import MessageSender
from walletsvc.storage.engine import Database


@pytest.fixture
def sms() -> Iterator[SmsEmulator]:
    with SmsEmulator() as running:
        yield running


@pytest.fixture(autouse=True)
def _installation(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")


def run(*words: str, typed: str = "") -> str:
    """A command's output; its deliberate error is raised."""
    result = CliRunner().invoke(walletsvc, list(words), input=typed or None)
    if result.exception is not None:
        raise result.exception
    return result.output


def added(sms: SmsEmulator, tmp_path: Path, **more: str) -> str:
    """A gateway, added by command from a file; its public id."""
    file = tmp_path / "smsc.json"
    file.write_text(json.dumps({**ACCOUNTS["smsc"], "url": sms.base_url, **more}))
    output = run("gateways", "add", "smsc", "--config", str(file), "--label", "Наши SMS")
    found = re.search(r"\((\w{20})\)", output)
    assert found is not None
    assert f"/hooks/messages/{found[1]}/" in output
    return found[1]


def test_the_life_of_a_gateway(sms: SmsEmulator, tmp_path: Path) -> None:
    id_ = added(sms, tmp_path)
    listed = run("gateways", "list")
    assert re.search(rf"{id_} +sms +smsc +all +Наши SMS: in use", listed)
    assert "/hooks/" not in listed
    assert "/hooks/" in run("gateways", "list", "--hooks")
    assert "balance 1000" in run("gateways", "test", id_)
    assert "It has the message" in run("gateways", "test", id_, "--to", "8 900 000-12-34")
    assert sms.log()[0]["to"] == PHONE
    assert "not used any more" in run("gateways", "remove", id_)
    assert run("gateways", "list") == ""
    with pytest.raises(NotFound):
        run("gateways", "test", id_)


def test_keys_are_asked_for_and_never_shown(sms: SmsEmulator) -> None:
    key = ACCOUNTS["smsru"]["api_id"]
    output = run("gateways", "add", "smsru", "--set", f"url={sms.base_url}", typed=f"{key}\n")
    assert "sms.ru is added" in output
    for command in (("gateways", "list", "--hooks"), ("gateways", "kinds")):
        output += run(*command)
    assert key not in output


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("pigeon",), "kind"),
        (("smsaero", "--set", "api_key=12345678"), "email"),
        (("smsc", "--set", "url=nonsense"), "url"),
        (("smsc", "--set", "colour=red"), "colour"),
        (("smsc", "--set", "price_per_segment=-1"), "price_per_segment"),
        (("smsc", "--set", "nonsense"), "set"),
        (("smtp", "--set", "host=x", "--set", "sender=nobody"), "sender"),
    ],
)
def test_a_wrong_configuration_names_its_field(words: tuple[str, ...], field: str) -> None:
    with pytest.raises(InputError) as caught:
        run("gateways", "add", *words)
    assert field in {each.field for each in caught.value.fields}


def test_a_gateway_that_does_not_work_fails_the_test(sms: SmsEmulator, tmp_path: Path) -> None:
    id_ = added(sms, tmp_path, password="wrong")
    with pytest.raises(GatewayError) as caught:
        run("gateways", "test", id_)
    assert caught.value.fault is Fault.CONFIGURATION


def test_mail_can_be_tried(sms: SmsEmulator) -> None:
    with MailEmulator(sms.desk.note) as mail:
        values = {**ACCOUNT, "host": "127.0.0.1", "port": mail.port, "security": "none"}
        config = json.dumps({**values, "sender": "cards@example.com"})
        output = run("gateways", "add", "smtp", "--config", "-", typed=config)
        id_ = re.findall(r"\((\w{20})\)", output)[0]
        assert "lets us in" in run("gateways", "test", id_, "--to", "anna@example.org")
    assert sms.log()[0]["to"] == "anna@example.org"


def test_messages_are_shown_without_words_and_addresses(
    sms: SmsEmulator, database: Database, tmp_path: Path
) -> None:
    added(sms, tmp_path)
    now = datetime.now(UTC)
    with database.write_tx() as session:
        shop = create_organisation(session, slug="shop", name="Лавка", now=now)
        message = enqueue(
            session,
            organisation_id=shop.id,
            kind=MessageKind.CODE,
            to=Recipient(PHONE),
            values={"code": "123456"},
            language="ru",
            now=now,
            expires_at=now + timedelta(minutes=5),
        )
    assert message is not None
    sms.arm("503")
    MessageSender(database, lambda: now, "").drain()
    MessageSender(database, lambda: now + timedelta(minutes=1), "").drain()
    output = run("messages", "list") + run("messages", "show", message.public_id)
    assert "+7…34" in output
    assert "3.50 RUB" in output
    assert re.search(r"sms +smsc +later\n", output)
    assert re.search(r"sms +smsc +sent\n", output)
    assert PHONE[3:] not in output
    assert "123456" not in output
    assert run("messages", "list", "--state", "failed") == ""
    with pytest.raises(NotFound):
        run("messages", "show", "x")


def test_the_doctor_asks_every_gateway(
    sms: SmsEmulator, database: Database, tmp_path: Path
) -> None:
    from walletsvc.app import assemble
    from walletsvc.settings import load

    installation = assemble(load(), database)
    try:
        (finding,) = doctor.examine(installation)
        assert "no gateway" in finding.text
        assert not finding.problem
        added(sms, tmp_path)
        wrong = added(sms, tmp_path, password="wrong")
        good, bad = doctor.examine(installation)
        assert not good.problem
        assert "balance" in good.text
        assert bad.problem
        assert f"walletsvc gateways test {wrong}" in bad.text
    finally:
        installation.events.close()
