"""Apple Wallet: certificates, channels, the way to the push service, the web service."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import certifi
from sqlmodel import Session, select

from walletsvc.app import Installation
from walletsvc.apple import identity, readiness
from walletsvc.apple.models import ChannelState
from walletsvc.cli.doctor.findings import Finding
from walletsvc.cli.doctor.reach import ask, is_local
from walletsvc.passes.models import PassType, Wallet
from walletsvc.settings import Settings

_SECONDS: Final = 5.0


def examine(installation: Installation) -> Iterator[Finding]:
    """Everything about Apple Wallet."""
    settings = installation.settings
    with installation.database.read_tx() as session:
        wrong = identity.check(session, settings, installation.clock())
        types = list(
            session.exec(
                select(PassType.identifier)
                .where(PassType.wallet == Wallet.APPLE)
                .order_by(PassType.identifier)
            )
        )
        shut = list(channels(session))
    for each in wrong:
        error = each.severity is identity.Severity.ERROR
        yield Finding("certificates", f"{'' if error else 'warning: '}{each}", problem=error)
    if not wrong:
        state = "in order" if types else "none yet (walletsvc certs dev makes some to try)"
        yield Finding("certificates", state)
    yield from shut
    if types:
        yield push_service(settings.apns_url, settings.apns_ca_file)
        yield web_service(settings, types[0])


def channels(session: Session) -> Iterator[Finding]:
    """Pass types whose pushes are not sent."""
    for shut in readiness.shut_channels(session):
        stopped = shut.state is ChannelState.STOPPED
        remedy = " Put it right; then `walletsvc pushes resume`." if stopped else ""
        yield Finding("pushes", f"{shut}{remedy}", problem=stopped)


def push_service(url: str, ca_file: Path | None) -> Finding:
    """Whether this host reaches the push service and can trust it; nothing is sent."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    where = f"{host}:{port}"
    try:
        context = ssl.create_default_context(cafile=str(ca_file or certifi.where()))
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            protocol = secure.selected_alpn_protocol()
    except ssl.SSLError as error:
        return Finding(
            "push service",
            f"{where} is not trusted ({error.reason}): something in between answers in its place,"
            " or WALLETSVC_APNS_CA_FILE is not its authority.",
            problem=True,
        )
    except OSError as error:
        return Finding(
            "push service",
            f"{where} cannot be reached ({error.strerror or error}): let this host connect out to"
            f" {where}, without a proxy.",
            problem=True,
        )
    if protocol != "h2":
        return Finding(
            "push service",
            f"{where} does not speak HTTP/2: see WALLETSVC_APNS_URL, and what lies in between.",
            problem=True,
        )
    return Finding("push service", f"{where} answers")


def web_service(settings: Settings, pass_type: str) -> Finding:
    """Whether phones' calls arrive: one without a token has to be turned away by us."""
    url = f"{settings.base_url}/apple/v1/passes/{pass_type}/doctor"
    said = ask(url)
    if said.status == 401:
        return Finding("web service", "answers under /apple/")
    local = is_local(settings.base_url)
    if said.status is None:
        return Finding("web service", f"{said.error} under /apple/", problem=not local)
    return Finding(
        "web service",
        f"GET /apple/v1/passes/… without a token is answered {said.status}, not 401: the proxy must"
        " pass /apple/ on to `walletsvc web`, answer nothing itself and keep no copies.",
        problem=True,
    )
