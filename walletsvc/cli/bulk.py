"""`walletsvc bulk`: work on many cards, how far it is, pausing and resuming it."""

from __future__ import annotations

import sys
import time
from typing import Final

import click

from walletsvc import app
from walletsvc.cli.context import Runtime, open_runtime
from walletsvc.jobs.bulk import BulkJob, BulkState, service
from walletsvc.jobs.bulk.rules import line

_LOOK_SECONDS: Final = 0.5
# Where nothing can be overwritten, a line this often is enough.
_LINE_SECONDS: Final = 10.0
_STILL_SECONDS: Final = 5.0
_ENDED: Final = (BulkState.DONE, BulkState.FAILED)


@click.group()
def bulk() -> None:
    """Work on many cards: template publishes, certificate renewals, credits."""


@bulk.command(name="list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows.")
def list_(limit: int) -> None:
    """List the newest jobs and how far they are."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        now = runtime.installation.clock()
        for job in service.newest(session, limit=limit):
            click.echo(f"{job.public_id}  {job.created_at:%Y-%m-%d %H:%M}  {job.title}")
            click.echo(f"    {line(job, now)}")


@bulk.command()
@click.argument("job_id", metavar="ID")
def show(job_id: str) -> None:
    """Show all about a job."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        job = service.find(session, job_id)
        now = runtime.installation.clock()
    rows = {
        "job": job.public_id,
        "what": job.title,
        "by": job.actor,
        "begun": f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "ended": f"{job.finished_at:%Y-%m-%d %H:%M:%S} UTC" if job.finished_at else None,
        "progress": line(job, now),
    }
    for name, value in rows.items():
        if value is not None:
            click.echo(f"{name:<10}{value}")


@bulk.command()
@click.argument("job_id", metavar="ID")
def pause(job_id: str) -> None:
    """Stop a job where it is; its last pushes leave within seconds."""
    with open_runtime() as runtime:
        now = runtime.installation.clock()
        with runtime.database.write_tx() as session:
            job = service.pause(session, job_id, now=now)
        click.echo(line(job, now))


@bulk.command()
@click.argument("job_id", metavar="ID")
def resume(job_id: str) -> None:
    """Let a paused or failed job go on where it was."""
    with open_runtime() as runtime:
        now = runtime.installation.clock()
        with runtime.database.write_tx() as session:
            job = service.resume(session, job_id, now=now)
        click.echo(line(job, now))


@bulk.command()
@click.argument("job_id", metavar="ID")
def watch(job_id: str) -> None:
    """Follow a job until it ends; exit 0 when it is done, 1 when it failed.

    Ctrl-C stops following, not the job.
    """
    with open_runtime() as runtime:
        follow(runtime, job_id)


def follow(runtime: Runtime, job_id: str) -> None:
    """Show a job's progress until it ends; exits 1 unless it is done.

    On a terminal one line is written over and over, elsewhere a line every few seconds.
    """
    on_terminal = sys.stdout.isatty()
    shown = ""
    said = moved = time.monotonic()
    done = -1
    while True:
        job = _read(runtime, job_id)
        if job.done != done:
            done, moved = job.done, time.monotonic()
        text = line(job, runtime.installation.clock())
        if job.state is BulkState.RUNNING and time.monotonic() - moved > _STILL_SECONDS:
            text = " ".join([text, *_hindrance(runtime)])
        ended = job.state in _ENDED
        if on_terminal:
            click.echo(f"\r{text:<{len(shown)}}", nl=ended)
            shown = text
        elif ended or not shown or time.monotonic() - said > _LINE_SECONDS:
            click.echo(text)
            shown, said = text, time.monotonic()
        if ended:
            sys.exit(0 if job.state is BulkState.DONE else 1)
        time.sleep(_LOOK_SECONDS)


def _read(runtime: Runtime, job_id: str) -> BulkJob:
    with runtime.database.read_tx() as session:
        return service.find(session, job_id)


def _hindrance(runtime: Runtime) -> list[str]:
    """Why nothing moves, when it is that nobody works."""
    return app.absent_workers(runtime.installation)
