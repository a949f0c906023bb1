"""`walletsvc consents`: the texts people agree to, and who agreed to what."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import click
from sqlmodel import Session, select

from walletsvc.cli.context import open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import NotFound, wrong
from walletsvc.merchants.service import find_organisation
from walletsvc.people.consents import rules, service
from walletsvc.people.consents.models import Consent, ConsentText, Purpose
from walletsvc.people.models import Person

_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_OWNER = click.option("--organisation", "owner", required=True, metavar="SLUG", help="Whose text.")
_PURPOSES: Final = click.Choice([each.value for each in Purpose])


@click.group()
def consents() -> None:
    """The texts people agree to, and who agreed to what."""


@consents.command("show")
@_OWNER
@click.option("--purpose", type=_PURPOSES, help="Print this text instead of the list.")
@click.option("--version", "number", type=int, help="With --purpose: an earlier version.")
@click.option(
    "--language", type=click.Choice(rules.LANGUAGES), default="ru", show_default=True,
    help="With --purpose: in which language.",
)  # fmt: skip
def show(owner: str, purpose: str | None, number: int | None, language: str) -> None:
    """List the versions of an organisation's texts, or print one."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        organisation = find_organisation(session, owner)
        service.current_texts(session, organisation.id, utcnow())
        found = service.all_texts(session, organisation.id)
    if purpose is None:
        for each in found:
            click.echo(_line(each))
        return
    text = _chosen(found, Purpose(purpose), number)
    spoken = rules.shown_language(text.body, language)
    click.echo(f"{text.title[spoken]}\n\n{text.body[spoken]}")


@consents.command("publish")
@_OWNER
@click.option("--purpose", type=_PURPOSES, required=True, help="What is agreed to.")
@click.argument("file", type=_FILE)
def publish(owner: str, purpose: str, file: Path) -> None:
    """Make FILE the text of a purpose from now on.

    FILE is TOML with a table per language, [ru] or [en] or both, each with title and body.
    """
    title, body = _read(file)
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        organisation = find_organisation(session, owner)
        text = service.publish_text(
            session,
            organisation_id=organisation.id,
            purpose=Purpose(purpose),
            title=title,
            body=body,
            actor=OPERATOR,
            now=utcnow(),
        )
    click.echo(f"Version {text.version} of '{purpose}' is published: {text.public_id}.")


@consents.command("record")
@click.argument("person")
def record(person: str) -> None:
    """Print everything the PERSON with this id ever agreed to."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        known = session.exec(select(Person).where(Person.public_id == person)).first()
        if known is None:
            raise NotFound(f"There is no person {person}.")
        found = service.history(session, known.id)
        lines = [_told(session, each) for each in found]
    if not lines:
        click.echo("They agreed to nothing.")
    for line in lines:
        click.echo(line)


def _line(text: ConsentText) -> str:
    until = f" until {text.retired_at:%Y-%m-%d %H:%M}" if text.retired_at else ""
    intact = "" if rules.intact(text) else "  THE WORDS ARE NOT THOSE THAT WERE PUBLISHED"
    return (
        f"{text.purpose.value:<12}{text.version:>3}  {text.public_id}  "
        f"{text.published_at:%Y-%m-%d %H:%M}{until}  {','.join(text.body)}{intact}"
    )


def _told(session: Session, consent: Consent) -> str:
    text = session.get_one(ConsentText, consent.text_id)
    what = consent.purpose.value + (f" by {consent.channel.value}" if consent.channel else "")
    line = (
        f"{consent.given_at:%Y-%m-%d %H:%M} UTC  {what}, version {text.version} ({text.public_id}),"
        f" by way of {consent.way.value}, written down by {consent.actor}"
    )
    if consent.withdrawn_at is None or consent.withdrawn_way is None:
        return line
    return (
        f"{line}; ended {consent.withdrawn_at:%Y-%m-%d %H:%M} UTC by way of "
        f"{consent.withdrawn_way.value}, written down by {consent.withdrawn_actor}"
    )


def _chosen(found: list[ConsentText], purpose: Purpose, number: int | None) -> ConsentText:
    for text in found:
        if text.purpose is purpose and number in (None, text.version):
            return text
    raise NotFound(f"There is no version {number} of '{purpose.value}'.")


def _read(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise wrong("file", f"is not TOML in UTF-8: {error}", "malformed") from None
    title: dict[str, str] = {}
    body: dict[str, str] = {}
    for language, words in tables.items():
        for name, into in (("title", title), ("body", body)):
            value = words.get(name) if isinstance(words, dict) else None
            if not isinstance(value, str):
                raise wrong(f"{language}.{name}", "must be a text", "required")
            into[language] = value
    return title, body
