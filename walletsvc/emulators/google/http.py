"""HTTP/1.1 on loopback, a thread per connection, connections kept alive.

Small and quick rather than complete: bodies need a Content-Length.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from io import BufferedReader
from typing import Final
from urllib.parse import parse_qsl, unquote

from walletsvc.core.errors import ConfigurationError

HOST: Final = "127.0.0.1"
MAX_LINE: Final = 32_768
MAX_BODY: Final = 32 * 1024 * 1024
_BACKLOG: Final = 256

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `query` holds the last value of each parameter, header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with its body in bytes."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)


# None: the connection is cut without an answer.
Handler = Callable[[Request], Response | None]


class BadRequest(Exception):
    """Not a request that this server understands; the next one cannot be found."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def target(text: str) -> tuple[str, dict[str, str]]:
    """Path and query of a request's target."""
    path, _, query = text.partition("?")
    if path.startswith(("http://", "https://")):
        path = "/" + path.split("/", 3)[-1]
    return (unquote(path) if "%" in path else path), dict(parse_qsl(query)) if query else {}


class Server:
    """Listens from construction on; `close` ends every connection and thread."""

    def __init__(self, handler: Handler, port: int = 0, name: str = "The Google emulator") -> None:
        """Port 0 is any free one. Raises ConfigurationError when the port is taken."""
        self._handler = handler
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((HOST, port))
            self._listener.listen(_BACKLOG)
        except OSError as error:
            self._listener.close()
            what = "is taken" if error.errno == errno.EADDRINUSE else f"fails: {error.strerror}"
            raise ConfigurationError(
                f"{name} cannot listen: port {port} on {HOST} {what}."
            ) from error
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="google-accept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, cut the connections, wait for the threads."""
        with self._lock:
            self._closed = True
            threads = list(self._open.items())
        # A listener that is only closed leaves accept() waiting.
        _shut(self._listener)
        self._thread.join()
        self._listener.close()
        for connection, _ in threads:
            _shut(connection)
        for _, thread in threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._open[connection] = thread
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                while self._answer(connection, reader):
                    pass
        except OSError as error:
            logger.debug("a connection broke off: %s", error)
        finally:
            with self._lock:
                self._open.pop(connection, None)

    def _answer(self, connection: socket.socket, reader: BufferedReader) -> bool:
        """Answer one request; whether another may follow on the connection."""
        try:
            found = _read(connection, reader)
        except (BadRequest, ValueError) as error:
            status = error.status if isinstance(error, BadRequest) else 400
            connection.sendall(_render(Response(str(error).encode(), status, "text/plain"), False))
            return False
        if found is None:
            return False
        request, keep_alive = found
        response = self._handler(request)
        if response is None:
            return False
        connection.sendall(_render(response, keep_alive))
        return keep_alive


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        logger.debug("closed already: %s", error)


def _read(connection: socket.socket, reader: BufferedReader) -> tuple[Request, bool] | None:
    """The next request and whether the connection is to be kept; None when the client left."""
    start = reader.readline(MAX_LINE)
    if not start:
        return None
    words = start.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400, "This is not an HTTP/1.1 request.")
    headers: dict[str, str] = {}
    while (line := reader.readline(MAX_LINE)) not in (b"\r\n", b"\n"):
        if not line:
            return None
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise BadRequest(411, "Send the body with a Content-Length.")
    length = int(headers.get("content-length") or 0)
    if not 0 <= length <= MAX_BODY:
        raise BadRequest(413, f"The body is larger than {MAX_BODY} bytes.")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = reader.read(length) if length else b""
    if len(body) < length:
        return None
    path, query = target(words[1])
    wants = headers.get("connection", "" if words[2] == "HTTP/1.1" else "close").lower()
    return Request(words[0], path, query, headers, body), wants != "close"


def _render(response: Response, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + response.body
