"""`walletsvc terms`: a programme's conditions from text files."""

from __future__ import annotations

from pathlib import Path

import click

from walletsvc.cli.context import open_runtime
from walletsvc.cli.rule_books import find_anywhere
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import wrong
from walletsvc.programmes.terms import service

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_PROGRAMME = click.option("--programme", "slug", required=True, metavar="SLUG", help="Whose terms.")


@click.group()
def terms() -> None:
    """The conditions of a programme, as customers read them at /terms/SLUG."""


@terms.command("publish")
@_PROGRAMME
@click.option("--ru", type=_FILE, help="The Russian text: first line the title, then the rest.")
@click.option("--en", type=_FILE, help="The English text, in the same form.")
def publish(slug: str, ru: Path | None, en: Path | None) -> None:
    """Make texts from files the terms from now on.

    A blank line ends a paragraph, a line that begins with "# " is a heading, lines that begin
    with "- " are a list. Former versions stay where they are.
    """
    files = {"ru": ru, "en": en}
    texts = {language: _read(file) for language, file in files.items() if file is not None}
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        done = service.publish(
            session,
            find_anywhere(session, slug),
            title={language: title for language, (title, _) in texts.items()},
            body={language: body for language, (_, body) in texts.items()},
            actor=OPERATOR,
            now=utcnow(),
        )
    click.echo(f"Version {done.number} of the terms of '{slug}' is published.")


@terms.command("show")
@_PROGRAMME
@click.option("--language", type=click.Choice(service.LANGUAGES), default="ru", show_default=True)
@click.option("--version", "number", type=int, help="Without it: what customers read now.")
def show(slug: str, language: str, number: int | None) -> None:
    """Print the terms in the form that `publish` reads; those from the rules make a start."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = service.shown(session, find_anywhere(session, slug), language, number)
    click.echo(f"{found.title}\n\n{found.body}")


def _read(file: Path) -> tuple[str, str]:
    """Title and body; raises InputError naming the file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise wrong(str(file), "is not UTF-8", "invalid_characters") from None
    title, _, body = text.strip().partition("\n")
    return title.removeprefix("# "), body
