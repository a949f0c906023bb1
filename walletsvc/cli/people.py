"""`walletsvc people`: finding persons, making one of two, changing phones, handing out and erasing
what is known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import click
from sqlmodel import Session, col, func, select

from walletsvc.access.models import Staff
from walletsvc.access.staff import named_staff
from walletsvc.cards.models import Card
from walletsvc.cli.context import open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import rfc3339, utcnow
from walletsvc.core.errors import Conflict, InputError, NotFound, Refused
from walletsvc.enrolment.merging import service
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.enrolment.personal import erasing
from walletsvc.enrolment.personal import export as exporting
from walletsvc.enrolment.personal.models import Erasure
from walletsvc.enrolment.phones import service as phones
from walletsvc.ledger.models import Unit
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import find_organisation
from walletsvc.people.models import Person
from walletsvc.people.phones import people_of, phones_of
from walletsvc.people.queries import by_name, same_person
from walletsvc.people.rules import normalise_phone
from walletsvc.programmes.models import Programme

_MOST = 50
_REASON = click.option("--reason", required=True, help="Why; the history shows it.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, do nothing.")


@click.group()
def people() -> None:
    """Find persons, merge and part them, change a phone, tell or erase what is known of one."""


@people.command()
@click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose persons.")
@click.argument("wanted", metavar="PHONE_OR_NAME")
def find(owner: str, wanted: str) -> None:
    """List who answers a phone or has a name: id, name, phones, cards."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        organisation = find_organisation(session, owner)
        found = _wanted(session, organisation, wanted)
        if not found:
            raise NotFound("Nobody was found.")
        for person in found:
            cards = session.exec(
                select(Card.number, Programme.slug)
                .join(Programme, col(Programme.id) == col(Card.programme_id))
                .where(Card.person_id == person.id)
                .order_by(col(Card.id))
            )
            phones = ", ".join(phones_of(session, person.id)) or "no phone"
            click.echo(f"{person.public_id}  {_name(person)}  {phones}")
            for number, slug in cards:
                click.echo(f"  {slug}  {number}")


@people.command()
@click.argument("kept")
@click.argument("merged")
@_REASON
@_DRY_RUN
def merge(kept: str, merged: str, reason: str, dry_run: bool) -> None:
    """Make one person of two: MERGED is closed, what it has is KEPT's from now on (ids)."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = service.merge(
            session,
            _person(session, kept),
            _person(session, merged),
            reason=reason,
            actor=OPERATOR,
            now=utcnow(),
        )
        cards, merges = len(made.details["cards"]), len(made.details["merges"])
        click.echo(f"{cards} cards change hands, {merges} become part of another.")
        if dry_run:
            session.rollback()
        else:
            click.echo(f"Merged as {made.public_id}; undo with 'walletsvc people unmerge'.")


@people.command()
@click.argument("merge_id", metavar="MERGER")
@_REASON
@click.option("--accept-shortfall", is_flag=True, help="Though fewer points are left than came.")
@_DRY_RUN
def unmerge(merge_id: str, reason: str, accept_shortfall: bool, dry_run: bool) -> None:
    """Undo a merger of two persons."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = session.exec(select(PersonMerge).where(PersonMerge.public_id == merge_id)).first()
        if made is None:
            raise NotFound("There is no such merger.")
        undone = service.undo(
            session,
            made,
            reason=reason,
            actor=OPERATOR,
            now=utcnow(),
            accept_shortfall=accept_shortfall,
        )
        for card, amount in undone.given_back.items():
            click.echo(f"Card {card} gets {amount} back.")
        click.echo("All as before." if undone.exact else "What was bought before stays merged.")
        if dry_run:
            session.rollback()


