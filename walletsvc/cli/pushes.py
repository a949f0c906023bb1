"""`walletsvc pushes`: whether pushes are sent, why not, and the operator's say in it."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from walletsvc.apple import channels
from walletsvc.apple.channels import ChannelStatus
from walletsvc.apple.models import ChannelState
from walletsvc.cli.context import open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import rfc3339, utcnow

_ALONE = "one host's own fault; others send)"
_WORDS = {
    ChannelState.OPEN: "sent",
    ChannelState.STOPPED: "stopped",
    ChannelState.PAUSED: "paused",
}


@click.group()
def pushes() -> None:
    """Pushes to Apple, which tell phones that their cards changed."""


@pushes.command()
def status() -> None:
    """Say for each pass type whether pushes are sent, why not, and how many wait."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = channels.channels(session)
    for line in (line for channel in found for line in _lines(channel, utcnow())):
        click.echo(line)
    if not found:
        click.echo("There is no pass type yet.")


@pushes.command()
@click.argument("pass_type", required=False)
def pause(pass_type: str | None) -> None:
    """Send no pushes for PASS_TYPE (or any) until resumed; they wait."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        names = channels.pause(session, pass_type, actor=OPERATOR, now=utcnow())
    for name in names:
        click.echo(f"Pushes of {name} are paused.")


@pushes.command()
@click.argument("pass_type", required=False)
@click.option(
    "--accept-losses",
    is_flag=True,
    help="For an hour, believe Apple however many devices it calls gone: they are deleted.",
)
def resume(pass_type: str | None, accept_losses: bool) -> None:
    """Send pushes for PASS_TYPE (or all) again, at once."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        names = channels.resume(
            session, pass_type, actor=OPERATOR, now=utcnow(), accept_losses=accept_losses
        )
    for name in names:
        click.echo(f"Pushes of {name} are sent.")


def _lines(channel: ChannelStatus, now: datetime) -> list[str]:
    waiting = ", ".join(
        f"{there.pushes} {lane.name.lower()}"
        + (f" (oldest {_age(now - there.oldest)})" if there.oldest else "")
        for lane, there in channel.waiting.items()
    )
    lines = [f"{channel.pass_type}: {_WORDS[channel.state]}; waiting: {waiting}"]
    if channel.reason:
        lines.append(f"  {channel.reason}")
    if channel.state is not ChannelState.OPEN and channel.since:
        retry = "when resumed"
        if channel.retry_at:
            retry = f"at {rfc3339(channel.retry_at)} ("
            retry += f"after {channel.failures} failure(s))" if channel.failures else _ALONE
        lines.append(f"  since {rfc3339(channel.since)}, tried again {retry}")
    return lines


def _age(age: timedelta) -> str:
    seconds = max(int(age.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
