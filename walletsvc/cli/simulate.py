"""`walletsvc simulate`: phones of both kinds that take cards, follow them and judge all of it."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from walletsvc import settings as settings_module
from walletsvc.emulators.android import AndroidPhone
from walletsvc.emulators.phone import (
    Event,
    Fleet,
    Kind,
    Phone,
    PhoneError,
    Pushes,
    TimedOut,
    Transport,
    Unreachable,
    Update,
    load_roots,
)

# With more phones than this their steps are counted instead of printed.
_MOST_TALKATIVE = 5
_PROGRESS_SECONDS = 2.0
_FOR_EVER = 1e9  # seconds


@click.group()
def simulate() -> None:
    """Stand-ins for what customers have in their pockets."""


@simulate.command()
@click.argument("urls", metavar="PASS_URL...", nargs=-1, required=True)
@click.option("--devices", type=click.IntRange(1, 5000), default=1, help="How many phones.")
@click.option(
    "--control",
    metavar="URL",
    help="Control interface of the push emulator. Default: one port above WALLETSVC_EMULATOR_PORT.",
)
@click.option(
    "--root",
    "root_file",
    type=click.Path(exists=True, path_type=Path),
    help="Trusted root certificates: a PEM file, or a folder of them. "
    "Without it the chain is shown, not judged.",
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Authority of the web service's TLS certificate, if not a public one.",
)
@click.option(
    "--language", type=click.Choice(["ru", "en"]), default="ru", help="The phones' language."
)
@click.option(
    "--updates",
    type=click.IntRange(0),
    help="Stop when every phone had so many updates. Default: until Ctrl-C or --timeout.",
)
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Stop after so long.")
@click.option(
    "--unregister/--keep",
    default=True,
    help="At the end delete the passes from the phones, or leave them registered.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def phone(
    urls: tuple[str, ...],
    devices: int,
    control: str | None,
    root_file: Path | None,
    ca_file: Path | None,
    language: str,
    updates: int | None,
    timeout: float | None,
    unregister: bool,
    as_json: bool,
) -> None:
    """Add the passes at PASS_URL to phones that behave as Apple Wallet does.

    Each phone checks the package, registers, waits for pushes, fetches what changed and shows
    what its lock screen would say. Exit status 0 when everything went as Wallet expects, 1 with
    one line when a package was refused, the protocol violated or the time was over.
    """
    address = control or f"http://127.0.0.1:{settings_module.load().emulator_port + 1}"
    roots = load_roots(root_file) if root_file else ()
    printer = Printer(as_json=as_json, quiet=devices > _MOST_TALKATIVE)
    transport = Transport(ca_file=ca_file)
    try:
        with (
            Pushes(address) as pushes,
            Fleet(
                pushes,
                devices,
                roots=roots,
                language=language,
                report=printer.event,
                on_update=printer.update,
                transport=transport,
            ) as fleet,
        ):
            _live(fleet, urls, updates, timeout, unregister)
    finally:
        transport.close()
        printer.summary()


def _live(
    fleet: Fleet,
    urls: tuple[str, ...],
    updates: int | None,
    timeout: float | None,
    unregister: bool,
) -> None:
    try:
        fleet.add(urls)
        fleet.wait(updates=updates, timeout=timeout)
    except KeyboardInterrupt:
        click.echo("stopping", err=True)
    except PhoneError as error:
        # The first objection is the one to tell; a service that is down is not asked again.
        if unregister and not isinstance(error, Unreachable):
            with suppress(PhoneError):
                fleet.remove_all()
        raise
    if unregister:
        fleet.remove_all()


@simulate.command()
@click.argument("urls", metavar="PAGE_URL...", nargs=-1, required=True)
@click.option(
    "--language", type=click.Choice(["ru", "en"]), default="ru", help="The phone's language."
)
@click.option(
    "--updates",
    type=click.IntRange(0),
    help="Stop after so many updates. Default: until Ctrl-C or --timeout.",
)
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Stop after so long.")
@click.option(
    "--remove/--keep",
    default=True,
    help="At the end take the cards out of the wallet, or leave them there.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def android(
    urls: tuple[str, ...],
    language: str,
    updates: int | None,
    timeout: float | None,
    remove: bool,
    as_json: bool,
) -> None:
    """Add the cards at PAGE_URL (`…/c/…`) to Google Wallet on an Android phone.

    The phone presses the button of each page, adds the card on the page of the Google Wallet
    emulator, and shows what changes on it and what Google would announce. Exit status 0 when all
    went well, 1 with one line when there was no way in, a card was refused or the time was over.
    """
    printer = Printer(as_json=as_json, quiet=False)
    with AndroidPhone(language=language, report=printer.event) as phone:
        try:
            for url in urls:
                phone.add(url)
            _watch(phone, updates, timeout)
        except KeyboardInterrupt:
            click.echo("stopping", err=True)
        except PhoneError as error:
            # The first objection is the one to tell.
            if remove and not isinstance(error, Unreachable):
                with suppress(PhoneError):
                    phone.remove_all()
            raise
        if remove:
            phone.remove_all()


def _watch(phone: AndroidPhone, updates: int | None, timeout: float | None) -> None:
    """Until so many updates came. Without a number the end of the time is no failure."""
    deadline = None if timeout is None else time.monotonic() + timeout
    seen = 0
    while updates is None or seen < updates:
        left = _FOR_EVER if deadline is None else max(0.0, deadline - time.monotonic())
        found = phone.look(left)
        seen += sum(bool(each.changes) for each in found)
        if deadline is not None and time.monotonic() >= deadline and not found:
            if updates is None:
                return
            raise TimedOut(f"{seen} of {updates} updates within {timeout:g} s")


class Printer:
    """Writes events as lines, with milliseconds since the start; many phones are counted."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._start = self._last_progress = time.monotonic()
        self._guard = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._delays: list[float] = []

    def event(self, event: Event) -> None:
        """A step of a phone."""
        with self._guard:
            self._counts[event.kind] += 1
            if self._as_json:
                self._line(event)
            elif not self._quiet or event.kind is Kind.COMPLAINED:
                text = describe(event)
                click.echo(f"{self._since(event.at):>8.0f} ms  {event.device[:6]}  {text}")
            elif event.at - self._last_progress > _PROGRESS_SECONDS:
                self._last_progress = event.at
                click.echo(f"{self._since(event.at):>8.0f} ms  {self._progress()}")

    def update(self, phone: Phone, update: Update) -> None:  # noqa: ARG002 (the callback's shape)
        """Remember how long it took from the push's arrival to the new pass."""
        if update.pushed_at is not None:
            with self._guard:
                self._delays.append((update.installed_at - update.pushed_at) * 1000)

    def summary(self) -> None:
        """What happened, all phones together; nothing for a few phones or JSON."""
        with self._guard:
            if not self._quiet or self._as_json:
                return
            click.echo(self._progress())
            if self._delays:
                worst = sorted(self._delays)[int(len(self._delays) * 0.95)]
                click.echo(
                    f"push to new pass: median {statistics.median(self._delays):.0f} ms, "
                    f"95 % within {worst:.0f} ms"
                )

    def _progress(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self._counts.items())

    def _line(self, event: Event) -> None:
        line: dict[str, Any] = {
            "ms": round(self._since(event.at), 1),
            "device": event.device,
            "event": event.kind,
            **event.details,
        }
        click.echo(json.dumps(line, ensure_ascii=False))

    def _since(self, at: float) -> float:
        return (at - self._start) * 1000


