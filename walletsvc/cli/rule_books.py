"""`walletsvc programme rules` and `programme tiers`: rule books from files."""

from __future__ import annotations

from pathlib import Path

import click
import orjson
from sqlmodel import Session, select

from walletsvc.cards.tiers.preview import preview
from walletsvc.cli.context import open_runtime
from walletsvc.cli.group import LazyGroup
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import Conflict, NotFound
from walletsvc.programmes import references, versions
from walletsvc.programmes.models import Programme, RuleVersion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.web import json_body

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
PROGRAMME = click.option("--programme", "slug", required=True, metavar="SLUG", help="Whose rules.")


@click.group(
    cls=LazyGroup,
    modules={"rehearse": "rehearsals:rehearse", "rehearsals": "rehearsals:rehearsals"},
)
def rules() -> None:
    """What a programme's cards earn, as versions of one rule book (JSON)."""


@rules.command("check")
@click.argument("file", type=_FILE)
@click.option("--programme", "slug", metavar="SLUG", help="Also look up what the book names.")
def check(file: Path, slug: str | None) -> None:
    """Look for mistakes in FILE; write nothing."""
    book = _read(file)
    if slug is not None:
        with open_runtime() as runtime, runtime.database.read_tx() as session:
            references.require(session, find_anywhere(session, slug), book)
    tiers, promotions = len(book.tiers), len(book.promotions)
    click.echo(f"The rules are in order: {tiers} tiers, {promotions} promotions.")


@rules.command("draft")
@click.argument("file", type=_FILE)
@PROGRAMME
@click.option("--note", default="", help="What is new, for whoever reads the list.")
def draft(file: Path, slug: str, note: str) -> None:
    """Keep FILE as the programme's draft, in place of the one before."""
    book = _read(file)
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        saved = versions.save_draft(
            session, find_anywhere(session, slug), book, OPERATOR, note, utcnow()
        )
    click.echo(f"Version {saved.number} of '{slug}' is kept as the draft.")


@rules.command("publish")
@PROGRAMME
@click.argument("file", type=_FILE, required=False)
@click.option("--note", default="", help="With FILE: what is new.")
def publish(slug: str, file: Path | None, note: str) -> None:
    """Make the draft, or FILE, the rules from now on."""
    book = _read(file) if file is not None else None
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        found = find_anywhere(session, slug)
        if book is not None:
            versions.save_draft(session, found, book, OPERATOR, note, utcnow())
        done = versions.publish(session, found, OPERATOR, utcnow())
    click.echo(f"Version {done.number} of '{slug}' is published.")


@rules.command("show")
@PROGRAMME
@click.option("--version", "number", type=int, help="Without it: the published one.")
@click.option("--draft", "is_draft", is_flag=True, help="Show the draft.")
def show(slug: str, number: int | None, is_draft: bool) -> None:
    """Print a version's rules as JSON."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        version = _version(session, find_anywhere(session, slug), number, is_draft)
        click.echo(orjson.dumps(version.book, option=orjson.OPT_INDENT_2).decode())


@rules.command("list")
@PROGRAMME
@click.option("--limit", default=20, show_default=True, help="At most so many.")
def list_(slug: str, limit: int) -> None:
    """List the versions of a programme's rules, newest first."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        for each in versions.list_versions(session, find_anywhere(session, slug), limit=limit):
            since = f"{each.published_at:%Y-%m-%d %H:%M} UTC" if each.published_at else "–"
            click.echo(f"{each.number:>4}  {each.state:<10}{since:<22}{each.note}".rstrip())


@click.group()
def tiers() -> None:
    """Levels that cumulative purchases reach."""


@tiers.command("preview")
@PROGRAMME
@click.argument("file", type=_FILE, required=False)
@click.option("--cards", default=20, show_default=True, help="Name at most so many cards.")
def preview_(slug: str, file: Path | None, cards: int) -> None:
    """Show who would change tier if the draft, or FILE, were published."""
    book = _read(file) if file is not None else None
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = find_anywhere(session, slug)
        if book is None:
            saved = versions.find_draft(session, found.id)
            if saved is None:
                raise Conflict(f"The programme '{slug}' has no draft: name a file.")
            book = versions.book_of(saved)
        references.require(session, found, book)
        shown = preview(session, found, book, utcnow(), limit=max(cards, 0))
    for step, count in shown.moves.items():
        when = "at once" if step.at_once else "at the regular check, if there is one"
        click.echo(f"{count:>9,}  {step.before or '–'} → {step.after or '–'}, {when}")
    click.echo(f"{shown.staying:>9,}  stay where they are")
    for mover in shown.movers:
        click.echo(f"{mover.number}  {mover.step.before or '–'} → {mover.step.after or '–'}")


def _read(file: Path) -> RuleBook:
    """Raises InputError, naming each field that is wrong."""
    with click.open_file(str(file), "rb") as stream:  # "-" is the standard input
        return json_body.parse(stream.read(), RuleBook)


def find_anywhere(session: Session, slug: str) -> Programme:
    """The programme with this slug, whoever's it is; raises NotFound."""
    found = session.exec(select(Programme).where(Programme.slug == slug)).first()
    if found is None:
        raise NotFound(f"There is no programme '{slug}'.")
    return found


def _version(
    session: Session, programme: Programme, number: int | None, is_draft: bool
) -> RuleVersion:
    if number is not None:
        return versions.get(session, programme, number)
    if is_draft:
        found = versions.find_draft(session, programme.id)
    else:
        found = versions.current(session, programme.id)
    if found is None:
        what = "draft" if is_draft else "published rules: it earns nothing"
        raise NotFound(f"The programme '{programme.slug}' has no {what}.")
    return found
