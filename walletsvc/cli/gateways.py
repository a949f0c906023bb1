"""`walletsvc gateways` and `walletsvc messages`: who carries messages, and what became of them."""

from __future__ import annotations

import json
from typing import Any, Final, TextIO

import click
from pydantic import SecretStr

from walletsvc.cli.context import open_runtime
from walletsvc.core.clock import rfc3339, utcnow
from walletsvc.core.errors import InputError, wrong
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import find_organisation
from walletsvc.messaging import hooks, service, wording
from walletsvc.messaging.gateways import adapter_of, known
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Gateway, Message, MessageState
from walletsvc.messaging.outbox import Recipient
from walletsvc.messaging.protocol import CallGateway, Outgoing
from walletsvc.people.rules import normalise_phone
from walletsvc.settings import Settings

_HOOKS: Final = {Channel.SMS: hooks.WHATS[:2], Channel.CALL: hooks.WHATS[2:]}


@click.group()
def gateways() -> None:
    """Accounts at SMS and mail providers, through which messages leave."""


@gateways.command("kinds")
def kinds() -> None:
    """List the kinds of gateway and what each has to be told."""
    for kind, adapter in sorted(known().items()):
        click.echo(f"{kind}: {adapter.label} ({adapter.channel})")
        for name, field in adapter.Config.model_fields.items():
            needed = "required" if field.is_required() else f"default {_shown(field.default)}"
            click.echo(f"  {name:<18} {field.description} ({needed})")


@gateways.command("add")
@click.argument("kind")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="See `gateways kinds`.")
@click.option(
    "--config",
    type=click.File(encoding="utf-8"),
    help="The same as a JSON file; `-` is standard input. Keys do not belong on command lines: "
    "what is secret and not in the file is asked for.",
)
@click.option("--label", default="", help="As you call it.")
@click.option("--organisation", help="Only for this one; without it, for all.")
@click.option("--position", default=0, show_default=True, help="The lowest is tried first.")
def add(
    kind: str,
    pairs: tuple[str, ...],
    config: TextIO | None,
    label: str,
    organisation: str | None,
    position: int,
) -> None:
    """Add a gateway of KIND and print the addresses of its webhooks."""
    values = _values(kind, pairs, config)
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        owner = find_organisation(session, organisation).id if organisation else None
        gateway = service.add_gateway(
            session,
            kind=kind,
            values=values,
            label=label,
            organisation_id=owner,
            position=position,
            now=utcnow(),
        )
    click.echo(f"{gateway.label} is added ({gateway.public_id}).")
    for line in _addresses(gateway, runtime.settings):
        click.echo(line)


def _values(kind: str, pairs: tuple[str, ...], config: TextIO | None) -> dict[str, Any]:
    try:
        values = json.load(config) if config else {}
    except ValueError:
        raise wrong("config", "must be a JSON object") from None
    if not isinstance(values, dict):
        raise wrong("config", "must be a JSON object")
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise wrong("set", "must be NAME=VALUE")
        values[name] = value
    adapter = known().get(kind)
    for name, field in adapter.Config.model_fields.items() if adapter else ():
        if field.is_required() and field.annotation is SecretStr and name not in values:
            values[name] = click.prompt(name, hide_input=True)
    return values


def _addresses(gateway: Gateway, settings: Settings) -> list[str]:
    base = f"{settings.base_url}/hooks/messages/{gateway.public_id}/{gateway.hook_secret}"
    told = [f"  {what:<8} {base}/{what}" for what in _HOOKS.get(gateway.channel, ())]
    head = ["Enter these addresses into the account's settings; whoever knows them is believed:"]
    return [*head, *told] if told else []


