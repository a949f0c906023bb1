"""`walletsvc certs`: signing certificates and whether they work."""

from __future__ import annotations

import sys

import click

from walletsvc.apple import devcerts, identity
from walletsvc.cli.context import open_runtime
from walletsvc.core.clock import utcnow

DEV_PASS_TYPES = ("pass.dev.walletsvc.loyalty", "pass.dev.walletsvc.gift")
DEV_TEAM = "WALLETSVC0"


@click.group()
def certs() -> None:
    """Signing certificates of the pass types."""


@certs.command()
@click.option(
    "--pass-type",
    "pass_types",
    multiple=True,
    default=DEV_PASS_TYPES,
    show_default=True,
    help="Pass type identifier; repeat it for several.",
)
@click.option("--team", default=DEV_TEAM, show_default=True, help="Team identifier.")
def dev(pass_types: tuple[str, ...], team: str) -> None:
    """Make development certificates; working ones are kept.

    They look like Apple's to every program, and no phone trusts them.
    """
    with open_runtime() as runtime:
        with runtime.database.write_tx() as session:
            made = devcerts.create(
                session,
                runtime.settings,
                pass_type_identifiers=pass_types,
                team_identifier=team,
                now=utcnow(),
            )
            lines = []
            for pass_type in made:
                row = identity.active_certificate(session, pass_type.id)
                until = f"{row.not_after:%Y-%m-%d}" if row is not None else "?"
                lines.append(f"{pass_type.identifier}: valid until {until}")
        for line in lines:
            click.echo(line)
        click.echo(f"Keys: {runtime.settings.certs_dir}")
        click.echo(f"Root to trust in tests: {identity.roots_dir(runtime.settings)}")


@certs.command()
def check() -> None:
    """Say whether every pass type can be signed for; exit 1 with the reasons if not."""
    with open_runtime() as runtime:
        with runtime.database.read_tx() as session:
            problems = identity.check(session, runtime.settings, utcnow())
        for problem in problems:
            click.echo(str(problem), err=True)
        if problems:
            sys.exit(1)
        click.echo("All signing certificates work.")
