"""`walletsvc branch group`: branches that rules name together."""

from __future__ import annotations

import click
from sqlmodel import Session

from walletsvc.cli.context import open_runtime
from walletsvc.core.clock import utcnow
from walletsvc.merchants import groups
from walletsvc.merchants.models import BranchGroup
from walletsvc.merchants.service import find_branch, find_organisation

_OWNER = click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose group.")


@click.group()
def group() -> None:
    """Branches that rules of programmes name together."""


@group.command("create")
@_OWNER
@click.option("--slug", required=True, help="The name that rules use.")
@click.option("--name", required=True, help="As staff know it.")
def create(owner: str, slug: str, name: str) -> None:
    """Make an empty group."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        organisation = find_organisation(session, owner)
        groups.create_branch_group(
            session, organisation_id=organisation.id, slug=slug, name=name, now=utcnow()
        )
    click.echo(f"Branch group '{slug}' is made.")


@group.command("add")
@_OWNER
@click.argument("slug")
@click.argument("branch_ids", metavar="BRANCH...", nargs=-1, required=True)
def add(owner: str, slug: str, branch_ids: tuple[str, ...]) -> None:
    """Put branches, by their ids, into a group."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        found = _find(session, owner, slug)
        for branch_id in branch_ids:
            groups.add_branch(session, found, find_branch(session, branch_id))
    click.echo(f"In '{slug}' now: {', '.join(branch_ids)}.")


@group.command("remove")
@_OWNER
@click.argument("slug")
@click.argument("branch_ids", metavar="BRANCH...", nargs=-1, required=True)
def remove(owner: str, slug: str, branch_ids: tuple[str, ...]) -> None:
    """Take branches out of a group."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        found = _find(session, owner, slug)
        for branch_id in branch_ids:
            groups.remove_branch(session, found, find_branch(session, branch_id))
    click.echo(f"No longer in '{slug}': {', '.join(branch_ids)}.")


@group.command("list")
@_OWNER
def list_(owner: str) -> None:
    """List an organisation's groups and the branches in them."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        organisation = find_organisation(session, owner)
        for found, branches in groups.list_branch_groups(session, organisation.id):
            click.echo(f"{found.slug}  {found.name}")
            for branch in branches:
                click.echo(f"  {branch.public_id}  {branch.name}")


def _find(session: Session, owner: str, slug: str) -> BranchGroup:
    return groups.find_branch_group(session, find_organisation(session, owner).id, slug)