@gateways.command("list")
@click.option("--hooks", "with_hooks", is_flag=True, help="With the secret webhook addresses.")
def list_(with_hooks: bool) -> None:
    """List the gateways, in the order in which they are tried."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        for gateway in service.list_gateways(session):
            owner = "all"
            if gateway.organisation_id is not None:
                owner = session.get_one(Organisation, gateway.organisation_id).slug
            state = f"out of use: {gateway.stopped_reason}" if gateway.stopped_reason else "in use"
            click.echo(
                f"{gateway.public_id}  {gateway.channel:<6} {gateway.kind:<10} {owner:<12} "
                f"{gateway.label}: {state}"
            )
            for line in _addresses(gateway, runtime.settings) if with_hooks else ():
                click.echo(line)


@gateways.command("test")
@click.argument("gateway")
@click.option("--to", help="Send a test message to this phone or e-mail address.")
def test(gateway: str, to: str | None) -> None:
    """Ask the provider whether the account of GATEWAY works; exits non-zero when it does not."""
    with open_runtime() as runtime:
        with runtime.database.read_tx() as session:
            found = service.find_gateway(session, gateway)
        adapter = adapter_of(found)
        click.echo(f"{found.label}: {adapter.ping()}")
        if not to:
            return
        if isinstance(adapter, CallGateway):
            waiting = adapter.begin(normalise_phone(to), utcnow())
            click.echo(f"Call {waiting.call_to} from it before {rfc3339(waiting.expires_at)}.")
            return
        sms = found.channel is Channel.SMS
        who = Recipient(normalise_phone(to)) if sms else Recipient(email=to)
        words = wording.render(
            MessageKind.TEST,
            found.channel,
            runtime.settings.default_language,
            {"shop": found.label},
        )
        address = who.address(found.channel)
        if words is None or address is None:
            raise InputError("There is no test message for this channel.")
        outgoing = Outgoing(
            f"test{utcnow():%Y%m%d%H%M%S}", address, words.text, utcnow(), words.subject
        )
        click.echo(f"It has the message ({adapter.send(outgoing).external_id}).")


@gateways.command("remove")
@click.argument("gateway")
def remove(gateway: str) -> None:
    """Send nothing through GATEWAY any more. News of what it sent are still heard."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        closed = service.close_gateway(session, gateway, utcnow())
    click.echo(f"{closed.label} is not used any more.")


@click.group()
def messages() -> None:
    """What was sent to customers and staff, without what it said."""


@messages.command("list")
@click.option("--state", type=click.Choice([state.value for state in MessageState]))
@click.option("--count", type=click.IntRange(1, 1000), default=20, show_default=True)
def list_messages(state: str | None, count: int) -> None:
    """List the newest messages, newest first."""
    wanted = MessageState(state) if state else None
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        for message in service.list_messages(session, state=wanted, count=count):
            click.echo(_line(message))


@messages.command("show")
@click.argument("message")
def show(message: str) -> None:
    """Show what was tried with MESSAGE, and what each try came to."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = service.find_message(session, message)
    click.echo(_line(found))
    for name, moment in (
        ("written", found.created_at),
        ("sent", found.sent_at),
        ("next step", found.due_at),
        ("worthless after", found.expires_at),
        ("finished", found.final_at),
    ):
        if moment is not None:
            click.echo(f"  {name:<16} {rfc3339(moment)}")
    click.echo(f"  {'cost':<16} {_money(found.spent + found.price)} {found.currency}")
    for entry in found.history:
        channel = found.channels[entry["step"]]
        click.echo(f"  {entry['at']}  {channel:<6} {entry.get('kind', ''):<10} {entry['came']}")
    if found.error:
        click.echo(f"  {found.error}")


def _line(message: Message) -> str:
    channel = message.channels[message.step]
    return (
        f"{message.public_id}  {rfc3339(message.created_at)}  {message.kind:<13} {channel:<6} "
        f"{message.state:<9} {_masked(message)}  {_money(message.spent + message.price)} "
        f"{message.currency}"
    )


def _masked(message: Message) -> str:
    """Enough to recognise whom it went to, and too little to find them."""
    to = Recipient(**json.loads(message.recipient))
    if message.channels[message.step] == Channel.EMAIL:
        name, _, domain = (to.email or "").partition("@")
        return f"{name[:1]}…@{domain}"
    phone = to.phone or ""
    return f"{phone[:2]}…{phone[-2:]}"


def _money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


def _shown(default: object) -> str:
    return "none" if isinstance(default, SecretStr) or default == "" else str(default)
