"""`walletsvc google`: whether Google is given what changes, why not, and the operator's say."""

from __future__ import annotations

import time
from typing import Final

import click

from walletsvc.cli.context import open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import rfc3339, utcnow
from walletsvc.core.errors import Unavailable
from walletsvc.google import breaker
from walletsvc.google.breaker import Figures, IssuerStatus
from walletsvc.google.issuer import former_issuers
from walletsvc.google.models import IssuerState, Reconciliation
from walletsvc.google.reconciling import report as reports
from walletsvc.google.reconciling.asking import Halted
from walletsvc.google.reconciling.report import Report
from walletsvc.google.reconciling.running import Reconciler

_REPORT_SECONDS: Final = 5.0

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
        issuer_id = runtime.installation.settings.google_issuer_id
        issuer = breaker.status_of(session, issuer_id)
        figures = breaker.figures(session, issuer_id)
        refusals = breaker.refusals(session, issuer_id)
        former = former_issuers(session, issuer_id)
    if issuer is not None:
        lines = [*_lines(issuer), *_counts(figures)]
        lines += [f"  {what}: {reason}" for what, reason in refusals]
    elif issuer_id:
        lines = [f"{issuer_id}: nothing has been issued for Google Wallet yet."]
    else:
        lines = ["WALLETSVC_GOOGLE_ISSUER_ID is not set: nothing goes to Google."]
    lines += [
        f"{other}: not the issuer of WALLETSVC_GOOGLE_ISSUER_ID; nothing is sent for its {count}"
        " card(s). See `walletsvc doctor google`."
        for other, count in former.items()
    ]
    for line in lines:
        click.echo(line)


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


@google.command()
@click.option("--dry-run", is_flag=True, help="Only say what differs; change nothing.")
@click.option("--last", is_flag=True, help="Only show what the last comparisons found.")
def reconcile(dry_run: bool, last: bool) -> None:
    """Compare what Google holds with what it should hold, and put right what differs.

    Classes, what cards in wallets say, objects that are missing, and whether somebody holds them.
    The worker does it every night. Nobody's phone makes a sound by it; purchases go first. Stopped
    halfway it has done what it did; run again it begins anew.
    """
    with open_runtime() as runtime:
        if last:
            with runtime.database.read_tx() as session:
                for line in _told(list(reports.newest(session, 5))):
                    click.echo(line)
            return
        own = runtime.installation
        work = Reconciler.of(own.settings, own.database, own.publisher, own.clock, dry_run=dry_run)
        work.progress = _Progress()
        try:
            found = work.run(OPERATOR)
        except Halted as halted:
            raise Unavailable(f"Google was not compared to the end: {halted}") from halted
        finally:
            work.asker.client.close()
    for line in [*reports.words(found.counts), *_details(found.differences)]:
        click.echo(line)
    if not found.counts.repairs:
        click.echo("Google holds what it should.")
    elif dry_run:
        click.echo("Nothing was changed.")
    else:
        click.echo("What is to be sent again is due now: `walletsvc google status` says how much.")


class _Progress:
    """Says now and then how far it is."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _REPORT_SECONDS

    def __call__(self, report: Report) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_SECONDS
            click.echo(f"comparing: {report.counts.objects} object(s) so far", err=True)


def _told(found: list[Reconciliation]) -> list[str]:
    """The last comparisons, newest first; of the newest also the differences."""
    if not found:
        return ["Google has not been compared yet."]
    lines = []
    for number, each in enumerate(found):
        end = "done" if each.finished_at else each.error or "at work, or killed"
        lines.append(f"{rfc3339(each.started_at)}: {end}")
        lines += [f"  {line}" for line in reports.words(reports.counts_of(each))]
        if not number:
            lines += [f"  {line}" for line in _details(each.differences)]
    return lines


def _details(differences: list[list[str]]) -> list[str]:
    return [f"  {what}: {said}" for what, said in differences]


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