def describe(event: Event) -> str:
    """An event as a line for people."""
    kind, about = event.kind, event.details
    texts = {
        Kind.DOWNLOADED: "downloaded    {bytes} bytes",
        Kind.VERIFIED: "verified      {serial}: {chain}",
        Kind.NOTE: "note          {text}",
        Kind.REGISTERED: "registered    {serial} ({status})",
        Kind.PUSHED: "push          {topic}",
        Kind.LISTED: "listed        since {tag}: {serials}",
        Kind.FETCHED: "fetched       {serial}, {bytes} bytes",
        Kind.UNCHANGED: "unchanged     {serial}",
        Kind.UPDATED: "updated       {serial}: {changes}",
        Kind.MESSAGE: "lock screen   {text}",
        Kind.RETRYING: "retrying      in {seconds:g} s: {reason}",
        Kind.COMPLAINED: "complained    {text}",
        Kind.UNREGISTERED: "unregistered  {serial}",
        Kind.OPENED: "opened        {url}",
        Kind.PRESSED: "pressed       “{text}”",
        Kind.SAVED: "saved         {serial}: {says}",
        Kind.NOTICE: "in the card   {text}",
        Kind.ANNOUNCED: "announced     {text}",
        Kind.REMOVED: "removed       {serial}",
    }
    if kind is Kind.UPDATED:
        changes = (f"{key} {old} → {new}" for key, (old, new) in about["changes"].items())
        about = {**about, "changes": ", ".join(changes)}
    elif kind is Kind.LISTED:
        about = {**about, "serials": ", ".join(about["serials"]) or "nothing"}
    return texts[kind].format_map(about)
