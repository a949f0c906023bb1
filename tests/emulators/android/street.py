"""A shop's web server with one card's page, and Google's emulator behind its button."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.emulators.google.client import Client

PAGE = '<p>Карта</p><a href="/p/1.pkpass">Apple</a> <a href="/g/1"><b>В</b>\n Google Кошелёк</a>'


@dataclass
class Street:
    """`page` is what the card's page says, `answers` what the button's address says first:
    a status and a Retry-After; then it leads to `link`."""

    url: str
    client: Client
    link: str
    page: str = PAGE
    answers: list[tuple[int, str]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)


@contextmanager
def opened(client: Client) -> Iterator[Street]:
    """Both kinds of cards are at Google; nobody holds them."""
    without = {"callbackOptions": None}
    client.insert("loyaltyClass", client.loyalty_class(**without))
    client.insert("loyaltyObject", client.loyalty_object())
    client.insert("giftCardClass", client.gift_class())
    client.insert("giftCardObject", client.gift_object())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            street.agents.append(self.headers["User-Agent"])
            status, after, location, body = 404, "", "", b""
            if self.path == "/c/1":
                status, body = 200, street.page.encode()
            elif self.path == "/g/1":
                status, after = street.answers.pop(0) if street.answers else (303, "")
                location = street.link if status == 303 else ""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for name, value in (("Location", location), ("Retry-After", after)):
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/c/1"
        street = Street(address, client, client.link())
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield street
        finally:
            server.shutdown()
            thread.join()
