"""`walletsvc organisation`, `branch` and `programme`: founding a shop from the command line."""

from __future__ import annotations

import click

from walletsvc.cli.context import open_runtime
from walletsvc.core.clock import utcnow
from walletsvc.merchants.service import create_branch, create_organisation, find_organisation
from walletsvc.programmes.service import create_gift_programme, create_points_programme


@click.group()
def organisation() -> None:
    """Legal entities that issue and accept cards."""


@organisation.command("create")
@click.option("--slug", required=True, help="Short name in addresses and commands.")
@click.option("--name", required=True, help="As customers know it.")
@click.option("--phone", help="Support number shown on the cards.")
@click.option("--website", help="Shown on the cards.")
def create_organisation_(slug: str, name: str, phone: str | None, website: str | None) -> None:
    """Found an organisation."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = create_organisation(
            session, slug=slug, name=name, phone=phone, website=website, now=utcnow()
        )
    click.echo(f"Organisation '{made.slug}' is founded ({made.public_id}).")


@click.group()
def branch() -> None:
    """Places where cards are accepted."""


@branch.command("create")
@click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose branch.")
@click.option("--name", required=True, help="As customers know it.")
@click.option("--address", default="", help="Where it is.")
@click.option("--time-zone", default="Europe/Moscow", show_default=True, help="Its time zone.")
def create_branch_(owner: str, name: str, address: str, time_zone: str) -> None:
    """Open a branch; its id is printed, to bind API keys to."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = create_branch(
            session,
            organisation_id=find_organisation(session, owner).id,
            name=name,
            address=address,
            time_zone=time_zone,
            now=utcnow(),
        )
    click.echo(f"Branch '{made.name}' is open ({made.public_id}).")


@click.group()
def programme() -> None:
    """Schemes that cards belong to."""


@programme.command("create")
@click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose programme.")
@click.option("--slug", required=True, help="Short name in addresses and commands.")
@click.option("--name", required=True, help="As customers know it.")
@click.option(
    "--kind", type=click.Choice(["points", "gift"]), required=True, help="What it counts."
)
@click.option("--currency", default="RUB", show_default=True, help="ISO 4217 code.")
def create_programme_(owner: str, slug: str, name: str, kind: str, currency: str) -> None:
    """Start a programme; publish a template to it before its first card."""
    make = create_points_programme if kind == "points" else create_gift_programme
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = make(
            session,
            organisation_id=find_organisation(session, owner).id,
            slug=slug,
            name=name,
            currency=currency,
            now=utcnow(),
        )
    click.echo(f"Programme '{made.slug}' is started ({made.public_id}).")
