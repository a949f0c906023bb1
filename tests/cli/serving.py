"""Servers on loopback for a test: a web application, and TLS that says nothing."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.types import WSGIApplication

from werkzeug.serving import make_server

from walletsvc.emulators.apns.identity import CA_FILE, CHAIN_FILE, KEY_FILE, create_identity


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def web(app: WSGIApplication, port: int = 0) -> Iterator[str]:
    """The application's address."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def tls(folder: Path, protocol: str = "h2") -> Iterator[tuple[int, Path]]:
    """A server that shakes hands and hangs up: its port, and the authority to trust."""
    create_identity(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / CHAIN_FILE, folder / KEY_FILE)
    context.set_alpn_protocols([protocol])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        stop = threading.Event()
        thread = threading.Thread(target=_shake, args=(listener, context, stop))
        thread.start()
        try:
            yield int(listener.getsockname()[1]), folder / CA_FILE
        finally:
            stop.set()
            thread.join()


def _shake(listener: socket.socket, context: ssl.SSLContext, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            plain, _ = listener.accept()
        except TimeoutError:
            continue
        with plain:
            plain.settimeout(5)
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:  # the client does not trust us: what a test may want
                continue
