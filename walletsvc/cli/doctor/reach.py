"""Asking addresses, and whether others could."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

_SECONDS: Final = 5.0
_MOST_BYTES: Final = 2 * 1024 * 1024
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Reply(NamedTuple):
    """What came of a request; without a `status` nothing was answered, and `error` says why."""

    status: int | None
    body: bytes = b""
    content_type: str = ""
    error: str = ""


def ask(url: str, method: str = "GET", *, json: Any = None) -> Reply:
    """One request, not redirected. Never raises for what the network does."""
    try:
        with requests.request(
            method, url, json=json, timeout=_SECONDS, allow_redirects=False, stream=True
        ) as answer:
            body = answer.raw.read(_MOST_BYTES, decode_content=True)
            return Reply(answer.status_code, body, answer.headers.get("Content-Type", ""))
    except requests.exceptions.SSLError:
        return Reply(None, error="its TLS certificate is not one that phones trust")
    except (requests.Timeout, ReadTimeoutError):
        return Reply(None, error=f"no answer within {_SECONDS:.0f} s")
    except (requests.RequestException, HTTPError, OSError) as error:
        # The text may hold whole addresses: only the kind of failure is told.
        return Reply(None, error=f"nothing answers ({type(error).__name__})")


def is_local(url: str) -> bool:
    """Whether an address means this machine: an emulator's, or one that nobody has set yet."""
    return urlsplit(url).hostname in _LOOPBACK


def hidden(host: str) -> str | None:
    """Why a host cannot be reached from outside, as far as its addresses tell; None: it can."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return f"{host} has no address in the DNS"
    private = sorted(str(each) for each in found if not _is_public(str(each)))
    if len(private) == len(found):
        return f"{host} is {', '.join(private)} for this host, which others cannot reach"
    return None


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global
