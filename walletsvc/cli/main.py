"""The `walletsvc` command."""

from __future__ import annotations

import sys

import click

from walletsvc import __version__
from walletsvc.cli import (
    api_keys,
    backup,
    branch_groups,
    bulk,
    cards,
    certificates,
    certs,
    consents,
    errors,
    gateways,
    google,
    imports,
    join,
    ledger,
    passes,
    people,
    posters,
    pushes,
    rehearsals,
    restore,
    rule_books,
    run,
    shops,
    simulate,
    staff,
    templates,
    terms,
)
from walletsvc.cli.demo import command as demo
from walletsvc.cli.doctor.command import doctor
from walletsvc.core.errors import WalletsvcError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="walletsvc")
def walletsvc() -> None:
    """Loyalty and gift cards in phone wallets, and the ledger behind them.

    Settings come from WALLETSVC_... environment variables; see docs/settings.md.
    """


for command in (
    run.up,
    run.web,
    run.worker,
    run.emulators,
    run.migrate,
    doctor,
    shops.organisation,
    shops.branch,
    shops.programme,
    staff.staff,
    join.join,
    certs.certs,
    templates.templates,
    terms.terms,
    passes.passes,
    pushes.pushes,
    google.google,
    gateways.gateways,
    gateways.messages,
    api_keys.api_key,
    cards.cards,
    people.people,
    certificates.certificates,
    consents.consents,
    imports.imports,
    bulk.bulk,
    ledger.ledger,
    backup.backup,
    restore.restore,
    simulate.simulate,
    demo.demo,
):
    walletsvc.add_command(command)

join.join.add_command(posters.poster)
shops.branch.add_command(branch_groups.group)
shops.branch.add_command(staff.responsible)
shops.programme.add_command(rule_books.rules)
rule_books.rules.add_command(rehearsals.rehearse)
rule_books.rules.add_command(rehearsals.rehearsals)
shops.programme.add_command(rule_books.tiers)


def main() -> None:
    """Run a command; a deliberate error is one line on stderr and exit code 1."""
    try:
        walletsvc()
    except WalletsvcError as error:
        for line in errors.told(error):
            click.echo(line, err=True)
        sys.exit(1)
