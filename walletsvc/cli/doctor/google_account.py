"""The service account at Google: its key, this host's clock, the token, the scope, the console."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final

import orjson
import requests
from google.auth import exceptions
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from walletsvc.cli.doctor.findings import Finding
from walletsvc.core.clock import Clock
from walletsvc.core.errors import ConfigurationError
from walletsvc.google import client as clients
from walletsvc.google.answers import explain
from walletsvc.google.client import Answer, ApiRequest, GoogleClient
from walletsvc.settings import Settings

_CONSOLE: Final = "the Google Pay and Wallet console (https://pay.google.com/business/console)"
_NEW_KEY: Final = (
    "make a key in Google Cloud (IAM, Service accounts, Keys, Add key, JSON) and give its file as"
    " WALLETSVC_GOOGLE_KEY_FILE."
)
_SECONDS: Final = 10.0
# Google allows an assertion five minutes; links and callbacks have moments in them too.
CLOCK_SECONDS: Final = 30.0
_FIELDS: Final = ("client_email", "private_key", "token_uri")
_SCOPE_REASONS: Final = frozenset(
    {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientScopes"}
)
_OFF_REASONS: Final = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})

# What Google says of an assertion that it refuses, and what that means.
_REFUSALS: Final = (
    (
        ("timeframe", "iat and exp"),
        "the clock of this host is wrong: let it keep time by NTP.",
    ),
    (
        ("signature", "kid is not"),
        f"the key was deleted or replaced in Google Cloud: {_NEW_KEY}",
    ),
    (
        ("account not found", "not a known service account", "invalid issuer"),
        f"the service account {{email}} does not exist any more: make one, and {_NEW_KEY}",
    ),
    (
        ("disabled",),
        "the service account {email} is disabled: enable it in Google Cloud.",
    ),
)


@dataclass(frozen=True)
class Account:
    """The service account, as its key names it."""

    email: str
    project: str
    token_uri: str
    credentials: service_account.Credentials


def key(settings: Settings) -> tuple[Account | None, Finding]:
    """The account of the key, and what there is to say of the key; never a word out of it."""
    if settings.google_key is None:
        return None, _of_key(f"WALLETSVC_GOOGLE_KEY_FILE is not set: {_NEW_KEY}")
    try:
        info = orjson.loads(settings.google_key.get_secret_value())
    except orjson.JSONDecodeError:
        info = None
    if not isinstance(info, dict):
        return None, _of_key(f"it is not JSON, or not all of the file: {_NEW_KEY}")
    if "installed" in info or "web" in info:
        return None, _of_key(f"it is an OAuth client's, not a service account's: {_NEW_KEY}")
    if info.get("type") != "service_account":
        return None, _of_key(f"its `type` is not `service_account`: {_NEW_KEY}")
    missing = [name for name in _FIELDS if not isinstance(info.get(name), str)]
    if missing:
        return None, _of_key(f"it lacks {', '.join(missing)}: {_NEW_KEY}")
    try:
        credentials = clients.credentials(settings)
    except ConfigurationError:
        return None, _of_key(f"its private key cannot be read: {_NEW_KEY}")
    project = str(info.get("project_id") or "?")
    account = Account(info["client_email"], project, info["token_uri"], credentials)
    return account, Finding("google key", f"{account.email}, project {account.project}")


def _of_key(text: str) -> Finding:
    return Finding("google key", text, problem=True)


def clock(account: Account, now: Clock) -> Finding:
    """How far this host's clock is from Google's, by the answer of the token address."""
    about = "google clock"
    try:
        before = now()
        with requests.get(account.token_uri, timeout=_SECONDS, allow_redirects=False) as answer:
            told = answer.headers.get("Date")
        here = before + (now() - before) / 2
        there = parsedate_to_datetime(told) if told else None
    except (requests.RequestException, ValueError):
        return Finding(about, "not compared: the token address does not answer")
    if there is None or there.tzinfo is None:
        return Finding(about, "not compared: the token address does not say its time")
    apart = (here - there).total_seconds()
    if abs(apart) <= CLOCK_SECONDS:
        return Finding(about, "agrees with Google's")
    fast = "ahead of" if apart > 0 else "behind"
    return Finding(
        about,
        f"this host is {abs(apart):.0f} s {fast} Google: let it keep time by NTP; Google gives no"
        " token to a clock that is five minutes off.",
        problem=True,
    )


def token(account: Account) -> Finding:
    """Whether Google gives an access token for the key."""
    about = "google token"
    try:
        account.credentials.refresh(partial(Request(), timeout=_SECONDS))
    except exceptions.TransportError:
        return Finding(
            about,
            f"{account.token_uri} does not answer: let this host connect out to it (port 443), and"
            " see the DNS and HTTPS_PROXY.",
            problem=True,
        )
    except exceptions.GoogleAuthError as error:
        return Finding(about, _explained(error, account), problem=True)
    return Finding(about, "given")


def _explained(error: exceptions.GoogleAuthError, account: Account) -> str:
    said = clients.printable(error.args[0] if error.args else type(error).__name__)
    for words, remedy in _REFUSALS:
        if any(word in said.lower() for word in words):
            return f"Google refuses the key ({said}): {remedy.format(email=account.email)}"
    return (
        f"Google refuses the key ({said}): see the service account {account.email} in Google Cloud;"
        f" if in doubt, {_NEW_KEY}"
    )


def issuer(client: GoogleClient, account: Account, settings: Settings) -> Iterator[Finding]:
    """Whether the Wallet API lets the account in, for the issuer, and to write."""
    wanted = settings.google_issuer_id
    answer = client.call(ApiRequest("GET", f"issuer/{wanted}"))
    fault = refused(answer, account)
    if fault is not None:
        yield fault
        return
    yield Finding("google scope", "accepted")
    if answer.ok:
        name = clients.printable((answer.body or {}).get("name") or "?")
        yield Finding("google issuer", f"{wanted} ({name})")
        yield _role(client, account, wanted)
        yield Finding(
            "google demo mode",
            "not told by the API: until the console gives publishing access, only its users and"
            " test accounts can save cards, which bear [TEST ONLY].",
        )
        return
    if answer.status not in (400, 403, 404):
        yield Finding("google issuer", explain(answer), problem=True)
        return
    yield _wrong_issuer(client, account, wanted)


def refused(answer: Answer, account: Account) -> Finding | None:
    """A fault that has nothing to do with the issuer."""
    said = f"{answer.status} {answer.reason}".strip()
    if answer.status is None or answer.status == 401 or answer.status >= 500:
        return Finding("google api", explain(answer), problem=True)
    message = answer.message.lower()
    if answer.reason in _SCOPE_REASONS or "authentication scopes" in message:
        return Finding(
            "google scope",
            f"the token is not good for the Wallet API ({said}): nothing may take"
            f" {clients.SCOPE} away from it; a policy of your Google Cloud organisation may.",
            problem=True,
        )
    if answer.reason in _OFF_REASONS or "has not been used" in message:
        return Finding(
            "google api",
            f"the Google Wallet API is not enabled ({said}): enable it for the project"
            f" {account.project} in Google Cloud (APIs and services, Library, Google Wallet API),"
            " and wait some minutes.",
            problem=True,
        )
    return None


def _wrong_issuer(client: GoogleClient, account: Account, wanted: str) -> Finding:
    """Another issuer knows the account, or none does."""
    listed = client.call(ApiRequest("GET", "issuer"))
    found: list[dict[str, Any]] = (listed.body or {}).get("resources") or [] if listed.ok else []
    others = [
        f"{clients.printable(each.get('issuerId'))} ({clients.printable(each.get('name') or '?')})"
        for each in found
    ]
    if others:
        text = (
            f"{account.email} is invited to {', '.join(others)}, not to {wanted}: correct"
            f" WALLETSVC_GOOGLE_ISSUER_ID, or invite it there as Developer in {_CONSOLE}, Users."
        )
    else:
        text = (
            f"{account.email} is not invited to issuer {wanted}: in {_CONSOLE}, Users, invite this"
            " address as Developer (roles in Google Cloud do not count), and compare"
            " WALLETSVC_GOOGLE_ISSUER_ID with the issuer id shown there."
        )
    return Finding("google issuer", text, problem=True)


def _role(client: GoogleClient, account: Account, wanted: str) -> Finding:
    answer = client.call(ApiRequest("GET", f"permissions/{wanted}"))
    listed = (answer.body or {}).get("permissions") or [] if answer.ok else []
    roles = {str(each.get("emailAddress")).lower(): str(each.get("role")) for each in listed}
    role = roles.get(account.email.lower(), "").lower()
    if role == "reader":
        return Finding(
            "google role",
            f"{account.email} may only read: make it Developer in {_CONSOLE}, Users.",
            problem=True,
        )
    return Finding("google role", f"may write ({role})" if role else "not told by Google")
