"""HTTP/1.1 as far as a control interface needs it: requests with a length, JSON answers.

Connections are kept alive; a body needs a Content-Length; nothing is larger than it must be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from walletsvc.core.errors import InputError, LengthRequired, TooLarge, WalletsvcError

MAX_HEAD: Final = 32_768
MAX_BODY: Final = 65_536

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; `query` holds the last value of each parameter."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer with its body in bytes."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    allow: str | None = None


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


def json_response(value: Any, status: int = 200) -> HttpResponse:
    """An answer that is this value in JSON."""
    return HttpResponse(orjson.dumps(value) + b"\n", status)


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> None:
    """Answer the requests of one connection until either side has enough."""
    try:
        while True:
            # After a request that was not understood the next one cannot be found.
            keep_alive = False
            try:
                request = await _read(reader)
                if request is None:
                    break
                keep_alive = request.keep_alive
                response = await handler(request)
            except WalletsvcError as error:
                response = json_response({"error": error.detail}, error.status)
            writer.write(_render(response, keep_alive=keep_alive))
            await writer.drain()
            if not keep_alive:
                break
    except ConnectionError as error:
        logger.debug("a control connection broke off: %s", error)
    except asyncio.CancelledError:
        # The emulator stops. Before Python 3.12 asyncio's own callback on this task trips over
        # a cancelled one and logs a traceback, so it ends here instead.
        logger.debug("a control connection is closed by the end of the emulator")
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> HttpRequest | None:
    """The next request; None when the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise TooLarge("The request's headers are too large.") from error
    start, *lines = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, version = start.split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        url = urlsplit(target)
    except ValueError as error:
        raise InputError("This is not an HTTP/1.1 request.") from error
    if not version.startswith("HTTP/1."):
        raise InputError("This port speaks HTTP/1.1 only; pushes go to the port below it.")
    if headers.get("expect", "").lower() == "100-continue":
        raise InputError("Expect: 100-continue is not supported; send the body at once.")
    wants = headers.get("connection", "" if version == "HTTP/1.1" else "close").lower()
    return HttpRequest(
        method,
        unquote(url.path),
        dict(parse_qsl(url.query, keep_blank_values=True)),
        await _read_body(reader, headers),
        keep_alive=wants != "close",
    )


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise LengthRequired("Send the body with a Content-Length.")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise InputError("Content-Length is not a number.")
    if len(length) > 9 or int(length) > MAX_BODY:
        raise TooLarge(f"The body is larger than {MAX_BODY} bytes.")
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as error:
        raise InputError("The body is shorter than its Content-Length.") from error


def _render(response: HttpResponse, *, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
    ]
    if response.allow is not None:
        lines.append(f"Allow: {response.allow}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
