"""`walletsvc join`: opening a programme to everybody, and the places where people meet its form."""

from __future__ import annotations

from dataclasses import replace

import click
from sqlmodel import Session, select

from walletsvc.cli.context import open_runtime
from walletsvc.cli.group import LazyGroup
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import NotFound
from walletsvc.enrolment import settings, sources
from walletsvc.messaging.proving import service as proving
from walletsvc.passes.templates import is_published
from walletsvc.programmes.models import Programme


@click.group(cls=LazyGroup, modules={"poster": "posters:poster"})
def join() -> None:
    """The public form of a programme, its short links and posters."""


@join.command("open")
@click.argument("slug")
@click.option(
    "--verified-only/--not-verified-only",
    default=None,
    help="Whether cards bring nothing until their holder has proved a phone.  [default: as it is]",
)
def open_(slug: str, verified_only: bool | None) -> None:
    """Let everybody join the programme SLUG by its form."""
    _switch(slug, verified_only, on=True)


@join.command("close")
@click.argument("slug")
def close(slug: str) -> None:
    """Let nobody join the programme SLUG by themselves any more."""
    _switch(slug, None, on=False)


@join.command("source-create")
@click.argument("slug")
@click.option("--branch", metavar="ID", help="The branch where it is.")
@click.option("--campaign", default="", help="The campaign it is for.")
@click.option("--label", default="", help="What it is, such as a poster by the door.")
def source_create(slug: str, branch: str | None, campaign: str, label: str) -> None:
    """Make a short link to the form of SLUG, whose comers are counted."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = sources.create(
            session,
            _programme(session, slug),
            branch=branch,
            campaign=campaign,
            label=label,
            now=utcnow(),
        )
        address = f"{runtime.settings.base_url}/j/{made.code}"
    click.echo(f"{address} ({made.public_id})")


@join.command("sources")
@click.argument("slug")
def list_sources(slug: str) -> None:
    """List the sources of SLUG: code, forms sent in, cards issued, what and where it is."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        for each in sources.counted(session, _programme(session, slug)):
            where = each.branch.name if each.branch else "-"
            what = each.source.label or each.source.campaign or "-"
            closed = "  closed" if each.source.closed_at else ""
            click.echo(
                f"{each.source.code}  {each.applications:>6} forms  {each.cards:>6} cards  "
                f"{where}  {what}{closed}"
            )


def _switch(slug: str, verified_only: bool | None, *, on: bool) -> None:
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        programme = _programme(session, slug)
        rules = replace(settings.of(session, programme), open=on)
        if verified_only is not None:
            rules = replace(rules, verified_only=verified_only)
        settings.change(session, programme, rules, actor=OPERATOR, now=utcnow())
        address = f"{runtime.settings.base_url}/join/{slug}"
        missing = _missing(session, programme, rules) if on else []
    click.echo(f"Everybody can join at {address}." if on else f"Nobody can join at {address}.")
    for each in missing:
        click.echo(f"Warning: {each}", err=True)


def _missing(session: Session, programme: Programme, rules: settings.Rules) -> list[str]:
    """What the open form needs and does not have yet, in words."""
    found = []
    if not set(rules.routes) & set(proving.routes(session, programme.organisation_id)):
        found.append(
            "no gateway sends codes, so nobody gets through the form yet:"
            " `walletsvc gateways add` (`gateways kinds` lists them)."
        )
    if not is_published(session, programme.id):
        found.append(
            "no template is published, so the cards cannot go into a wallet yet:"
            " `walletsvc templates publish`."
        )
    return found


def _programme(session: Session, slug: str) -> Programme:
    found = session.exec(select(Programme).where(Programme.slug == slug)).first()
    if found is None:
        raise NotFound(f"There is no programme '{slug}'.")
    return found
