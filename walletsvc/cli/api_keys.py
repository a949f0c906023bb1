"""`walletsvc api-key`: keys for other programs."""

from __future__ import annotations

import click

from walletsvc.access import service
from walletsvc.access.rules import MEANINGS, SCOPES
from walletsvc.cli.context import open_runtime
from walletsvc.core.clock import utcnow
from walletsvc.merchants.service import find_branch, find_organisation


@click.group(name="api-key")
def api_key() -> None:
    """Keys with which other programs call the REST interface."""


@api_key.command(
    epilog="Scopes: " + "; ".join(f"{scope}: {text}" for scope, text in MEANINGS.items()) + "."
)
@click.option("--organisation", required=True, metavar="SLUG", help="Whose key it is.")
@click.option("--name", required=True, help="What it is for, such as 'Till 1'.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    type=click.Choice(SCOPES),
    help="What it may do; give it several times for several.",
)
@click.option("--branch", metavar="ID", help="The branch whose doings these are.")
def create(organisation: str, name: str, scopes: tuple[str, ...], branch: str | None) -> None:
    """Make a key and print it; it cannot be shown again."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        owner = find_organisation(session, organisation)
        branch_id = find_branch(session, branch).id if branch else None
        key, secret = service.create_key(
            session,
            organisation_id=owner.id,
            name=name,
            scopes=scopes,
            branch_id=branch_id,
            now=utcnow(),
        )
    click.echo(
        f"Key {key.public_id} ({', '.join(key.scopes)}). Keep it: it is not shown again.", err=True
    )
    click.echo(secret)


@api_key.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Make the key with this id useless from now on."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        key = service.revoke_key(session, key_id, now=utcnow())
    click.echo(f"Revoked {key.public_id} '{key.name}'.")


@api_key.command(name="list")
@click.option("--organisation", metavar="SLUG", help="Only those of this organisation.")
def list_(organisation: str | None) -> None:
    """List the keys; never the secrets, which are not stored."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        owner = find_organisation(session, organisation).id if organisation else None
        for key in service.list_keys(session, organisation_id=owner):
            state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active"
            made = f"{key.created_at:%Y-%m-%d}"
            click.echo(f"{key.public_id}  {made}  {state}  {','.join(key.scopes)}  {key.name}")
