"""The public address: what phones, visitors and Google call."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from walletsvc.cli.doctor.findings import Finding
from walletsvc.cli.doctor.reach import ask, hidden, is_local
from walletsvc.settings import Settings

_ABOUT = "public address"


def examine(settings: Settings) -> Iterator[Finding]:
    """Whether the address is one that phones can use, and answers."""
    url = settings.base_url
    if is_local(url):
        yield Finding(_ABOUT, f"{url}: only this machine reaches it; set WALLETSVC_PUBLIC_URL.")
    else:
        yield Finding(_ABOUT, url)
        why = hidden(urlsplit(url).hostname or "")
        if why:
            # Many a network has its own answer for a name that others resolve well.
            yield Finding(_ABOUT, f"warning: {why}; fine if that is so only in your own network.")
    yield web(url)


def web(url: str) -> Finding:
    """Whether walletsvc answers there. Nobody at an address of this machine may be meant so."""
    said = ask(f"{url}/healthz")
    if said.status == 200 and b'"ok"' in said.body:
        return Finding("web", "answers there")
    if said.status is None:
        remedy = "start `walletsvc web`"
        if not is_local(url):
            remedy += ", and see the DNS, the proxy, its TLS certificate and the firewall"
        return Finding("web", f"{said.error} at {url}: {remedy}.", problem=not is_local(url))
    return Finding(
        "web",
        f"{url}/healthz answers {said.status}, not walletsvc's: let the proxy pass everything on to"
        " `walletsvc web`.",
        problem=True,
    )
