"""`walletsvc passes`: what happened to a pass, and why a phone does not show it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import click

from walletsvc.api.timeline import present
from walletsvc.apple.timeline.report import Report, read
from walletsvc.apple.timeline.subject import find
from walletsvc.apple.timeline.waiting import waiting
from walletsvc.apple.wording.speech import LANGUAGES, Speech
from walletsvc.cli.context import open_runtime

_WIDTH = 100
_AGES = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Age(click.ParamType[timedelta]):
    """A length of time such as `30m`, `12h` or `2d`."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read it; a usage error says what is expected."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", str(value))
        if match is None:
            self.fail("write minutes, hours or days, such as 30m, 12h or 2d", param, ctx)
        return int(match[1]) * _AGES[match[2]]


_what = click.argument("what", metavar="SERIAL_OR_CARD")
_json = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object, as the REST interface answers it."
)
_language = click.option(
    "--language", type=click.Choice(sorted(LANGUAGES)), help="Default: WALLETSVC_DEFAULT_LANGUAGE."
)


@click.group()
def passes() -> None:
    """Passes in phones: what happened to them."""


@passes.command()
@_what
@click.option("--since", type=Age(), default="7d", show_default=True, help="How far back.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most entries."
)
@_json
@_language
def timeline(what: str, since: timedelta, limit: int, as_json: bool, language: str | None) -> None:
    """Why did a phone not update? Everything that happened to a pass, and what it means.

    SERIAL_OR_CARD is the pass's serial number, the card's number, or the id of the card or
    certificate. The verdict comes first and last; docs/timeline.md explains each.
    """
    report, speech = _read(what, since, limit, language)
    if as_json:
        click.echo(present(report, speech).model_dump_json(indent=2))
        return
    for line in (
        *_head(report, speech),
        "",
        *_entries(report, speech),
        "",
        *_waiting(report, speech),
        *_phones(report, speech),
    ):
        click.echo(line)
    click.echo("\n".join(_verdict(report, speech)))


@passes.command()
@_what
@_json
@_language
def show(what: str, as_json: bool, language: str | None) -> None:
    """How a pass stands at this moment: what is published, who holds it, what waits."""
    report, speech = _read(what, timedelta(0), 1, language)
    if as_json:
        click.echo(present(report, speech).model_dump_json(indent=2))
        return
    for line in (*_head(report, speech), "", *_phones(report, speech)):
        click.echo(line)


def _read(what: str, since: timedelta, limit: int, language: str | None) -> tuple[Report, Speech]:
    with open_runtime() as runtime:
        now = runtime.installation.clock()
        with runtime.database.read_tx() as session:
            subject = find(session, what)
            report = read(
                session,
                subject,
                now=now,
                keep=timedelta(days=runtime.settings.timeline_days),
                since=now - since,
                limit=limit,
            )
        return report, Speech(language or runtime.settings.default_language, subject)


def _head(report: Report, speech: Speech) -> Iterator[str]:
    subject, pass_ = report.subject, report.subject.pass_
    if subject.number is not None:
        holder = speech.word("card", number=subject.number, programme=subject.programme)
    else:
        holder = speech.word("gift", id=subject.certificate_id, programme=subject.programme)
    yield speech.word("pass", serial=pass_.serial, pass_type=subject.pass_type, holder=holder)
    if pass_.revision:
        tag = f"{subject.epoch}-{pass_.tag}"
        yield speech.word("state", revision=pass_.revision, tag=tag, at=pass_.published_at)
    else:
        yield speech.word("state-none")
    yield ""
    yield from _verdict(report, speech)


def _verdict(report: Report, speech: Speech) -> Iterator[str]:
    yield from _said(f"{speech.word('verdict')}: ", *speech.finding(report.verdict))
    yield f"  [{report.verdict.code}]"


def _phones(report: Report, speech: Speech) -> Iterator[str]:
    for finding in report.findings[1:]:
        yield from _said("- ", *speech.finding(finding))
        yield f"  [{finding.code}]"
    if len(report.findings) > 1:
        yield ""


def _said(mark: str, text: str, advice: str) -> Iterator[str]:
    yield from textwrap.wrap(mark + text, _WIDTH, subsequent_indent="  ")
    yield from textwrap.wrap(f"→ {advice}", _WIDTH, initial_indent="  ", subsequent_indent="    ")


def _entries(report: Report, speech: Speech) -> Iterator[str]:
    zone = ZoneInfo(report.subject.time_zone)
    yield speech.word("zone", zone=report.subject.time_zone, since=report.since)
    if report.older is not None:
        yield speech.word("more")
    if not report.entries:
        yield speech.word("none")
    day = ""
    for entry in report.entries:
        at = entry.at.astimezone(zone)
        if f"{at:%Y-%m-%d}" != day:
            day = f"{at:%Y-%m-%d}"
            yield day
        yield from _line(at, entry.device or "", speech.kind(entry.kind), speech.entry(entry))


def _waiting(report: Report, speech: Speech) -> Iterator[str]:
    found = list(waiting(report.facts))
    if found:
        yield speech.word("waiting")
    for one in found:
        yield from textwrap.wrap(
            speech.waiting(one), _WIDTH, initial_indent="  ", subsequent_indent="    "
        )
    if found:
        yield ""


def _line(at: datetime, device: str, kind: str, text: str) -> list[str]:
    start = f"  {at:%H:%M:%S}.{at.microsecond // 1000:03d}  {kind:<12}  {device:<4}  "
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)
    ) or [start]