@people.command()
@click.argument("person")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, for its owner's eyes only; it must not exist yet.",
)
def export(person: str, out: Path) -> None:
    """Write everything about PERSON (an id) to a JSON file."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        told = exporting.export(session, _person(session, person))
    try:
        out.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise InputError(f"{out} exists already.") from None
    out.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", "utf-8")
    click.echo(f"{sum(len(rows) for rows in told.values())} rows in {out}.")


@people.command()
@click.argument("person")
@_REASON
@click.option("--forfeit", is_flag=True, help="Write off the points that are left.")
@_DRY_RUN
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(person: str, reason: str, forfeit: bool, dry_run: bool, yes: bool) -> None:
    """Take everything personal of PERSON (an id) out for good; the ledger keeps its sums."""
    if not dry_run and not yes:
        # Tried first: what would be refused is refused before somebody is asked.
        with open_runtime() as runtime, runtime.database.write_tx() as session:
            who = _who(session, _person(session, person))
            points = _points(session, _erased(session, person, reason, forfeit).forfeited)
            session.rollback()
        click.echo(f"{who}, {points} points.")
        click.confirm("This cannot be undone. Erase the person?", abort=True)
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = _erased(session, person, reason, forfeit)
        for card, amount in made.forfeited.items():
            click.echo(f"Card {card}: {amount} forfeited.")
        for card, amount in made.remaining.items():
            click.echo(f"Card {card}: {amount} remains.")
        click.echo("Nothing was done." if dry_run else "The person is erased.")
        if dry_run:
            session.rollback()


@people.command("change-phone")
@click.argument("person")
@click.argument("phone")
@click.option("--former", metavar="PHONE", help="The phone that goes; who has none gets one.")
@click.option("--shared", is_flag=True, help="Others have the new phone too: a family's.")
@click.option("--mistyped", is_flag=True, help="The former was never theirs: it is not told.")
@click.option("--employee", metavar="ID", help="Who of the staff changes it.")
@_REASON
@_DRY_RUN
def change_phone(
    person: str,
    phone: str,
    former: str | None,
    shared: bool,
    mistyped: bool,
    employee: str | None,
    reason: str,
    dry_run: bool,
) -> None:
    """Give PERSON (an id), who lost the old phone, another PHONE."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        found = _person(session, person)
        own = found.organisation_id
        with _naming_holders(person):
            made = phones.change(
                session,
                found,
                former=normalise_phone(former) if former else None,
                phone=normalise_phone(phone),
                shared=shared,
                mistyped=mistyped,
                reason=reason,
                employee=named_staff(session, own, employee, "employee") if employee else None,
                actor=OPERATOR,
                now=utcnow(),
            )
        click.echo(f"The phone is {made.phone}; its holder has yet to prove it.")
        click.echo("The former phone is told." if made.told else "Nobody else is told.")
        if dry_run:
            session.rollback()
            click.echo("Nothing was done.")


@contextmanager
def _naming_holders(person: str) -> Iterator[None]:
    """Who has the phone already goes into the words too, with what to do about it."""
    try:
        yield
    except Conflict as error:
        named: list[str] = [*error.data.get("merge_with", ()), *error.data.get("people", ())]
        if not named:
            raise
        lines = [error.detail]
        if "people" in error.data:
            lines.append(f"They are {', '.join(named)}. If it is a family's phone: --shared")
        lines += [f'  walletsvc people merge {person} {each} --reason "…"' for each in named]
        raise Conflict("\n".join(lines), **error.data) from error


@people.command("phone-changes")
@click.argument("person")
def phone_changes(person: str) -> None:
    """List what PERSON's (an id) phones were, by whose word they changed, and why."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        for each in phones.history(session, _person(session, person)):
            by = each.actor
            if each.employee_id is not None:
                by = f"{session.get_one(Staff, each.employee_id).name}, {by}"
            proven = "proven" if each.proven else "not proven"
            click.echo(
                f"{rfc3339(each.changed_at)}  {each.former or '-'} -> {each.phone or '-'}"
                f" ({proven})  {by}  {each.reason}".rstrip()
            )


def _erased(session: Session, public_id: str, reason: str, forfeit: bool) -> Erasure:
    person = _person(session, public_id)
    who = _who(session, person)
    try:
        return erasing.erase(
            session, person, reason=reason, actor=OPERATOR, now=utcnow(), forfeit=forfeit
        )
    except Refused as error:
        if "points" not in error.data:
            raise
        left = _points(session, error.data["points"])
        raise Refused(
            f"{who}, {left} points: let them be spent, or write them off with --forfeit.",
            **error.data,
        ) from None


def _who(session: Session, person: Person) -> str:
    """The name, and how many cards are open, those of merged rows too."""
    open_ones = select(func.count()).where(
        col(Card.person_id).in_(same_person(session, person.id)), col(Card.closed_at).is_(None)
    )
    cards = session.exec(open_ones).one()
    return f"{_name(person)}, {cards} {'card' if cards == 1 else 'cards'}"


def _points(session: Session, amounts: Mapping[str, int]) -> str:
    """What cards, by public id, come to together, as people write it."""
    scales = session.exec(
        select(Card.public_id, Unit.scale)
        .join(Programme, col(Programme.id) == col(Card.programme_id))
        .join(Unit, col(Unit.id) == col(Programme.unit_id))
        .where(col(Card.public_id).in_(amounts))
    )
    total = sum((Decimal(amounts[card]).scaleb(-scale) for card, scale in scales), Decimal(0))
    return f"{total:,}"


def _wanted(session: Session, organisation: Organisation, wanted: str) -> list[Person]:
    try:
        phone = normalise_phone(wanted)
    except InputError:
        return list(by_name(session, organisation.id, wanted, limit=_MOST))
    return list(people_of(session, organisation.id, phone))


def _person(session: Session, public_id: str) -> Person:
    found = session.exec(select(Person).where(Person.public_id == public_id)).first()
    if found is None:
        raise NotFound(f"There is no person {public_id}.")
    return found


def _name(person: Person) -> str:
    return f"{person.first_name} {person.last_name}".strip()
