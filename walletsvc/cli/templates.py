"""`walletsvc templates`: check and publish the looks of passes."""

from __future__ import annotations

from pathlib import Path

import click
from sqlmodel import select

from walletsvc.cli.bulk import follow
from walletsvc.cli.context import Runtime, open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import NotFound
from walletsvc.jobs.bulk import service as bulk
from walletsvc.passes import spreading
from walletsvc.passes import templates as service
from walletsvc.passes.models import PassType
from walletsvc.programmes.models import Programme

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def templates() -> None:
    """Check template folders and publish them to a programme's cards."""


@templates.command()
@click.argument("folders", nargs=-1, required=True, type=FOLDER)
def check(folders: tuple[Path, ...]) -> None:
    """Check template FOLDERS; every problem is named with its file and key."""
    for folder in folders:
        loaded = service.load(folder)
        fields = len(loaded.description.fields.everywhere())
        click.echo(f"{folder}: in order ({fields} fields, {len(loaded.images)} images)")


@templates.command()
@click.argument("folder", type=FOLDER)
@click.option("--programme", required=True, help="The programme's short name (slug).")
@click.option("--pass-type", required=True, help="The pass type identifier to sign under.")
@click.option("--wait", is_flag=True, help="Show how it spreads to the cards until it has.")
def publish(folder: Path, programme: str, pass_type: str, wait: bool) -> None:
    """Publish a template FOLDER; phones that hold the programme's cards are told.

    The cards change in a bulk job: `walletsvc bulk list` shows how far it is.
    """
    loaded = service.load(folder)
    with open_runtime() as runtime:
        job_id = _publish(runtime, loaded, programme, pass_type)
        if wait and job_id is not None:
            follow(runtime, job_id)


def _publish(
    runtime: Runtime, loaded: service.LoadedTemplate, programme: str, pass_type: str
) -> str | None:
    """Publish it; returns the job that spreads the present version, if one was ever needed."""
    with runtime.database.write_tx() as session:
        found = session.exec(select(Programme).where(Programme.slug == programme)).first()
        if found is None:
            raise NotFound(f"There is no programme '{programme}'.")
        kind = session.exec(select(PassType).where(PassType.identifier == pass_type)).first()
        if kind is None:
            raise NotFound(f"There is no pass type '{pass_type}': walletsvc certs dev.")
        version = service.publish(
            session,
            programme_id=found.id,
            pass_type_id=kind.id,
            template=loaded,
            now=runtime.installation.clock(),
            actor=OPERATOR,
        )
        click.echo(f"{programme}: version {version.number} is published")
        job = bulk.current(session, spreading.TEMPLATE, {"template_id": version.template_id})
        return job.public_id if job is not None else None
