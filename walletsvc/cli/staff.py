"""`walletsvc staff`: who works for an organisation."""

from __future__ import annotations

import click

from walletsvc.access.staff import create_staff, list_staff, make_responsible
from walletsvc.cli.context import open_runtime
from walletsvc.core.clock import utcnow
from walletsvc.merchants.service import find_organisation
from walletsvc.people.rules import check_email, normalise_phone


@click.group()
def staff() -> None:
    """People who work for an organisation, and are told of its members."""


@staff.command("create")
@click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whom they work for.")
@click.option("--name", required=True, help="Their name.")
@click.option("--phone", help="Where SMS to them go.")
@click.option("--email", help="Where letters to them go; these are sent first.")
@click.option("--language", type=click.Choice(["ru", "en"]), default="ru", show_default=True)
def create(owner: str, name: str, phone: str | None, email: str | None, language: str) -> None:
    """Add an employee; the id is printed."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = create_staff(
            session,
            organisation_id=find_organisation(session, owner).id,
            name=name,
            phone=normalise_phone(phone) if phone else None,
            email=check_email(email) if email else None,
            language=language,
            now=utcnow(),
        )
    click.echo(f"'{made.name}' works for '{owner}' ({made.public_id}).")


@staff.command("list")
@click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose employees.")
def list_(owner: str) -> None:
    """List an organisation's employees; of phones nothing is shown."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        for each in list_staff(session, find_organisation(session, owner).id):
            state = "left" if each.closed_at else "works"
            click.echo(f"{each.public_id}  {state:<7}{each.name}")


@click.command()
@click.argument("branch_id", metavar="ID")
@click.argument("employee", metavar="EMPLOYEE", required=False)
def responsible(branch_id: str, employee: str | None) -> None:
    """Have EMPLOYEE told of new members of a branch; without one nobody is."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        branch = make_responsible(session, branch_id, employee)
    who = f"Employee {employee}" if employee else "Nobody"
    click.echo(f"{who} is told of what happens in '{branch.name}'.")
