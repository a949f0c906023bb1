"""The `walletsvc` command."""

from __future__ import annotations

import sys
from typing import Final

import click

from walletsvc import __version__
from walletsvc.cli import errors
from walletsvc.cli.group import LazyGroup
from walletsvc.core.errors import WalletsvcError

_COMMANDS: Final = {
    "api-key": "api_keys:api_key",
    "backup": "backup:backup",
    "branch": "shops:branch",
    "bulk": "bulk:bulk",
    "cards": "cards:cards",
    "certificates": "certificates:certificates",
    "certs": "certs:certs",
    "consents": "consents:consents",
    "demo": "demo.command:demo",
    "doctor": "doctor.command:doctor",
    "emulators": "emulate:emulators",
    "gateways": "gateways:gateways",
    "google": "google:google",
    "imports": "imports:imports",
    "join": "join:join",
    "ledger": "ledger:ledger",
    "messages": "gateways:messages",
    "migrate": "run:migrate",
    "organisation": "shops:organisation",
    "passes": "passes:passes",
    "people": "people:people",
    "programme": "shops:programme",
    "pushes": "pushes:pushes",
    "restore": "restore:restore",
    "simulate": "simulate:simulate",
    "staff": "staff:staff",
    "templates": "templates:templates",
    "terms": "terms:terms",
    "up": "run:up",
    "web": "run:web",
    "worker": "run:worker",
}


@click.group(
    cls=LazyGroup, modules=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="walletsvc")
def walletsvc() -> None:
    """Loyalty and gift cards in phone wallets, and the ledger behind them.

    Settings come from WALLETSVC_... environment variables; see docs/settings.md.
    """


def main() -> None:
    """Run a command; a deliberate error is one line on stderr and exit code 1."""
    try:
        walletsvc()
    except WalletsvcError as error:
        for line in errors.told(error):
            click.echo(line, err=True)
        sys.exit(1)
