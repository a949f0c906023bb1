"""What Google fetches from us and tells us: pictures, callbacks, and the keys of these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from sqlalchemy import text

from walletsvc.app import Installation
from walletsvc.cli.doctor.findings import Finding
from walletsvc.cli.doctor.reach import ask, hidden, is_local
from walletsvc.core.errors import Unavailable
from walletsvc.google.pictures import addresses
from walletsvc.google.root_keys import RootKeys
from walletsvc.google.wanted import CALLBACK
from walletsvc.settings import Settings

_MOST: Final = 10
_PNG: Final = b"\x89PNG"
_GOOGLEBOT: Final = "Googlebot"
_PICTURES: Final = text("""
SELECT v.digest, ARRAY(SELECT DISTINCT kind FROM template_images i WHERE i.version_id = v.id)
       AS kinds
  FROM template_versions v WHERE v.state = 'published' ORDER BY v.id
""")


def examine(installation: Installation) -> Iterator[Finding]:
    """Whether Google can fetch and tell what it has to, as far as this host can find out."""
    settings = installation.settings
    yield from _outside(settings)
    with installation.database.read_tx() as session:
        rows = session.execute(_PICTURES).all()
    urls = [
        url for row in rows for url in addresses(settings.base_url, row.digest, row.kinds).values()
    ]
    yield pictures(urls, local=is_local(settings.base_url))
    yield callback(settings)
    try:
        RootKeys(settings.google_pay_url, installation.clock).valid()
    except Unavailable:
        yield Finding(
            "google keys",
            f"Google's keys for callbacks cannot be had from {settings.google_pay_url}: let the"
            " hosts of `walletsvc web` connect out to it.",
            problem=True,
        )
    else:
        yield Finding("google keys", "there, for verifying callbacks")


def _outside(settings: Settings) -> Iterator[Finding]:
    """Google's own servers must reach us; an emulator on this machine reaches anything."""
    if is_local(settings.google_url):
        return
    url = settings.base_url
    if not url.startswith("https://"):
        yield Finding(
            "google reach",
            f"Google cannot reach {url}: set WALLETSVC_PUBLIC_URL to the https address that"
            " everybody reaches. It fetches pictures from it and reports there who saved a card.",
            problem=True,
        )
        return
    why = hidden(urlsplit(url).hostname or "")
    if why:
        yield Finding(
            "google reach",
            f"{why}: Google has to. Unless that is so only in your own network, publish the address"
            " in the DNS and let port 443 in.",
            problem=True,
        )


def pictures(urls: list[str], *, local: bool) -> Finding:
    """Whether the pictures of all classes are served; some of very many."""
    about = "google pictures"
    if not urls:
        return Finding(about, "no template is published yet")
    for url in urls[:_MOST]:
        said = ask(url)
        if said.status is None:
            return Finding(about, f"{url}: {said.error}", problem=not local)
        if said.status != 200 or not said.body.startswith(_PNG):
            return Finding(
                about,
                f"{url} is answered {said.status}, {said.content_type or 'no type'}, not with a"
                " PNG: let the proxy pass /google/images/ on to `walletsvc web`, to everybody.",
                problem=True,
            )
    return Finding(about, f"{len(urls[:_MOST])} served")


def callback(settings: Settings) -> Finding:
    """Whether Google's callbacks arrive: one that is not Google's has to be turned away by us."""
    about, url = "google callback", settings.base_url + CALLBACK
    said = ask(url, "POST", json={})
    if said.status is None:
        return Finding(about, f"{url}: {said.error}", problem=not is_local(url))
    if said.status == 503:
        return Finding(
            about,
            f"{url} is answered 503: `walletsvc web` cannot get Google's keys from"
            f" {settings.google_pay_url}; let it connect out to there.",
            problem=True,
        )
    if said.status == 404:
        return Finding(
            about,
            f"POST {url} is answered 404: restart `walletsvc web` if WALLETSVC_GOOGLE_ISSUER_ID was"
            f" set since it began; otherwise let the proxy pass {CALLBACK} on to it.",
            problem=True,
        )
    if said.status != 400 or b"not believed" not in said.body:
        return Finding(
            about,
            f"POST {url} is answered {said.status}, not by walletsvc: let the proxy pass"
            f" {CALLBACK} on to `walletsvc web` as it comes, without asking for a log-in.",
            problem=True,
        )
    if not _allowed(settings.base_url, url):
        return Finding(
            about,
            f"{settings.base_url}/robots.txt keeps Googlebot from {CALLBACK}, and callbacks with"
            " it: allow it there.",
            problem=True,
        )
    if not url.startswith("https://"):
        return Finding(about, f"{url} answers, but Google calls only https addresses")
    return Finding(about, f"{url} answers")


def _allowed(base_url: str, url: str) -> bool:
    said = ask(f"{base_url}/robots.txt")
    if said.status != 200:
        return True
    rules = RobotFileParser()
    rules.parse(said.body.decode("utf-8", "replace").splitlines())
    return rules.can_fetch(_GOOGLEBOT, url)
