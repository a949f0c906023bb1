"""`walletsvc programme rules rehearse` and `rehearsals`: a draft tried on past purchases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import click
from sqlmodel import Session

from walletsvc.cli.context import Runtime, open_runtime
from walletsvc.cli.ledger.tables import columns
from walletsvc.cli.rule_books import PROGRAMME, find_anywhere
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import Refused
from walletsvc.core.money import decimal_text
from walletsvc.jobs.bulk import BulkJob, BulkState
from walletsvc.jobs.bulk.rules import line
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.ledger.models import Unit
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.sales.rehearsing import service, tasks
from walletsvc.sales.rehearsing.models import Rehearsal
from walletsvc.sales.rehearsing.reports import CardSums, Report, RuleSums, report
from walletsvc.web import logs

_LINE_SECONDS: Final = 2.0
_WAIT_SECONDS: Final = 0.5  # while another process has the job
_MONEY: Final = 2
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command("rehearse")
@PROGRAMME
@click.option("--from", "since", type=_DAY, required=True, help="The first day.")
@click.option("--until", type=_DAY, required=True, help="The last day, included.")
@click.option("--branch", "branches", multiple=True, metavar="ID", help="Count only what is there.")
def rehearse(slug: str, since: datetime, until: datetime, branches: tuple[str, ...]) -> None:
    """Try the draft on the purchases of a period: its cost, who gains, who loses.

    Nothing is written but the result. Workers help; Ctrl-C leaves the rest to them.
    """
    logs.configure("console", "warning")  # the progress says what else is of interest
    with open_runtime() as runtime:
        with runtime.database.write_tx() as session:
            begun = service.begin(
                session, find_anywhere(session, slug), since.date(), until.date(), branches,
                OPERATOR, runtime.installation.clock(),
            )  # fmt: skip
        click.echo(f"Rehearsal {begun.public_id}")
        _work(runtime, begun)
        _show(runtime, slug, begun.public_id)


@click.command("rehearsals")
@PROGRAMME
@click.argument("rehearsal_id", metavar="[ID]", required=False)
@click.option("--limit", default=20, show_default=True, help="At most so many.")
def rehearsals(slug: str, rehearsal_id: str | None, limit: int) -> None:
    """List the programme's rehearsals, newest first, or show what one found."""
    with open_runtime() as runtime:
        if rehearsal_id is not None:
            _show(runtime, slug, rehearsal_id)
            return
        now = runtime.installation.clock()
        with runtime.database.read_tx() as session:
            for each in service.newest(session, find_anywhere(session, slug), limit=limit):
                click.echo(f"{each.public_id}  {_about(session, each)}")
                click.echo(f"    {line(service.job_of(session, each), now)}")


def _work(runtime: Runtime, rehearsal: Rehearsal) -> None:
    """Do the pieces here, together with whatever workers there are; raises Refused if it stops."""
    clock = runtime.installation.clock
    runner = Runner(runtime.database, tasks.handlers(), clock=clock)
    said = time.monotonic()
    while (job := _job(runtime, rehearsal)).state is BulkState.RUNNING:
        if runner.run_once():
            time.sleep(_WAIT_SECONDS)
        if time.monotonic() - said > _LINE_SECONDS:
            click.echo(line(_job(runtime, rehearsal), clock()))
            said = time.monotonic()
    click.echo(line(job, clock()))
    if job.state is not BulkState.DONE:
        raise Refused(f"The rehearsal is {job.state}: `walletsvc bulk resume {job.public_id}`.")


def _job(runtime: Runtime, rehearsal: Rehearsal) -> BulkJob:
    with runtime.database.read_tx() as session:
        return service.job_of(session, rehearsal)


def _about(session: Session, rehearsal: Rehearsal) -> str:
    number, older = service.version_of(session, rehearsal)
    where = f", {len(rehearsal.branches)} branches" if rehearsal.branches else ""
    what = f"version {number}, {rehearsal.first_day} to {rehearsal.last_day}{where}"
    return f"{what} (of an older draft)" if older else what


def _show(runtime: Runtime, slug: str, rehearsal_id: str) -> None:
    with runtime.database.read_tx() as session:
        programme = find_anywhere(session, slug)
        rehearsal = service.find(session, programme, rehearsal_id)
        job = service.job_of(session, rehearsal)
        click.echo(_about(session, rehearsal))
        if job.state is not BulkState.DONE:
            click.echo(line(job, runtime.installation.clock()))
            return
        scale = session.get_one(Unit, programme.unit_id).scale
        found = report(session, programme, rehearsal)
    for each in told(programme, scale, found):
        click.echo(each)


def told(programme: Programme, scale: int, found: Report) -> Iterator[str]:
    """A report as lines of tables; `scale` is that of the programme's points."""
    sums, money = found.sums, programme.currency
    scales = {"points": scale, "stamps": 0, "money": _MONEY}

    def pair(what: str, before: int, after: int, digits: int) -> tuple[str, ...]:
        amounts = (before, after, after - before)
        return (what, *(decimal_text(amount, digits) for amount in amounts))

    yield f"{sums.purchases} purchases with {found.cards} cards"
    yield from columns(
        [
            ("", "before", "after", "more"),
            pair(f"cost, {money}", sums.cost_before, sums.cost_after, _MONEY),
            pair("points earned", sums.earned_before, sums.earned_after, scale),
            pair("points spent", sums.spent_before, sums.spent_after, scale),
            pair("stamps", sums.stamps_before, sums.stamps_after, 0),
            pair(f"discounts, {money}", sums.discount_before, sums.discount_after, _MONEY),
        ],
        " rrr",
    )
    worth = decimal_text(found.liability_money, _MONEY)
    yield f"new liability: {decimal_text(found.liability, scale)} points, {worth} {money}"
    digits, unit = (0, "stamps") if programme.kind is ProgrammeKind.STAMPS else (_MONEY, money)
    yield f"{found.winners} cards gain {decimal_text(found.won, digits)} {unit}" + "".join(
        _named(found.top_winners, digits)
    )
    yield f"{found.losers} cards lose {decimal_text(found.lost, digits)} {unit}" + "".join(
        _named(found.top_losers, digits)
    )
    if len(found.branches) > 1:
        rows = [pair(b.name or "–", b.sums.cost_before, b.sums.cost_after, _MONEY)
                for b in found.branches]  # fmt: skip
        yield from columns([("branch, cost", "before", "after", "more"), *rows], " rrr")
    if found.rules:
        rows = [pair(_rule(r), r.before, r.after, scales[r.unit]) for r in found.rules]
        yield from columns([("rule", "before", "after", "more"), *rows], " rrr")


def _named(cards: tuple[CardSums, ...], digits: int) -> Iterator[str]:
    for each in cards:
        yield f"\n  {each.card}  {decimal_text(each.gain, digits)} by {each.purchases} purchases"


def _rule(found: RuleSums) -> str:
    called = f" “{found.names['en']}”" if found.names else ""
    return f"{found.rule}{called}, {found.unit}"
