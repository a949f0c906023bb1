"""`walletsvc doctor`, and for one wallet `walletsvc doctor apple` and `walletsvc doctor google`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from walletsvc import app
from walletsvc.cli.doctor import address, apple, google, host, messages, returns
from walletsvc.cli.doctor.findings import Finding
from walletsvc.cli.settings import load_settings
from walletsvc.core.errors import ConfigurationError


@click.group(invoke_without_command=True)
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check the host, wallets, messages and what lies between; exit 1 with what is wrong.

    It asks Apple, Google and the message gateways, and the public address from here. Each problem
    names its remedy.
    """
    if context.invoked_subcommand is None:
        _report(examine)


@doctor.command("apple")
def apple_command() -> None:
    """Check what Apple Wallet needs: certificates, pushes, the public address."""
    _report(examine_apple)


@doctor.command("google")
def google_command() -> None:
    """Check what Google Wallet needs: key, clock, console, classes, pictures, callbacks."""
    _report(examine_google)


def examine(installation: app.Installation) -> Iterator[Finding]:
    """Everything there is to say, good and bad."""
    yield from host.examine(installation)
    yield from address.examine(installation.settings)
    yield from apple.examine(installation)
    yield from google.examine(installation)
    yield from messages.examine(installation)
    yield from returns.examine(installation)


def examine_apple(installation: app.Installation) -> Iterator[Finding]:
    """What concerns Apple Wallet."""
    yield from address.examine(installation.settings)
    yield from apple.examine(installation)


def examine_google(installation: app.Installation) -> Iterator[Finding]:
    """What concerns Google Wallet."""
    yield from address.examine(installation.settings)
    yield from google.examine(installation)


def _report(examined: Callable[[app.Installation], Iterator[Finding]]) -> None:
    problems = 0
    with app.open_installation(load_settings()) as installation:
        for finding in examined(installation):
            # At once: what asks others may take a while.
            mark = "PROBLEM  " if finding.problem else ""
            click.echo(f"{finding.about:<16} {mark}{finding.text}")
            problems += finding.problem
    if problems:
        raise ConfigurationError(f"{problems} problem(s) found.")
