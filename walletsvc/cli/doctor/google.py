"""Google Wallet: from the key to the callback, each link tried, each fault with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.app import Installation
from walletsvc.cli.doctor import google_account, google_address, google_classes
from walletsvc.cli.doctor.findings import Finding
from walletsvc.google import breaker
from walletsvc.google.client import GoogleClient
from walletsvc.google.issuer import former_issuers
from walletsvc.google.models import IssuerState
from walletsvc.google.reconciling import report as reports
from walletsvc.settings import Settings

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 10.0
_LATE_MESSAGE_SECONDS: Final = 3600.0
_MOST_REFUSALS: Final = 3


def examine(installation: Installation) -> Iterator[Finding]:
    """Everything about Google Wallet; what depends on a link that is broken is not tried."""
    settings = installation.settings
    if not settings.google_issuer_id:
        yield from _absent(settings)
        with installation.database.read_tx() as session:
            yield from former(session, "")
        return
    account, found = google_account.key(settings)
    yield found
    if account is not None:
        yield google_account.clock(account, installation.clock)
        token = google_account.token(account)
        yield token
        if not token.problem:
            yield from _asked(installation, account)
    yield from google_address.examine(installation)
    with installation.database.read_tx() as session:
        yield from former(session, settings.google_issuer_id)
        yield from sending(session, settings.google_issuer_id, installation.clock())


def _absent(settings: Settings) -> Iterator[Finding]:
    if settings.google_key is None:
        yield Finding("google", "not part of this installation (WALLETSVC_GOOGLE_ISSUER_ID)")
        return
    yield Finding(
        "google",
        "there is a key and no issuer: set WALLETSVC_GOOGLE_ISSUER_ID to the issuer id that the"
        " Google Pay and Wallet console shows.",
        problem=True,
    )


def _asked(installation: Installation, account: google_account.Account) -> Iterator[Finding]:
    settings = installation.settings
    client = GoogleClient(
        account.credentials,
        settings.google_url,
        connect_seconds=_CONNECT_SECONDS,
        read_seconds=_READ_SECONDS,
    )
    try:
        let_in = True
        for finding in google_account.issuer(client, account, settings):
            let_in = let_in and not finding.problem
            yield finding
        if let_in:
            yield from google_classes.examine(installation, client)
    finally:
        client.close()


def former(session: Session, issuer_id: str) -> Iterator[Finding]:
    """Cards under an issuer that the setting named before."""
    for other, count in former_issuers(session, issuer_id).items():
        yield Finding(
            "google issuer of before",
            f"{count} card(s) are under the issuer {other}, and WALLETSVC_GOOGLE_ISSUER_ID is"
            f" {issuer_id or 'not set'}: they are not brought up to date any more, and their"
            " holders cannot add them again. Set the issuer id back: what stands at Google stays"
            " under it.",
            problem=True,
        )


def sending(session: Session, issuer_id: str, now: datetime) -> Iterator[Finding]:
    """Whether changes are sent, what waits, and what Google does not take."""
    issuer = breaker.status_of(session, issuer_id)
    if issuer is None:
        yield Finding("google sending", "nothing was issued yet")
        return
    if issuer.state is IssuerState.OPEN:
        yield Finding("google sending", "open")
    else:
        stopped = issuer.state is IssuerState.STOPPED
        since = f"{issuer.since:%Y-%m-%d %H:%M} UTC"
        remedy = "Put it right; then `walletsvc google resume`." if stopped else ""
        said = f"{issuer_id}: {issuer.state} since {since}: {issuer.reason} {remedy}"
        yield Finding("google sending", said.strip(), problem=stopped)
    figures = breaker.figures(session, issuer_id)
    oldest = figures.oldest_message
    late = oldest is not None and (now - oldest).total_seconds() > _LATE_MESSAGE_SECONDS
    yield Finding(
        "google waiting",
        f"{figures.urgent} urgent, {figures.bulk} in bulk, {figures.messages} message(s);"
        f" {figures.held} pass(es) in wallets",
        problem=late,
    )
    yield compared(session)
    for what, reason in breaker.refusals(session, issuer_id, _MOST_REFUSALS):
        yield Finding("google refuses", f"{what}: {reason}", problem=True)


def compared(session: Session) -> Finding:
    """When Google was last asked what it holds."""
    about = "google compared"
    last = next(iter(reports.newest(session, 1)), None)
    if last is None:
        return Finding(about, "not yet; every night, or now: `walletsvc google reconcile`")
    when = f"{last.started_at:%Y-%m-%d %H:%M} UTC"
    if last.error:
        return Finding(about, f"{when}, not to the end: {last.error}", problem=True)
    repairs = reports.counts_of(last).repairs
    return Finding(about, f"{when}: {repairs} difference(s)")
