"""`walletsvc google`: whether Google is given what changes, why not, and the operator's say."""

from __future__ import annotations

import click

from walletsvc.cli.context import open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import rfc3339, utcnow
from walletsvc.google import breaker
from walletsvc.google.breaker import Figures, IssuerStatus
from walletsvc.google.models import IssuerState

_WORDS = {
    IssuerState.OPEN: "sent",
    IssuerState.STOPPED: "stopped",
    IssuerState.PAUSED: "paused",
}


@click.group()
def google() -> None:
    """Cards in Google Wallet, whose copies at Google follow ours."""


@google.command()
def status() -> None:
    """Say whether changes are sent to Google, why not, how many wait, and what it refuses."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        issuers = breaker.status(session)
        figures = breaker.figures(session)
        refusals = breaker.refusals(session)
    for line in (line for issuer in issuers for line in _lines(issuer)):
        click.echo(line)
    if not issuers:
        click.echo("Nothing has been issued for Google Wallet yet.")
        return
    for line in _counts(figures):
        click.echo(line)
    for what, reason in refusals:
        click.echo(f"  {what}: {reason}")


@google.command()
@click.argument("issuer", required=False)
def pause(issuer: str | None) -> None:
    """Send nothing for ISSUER (or any) until resumed; changes wait."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        names = breaker.pause(session, issuer, actor=OPERATOR, now=utcnow())
    for name in names:
        click.echo(f"Nothing is sent to Google for {name}.")


@google.command()
@click.argument("issuer", required=False)
def resume(issuer: str | None) -> None:
    """Send for ISSUER (or all) again, at once."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        names = breaker.resume(session, issuer, now=utcnow())
    for name in names:
        click.echo(f"Changes are sent to Google for {name}.")


def _lines(issuer: IssuerStatus) -> list[str]:
    lines = [f"{issuer.issuer_id}: {_WORDS[issuer.state]}"]
    if issuer.reason:
        lines.append(f"  {issuer.reason}")
    if issuer.state is not IssuerState.OPEN:
        retry = "when resumed"
        if issuer.retry_at:
            retry = f"at {rfc3339(issuer.retry_at)} (after {issuer.failures} failure(s))"
        lines.append(f"  since {rfc3339(issuer.since)}, tried again {retry}")
    return lines


def _counts(figures: Figures) -> list[str]:
    return [
        f"In wallets: {figures.held} pass(es)",
        f"Waiting: {figures.urgent} urgent, {figures.bulk} in bulk, {figures.messages} message(s)",
        f"Refused by Google: {figures.refused} object(s), {figures.classes} class(es)",
    ]
