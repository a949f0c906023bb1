"""`walletsvc templates`: check and publish the looks of passes."""

from __future__ import annotations

from pathlib import Path

import click
from sqlmodel import select

from walletsvc.cli.context import open_runtime
from walletsvc.core.errors import NotFound
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
def publish(folder: Path, programme: str, pass_type: str) -> None:
    """Publish a template FOLDER; phones that hold the programme's cards are told."""
    loaded = service.load(folder)
    with open_runtime() as runtime, runtime.database.write_tx() as session:
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
        )
        click.echo(f"{programme}: version {version.number} is published")
