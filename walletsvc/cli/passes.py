"""`walletsvc passes`: what happened to a pass, and why a phone does not show it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import click

from walletsvc.api.timeline import present, read
from walletsvc.api.wallets import dialects
from walletsvc.cli.context import open_runtime
from walletsvc.cli.rule_books import find_anywhere
from walletsvc.core.clock import utcnow
from walletsvc.passes.announcing import announce
from walletsvc.passes.protocol import Announcement
from walletsvc.passes.timeline.report import Report
from walletsvc.passes.timeline.subject import find
from walletsvc.passes.wording.speech import LANGUAGES, Speech

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

    SERIAL_OR_CARD is the pass's serial number, or the card's number or the id of the card or
    certificate, whose passes in both wallets are told one after the other. The verdict comes
    first and last; docs/timeline.md explains each.
    """
    _tell(_read(what, since, limit, language), _story, as_json=as_json)


@passes.command()
@_what
@_json
@_language
def show(what: str, as_json: bool, language: str | None) -> None:
    """How a pass stands at this moment: what is published, who holds it, what waits."""
    _tell(_read(what, timedelta(0), 1, language), _state, as_json=as_json)


@passes.command("announce")
@click.option("--programme", "slug", required=True, metavar="SLUG", help="Whose cards.")
@click.option("--ru", nargs=2, metavar="HEADER BODY", help="In Russian.")
@click.option("--en", nargs=2, metavar="HEADER BODY", help="In English.")
@click.option("--dry-run", is_flag=True, help="Only say whom it would reach.")
def announce_(
    slug: str, ru: tuple[str, str] | None, en: tuple[str, str] | None, dry_run: bool
) -> None:
    """Tell everybody who holds a programme's cards something about them.

    One message in Google Wallet, behind everything urgent, whoever consented to what: it is for
    notices about the card (a branch moved, the terms change), not for advertising. Apple Wallet
    has no such message.
    """
    texts = {name: said for name, said in (("ru", ru), ("en", en)) if said is not None}
    words = Announcement(
        {name: header for name, (header, _) in texts.items()},
        {name: body for name, (_, body) in texts.items()},
    )
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        programme = find_anywhere(session, slug)
        reached = announce(session, dialects(runtime.settings), programme, words, utcnow())
        if dry_run:
            session.rollback()
    for reach in reached:
        how = (
            f"{'would be' if dry_run else 'are'} told, {reach.sounding} of them with a sound"
            if reach.announces
            else "are not told: this wallet has no such message"
        )
        click.echo(f"{reach.wallet}: {reach.holders} cards {how}.")


_Told = list[tuple[Report, Speech]]


def _tell(told: _Told, lines: Callable[[Report, Speech], Iterable[str]], *, as_json: bool) -> None:
    if as_json:
        speeches = {report.subject.pass_.id: speech for report, speech in told}
        answer = present(
            [report for report, _ in told], lambda report: speeches[report.subject.pass_.id]
        )
        click.echo(answer.model_dump_json(indent=2))
        return
    for number, (report, speech) in enumerate(told):
        if number:
            click.echo(f"\n{'─' * _WIDTH}\n")
        for line in lines(report, speech):
            click.echo(line)


def _story(report: Report, speech: Speech) -> Iterator[str]:
    yield from (*_head(report, speech), "")
    yield from (*_entries(report, speech), "")
    yield from _waiting(report, speech)
    yield from _phones(report, speech)
    yield from _verdict(report, speech)


def _state(report: Report, speech: Speech) -> Iterator[str]:
    yield from (*_head(report, speech), "")
    yield from _phones(report, speech)


def _read(what: str, since: timedelta, limit: int, language: str | None) -> _Told:
    with open_runtime() as runtime:
        now = runtime.installation.clock()
        with runtime.database.read_tx() as session:
            reports = [
                read(
                    session,
                    subject,
                    now=now,
                    keep=timedelta(days=runtime.settings.timeline_days),
                    since=now - since,
                    limit=limit,
                )
                for subject in find(session, what)
            ]
        spoken = language or runtime.settings.default_language
        return [(report, Speech(spoken, report.subject)) for report in reports]


def _head(report: Report, speech: Speech) -> Iterator[str]:
    subject, pass_ = report.subject, report.subject.pass_
    if subject.number is not None:
        holder = speech.word("card", number=subject.number, programme=subject.programme)
    else:
        holder = speech.word("gift", id=subject.certificate_id, programme=subject.programme)
    wallet = speech.word(pass_.wallet.value)
    kind = f"{wallet}, {subject.pass_type}"
    head = speech.word("pass", serial=pass_.serial, pass_type=kind, holder=holder)
    yield from textwrap.wrap(head, _WIDTH, subsequent_indent="  ")
    if pass_.revision:
        tag = f"{subject.epoch}-{pass_.tag}"
        yield speech.word("state", revision=pass_.revision, tag=tag, at=pass_.published_at)
    else:
        yield speech.word("state-none")
    if report.notifications is not None:
        left, of, next_at = report.notifications
        if next_at is None:
            yield speech.word("notifications-all", of=of)
        else:
            yield speech.word("notifications", left=left, of=of, next=next_at)
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
    found = report.waiting
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
