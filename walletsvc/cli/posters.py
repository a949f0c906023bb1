"""`walletsvc join poster`: the poster of one source, as a PDF."""

from __future__ import annotations

from pathlib import Path

import click
from sqlmodel import Session, select

from walletsvc.cli.context import open_runtime
from walletsvc.cli.doctor.reach import is_local
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import NotFound
from walletsvc.enrolment import sources
from walletsvc.enrolment.models import JoinSource
from walletsvc.enrolment.posters import service
from walletsvc.enrolment.posters.drawing import Size


@click.command("poster")
@click.argument("source")
@click.option("--size", type=click.Choice([s.value for s in Size]), default="a4", show_default=True)
@click.option("--language", type=click.Choice(["ru", "en"]), default="ru", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Where to; - is the standard output.  [default: poster-CODE-SIZE-LANGUAGE.pdf]",
)
def poster(source: str, size: str, language: str, output: Path | None) -> None:
    """Draw the poster of SOURCE (its short code or its id) as a PDF to print."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = _find(session, source)
        pdf = service.poster(
            session,
            found,
            base_url=runtime.settings.base_url,
            language=language,
            size=Size(size),
            now=utcnow(),
        )
        file = output or Path(f"poster-{found.code}-{size}-{language}.pdf")
        address = runtime.settings.base_url
    with click.open_file(str(file), "wb") as stream:
        stream.write(pdf)
    if str(file) != "-":
        click.echo(f"The poster is in {file}.")
    if is_local(address):
        click.echo(
            f"Warning: its code leads to {address}, which only this machine reaches:"
            " set WALLETSVC_PUBLIC_URL before you print it.",
            err=True,
        )


def _find(session: Session, source: str) -> JoinSource:
    """The source, whoever's it is; raises NotFound."""
    found = sources.by_code(session, source)
    if found is None:
        found = session.exec(select(JoinSource).where(JoinSource.public_id == source)).first()
    if found is None:
        raise NotFound(f"There is no source '{source}'; 'walletsvc join sources' lists them.")
    return found
