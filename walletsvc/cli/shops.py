"""`walletsvc organisation`, `branch` and `programme`: founding a shop from the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click
from sqlmodel import select

from walletsvc.cli.context import open_runtime
from walletsvc.cli.group import LazyGroup
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import NotFound
from walletsvc.merchants.acceptance import accept, list_acceptances, stop_accepting
from walletsvc.merchants.service import (
    create_branch,
    create_organisation,
    find_organisation,
    list_branches,
    switch_branch,
)
from walletsvc.passes.code_policies import switch
from walletsvc.programmes.debt import set_debt_limit
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.programmes.service import (
    create_discount_programme,
    create_gift_programme,
    create_points_programme,
    create_stamps_programme,
)


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


@organisation.command("accept")
@click.argument("issuer")
@click.argument("acceptor")
@click.option("--points/--no-points", default=True, show_default=True, help="Its cards' points.")
@click.option(
    "--certificates/--no-certificates", default=True, show_default=True, help="Its certificates."
)
def accept_(issuer: str, acceptor: str, points: bool, certificates: bool) -> None:
    """Let ACCEPTOR take what ISSUER issued; what it takes, ISSUER owes it.

    It goes one way: for the other, say it with the names exchanged.
    """
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        parties = find_organisation(session, issuer), find_organisation(session, acceptor)
        accept(session, *parties, points, certificates, utcnow())
    click.echo(f"'{acceptor}' accepts {_what(points, certificates)} of '{issuer}'.")


@organisation.command("unaccept")
@click.argument("issuer")
@click.argument("acceptor")
def unaccept(issuer: str, acceptor: str) -> None:
    """Let ACCEPTOR take nothing of ISSUER's any more; what is owed stays owed."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        parties = find_organisation(session, issuer), find_organisation(session, acceptor)
        stop_accepting(session, *parties)
    click.echo(f"'{acceptor}' accepts nothing of '{issuer}' any more.")


@organisation.command("acceptances")
@click.argument("slug", required=False)
def acceptances(slug: str | None) -> None:
    """List who accepts what of whom, for one organisation or for all."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        only = find_organisation(session, slug).id if slug is not None else None
        for row in list_acceptances(session, only):
            what = _what(row.points, row.certificates)
            click.echo(f"{row.acceptor.slug} accepts {what} of {row.issuer.slug}")


def _what(points: bool, certificates: bool) -> str:
    words = (("points", points), ("certificates", certificates))
    return " and ".join(word for word, taken in words if taken)


@click.group(
    cls=LazyGroup, modules={"group": "branch_groups:group", "responsible": "staff:responsible"}
)
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


@branch.command("list")
@click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose branches.")
def list_branches_(owner: str) -> None:
    """List an organisation's branches and whether they are on."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        for found in list_branches(session, find_organisation(session, owner).id):
            click.echo(f"{found.public_id}  {'on' if found.active else 'off':<4}{found.name}")


@branch.command("on")
@click.argument("branch_id", metavar="ID")
def on(branch_id: str) -> None:
    """Switch a branch on: from now on it takes cards and certificates."""
    _switch(branch_id, on=True)


@branch.command("off")
@click.argument("branch_id", metavar="ID")
def off(branch_id: str) -> None:
    """Switch a branch off: from now on it takes nothing, whoever asks."""
    _switch(branch_id, on=False)


def _switch(branch_id: str, *, on: bool) -> None:
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        switched = switch_branch(session, branch_id, on=on, now=utcnow())
    click.echo(f"Branch '{switched.name}' is {'on' if on else 'off'}.")


# Their common parameters are those of the command.
_MAKERS: Final[dict[str, Callable[..., Programme]]] = {
    "points": create_points_programme,
    "gift": create_gift_programme,
    "discount": create_discount_programme,
    "stamps": create_stamps_programme,
}


@click.group(cls=LazyGroup, modules={"rules": "rule_books:rules", "tiers": "rule_books:tiers"})
def programme() -> None:
    """Schemes that cards belong to."""


@programme.command("create")
@click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose programme.")
@click.option("--slug", required=True, help="Short name in addresses and commands.")
@click.option("--name", required=True, help="As customers know it.")
@click.option("--kind", type=click.Choice([*_MAKERS]), required=True, help="What it counts.")
@click.option("--currency", default="RUB", show_default=True, help="ISO 4217 code.")
def create_programme_(owner: str, slug: str, name: str, kind: str, currency: str) -> None:
    """Start a programme; publish a template to it before its first card."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = _MAKERS[kind](
            session,
            organisation_id=find_organisation(session, owner).id,
            slug=slug,
            name=name,
            currency=currency,
            now=utcnow(),
        )
    click.echo(f"Programme '{made.slug}' is started ({made.public_id}).")


@programme.command("debt")
@click.argument("slug")
@click.argument("limit", type=int)
def debt(slug: str, limit: int) -> None:
    """Let each card of a points programme owe up to LIMIT of its smallest unit.

    It holds for cards to come and for those there are. Debt comes about when points that were
    spent are taken back with the purchase that brought them; points that come repay it first. 0
    allows none. Refused while somebody owes more.
    """
    with open_runtime() as runtime:
        changed = set_debt_limit(runtime.database, slug, limit)
    click.echo(f"Cards of '{slug}' may owe {limit}; {changed:,} accounts were changed.")


@programme.command("codes")
@click.argument("slug")
@click.argument("policy", type=click.Choice([policy.value for policy in CodePolicy]))
def codes(slug: str, policy: str) -> None:
    """Say what the cards of a programme have to show before points are spent or a discount given.

    static: their number. rolling: a code that the Apple pass changes after each use; in Google
    Wallet and on the card's page, one by the time. time_based: a code by the time only; an Apple
    pass shows the number, which identifies the card and earns. Tills go by it at once, the passes
    follow.
    """
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        found = session.exec(select(Programme).where(Programme.slug == slug)).first()
        if found is None:
            raise NotFound(f"There is no programme '{slug}'.")
        job = switch(session, found, CodePolicy(policy), actor=OPERATOR, now=utcnow())
    if job is None:
        click.echo(f"Cards of '{slug}' show {policy} codes already.")
    else:
        click.echo(f"Cards of '{slug}' show {policy} codes; job {job.public_id} tells the phones.")
