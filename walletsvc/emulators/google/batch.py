"""Batches: multipart/mixed, an HTTP request in each part, up to a thousand of them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from walletsvc.emulators.google.errors import GLOBAL, ApiError
from walletsvc.emulators.google.http import target

MAX_PARTS: Final = 1000
_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_BLANK: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """A request inside a batch; `authorization` where the part has one of its own."""

    content_id: str | None
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    authorization: str | None


def _bad(message: str) -> ApiError:
    return ApiError(400, "badRequest", message, domain=GLOBAL)


def read(content_type: str, body: bytes) -> list[Part]:
    """The parts in their order; raises ApiError 400 when they cannot be read or are too many."""
    match = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/mixed") or match is None:
        raise _bad("A batch must be multipart/mixed and name its boundary.")
    delimiter = b"--" + match[1].encode("latin-1")
    if not body.startswith(delimiter):
        body = body.partition(b"\n" + delimiter)[2]
    else:
        body = body[len(delimiter) :]
    chunks = body.split(b"\n" + delimiter)
    if not chunks[-1].startswith(b"--"):
        raise _bad("The batch is cut off: its last boundary is missing.")
    if len(chunks) - 1 > MAX_PARTS:
        raise _bad(f"The batch has more than {MAX_PARTS} parts.")
    if len(chunks) == 1:
        raise _bad("The batch has no parts.")
    return [_part(chunk) for chunk in chunks[:-1]]


def _part(chunk: bytes) -> Part:
    outer, *rest = _BLANK.split(chunk, maxsplit=1)
    if not rest:
        raise _bad("A part has no request.")
    headers = _headers(outer)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/http":
        raise _bad("Each part must have the content type application/http.")
    head, *bodies = _BLANK.split(rest[0], maxsplit=1)
    line, _, lines = head.lstrip(b"\r\n").partition(b"\n")
    words = line.decode("latin-1").split()
    if len(words) not in (2, 3):
        raise _bad("A part does not start with a request line.")
    inner = _headers(lines)
    body = bodies[0] if bodies else b""
    length = inner.get("content-length", "")
    # Without a length the body ends at the line break that belongs to the boundary.
    body = body[: int(length)] if length.isdigit() else body.rstrip(b"\r\n")
    path, query = target(words[1])
    return Part(headers.get("content-id"), words[0], path, query, body, inner.get("authorization"))


def _headers(lines: bytes) -> dict[str, str]:
    found = {}
    for line in lines.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


def render(answers: Sequence[tuple[str | None, int, bytes]]) -> tuple[str, bytes]:
    """Content type and body of the answer; each item is a part's id, status and body."""
    boundary = f"batch_{secrets.token_urlsafe(16)}"
    pieces = []
    for content_id, status, body in answers:
        named = f"Content-ID: {_answered(content_id)}\r\n" if content_id else ""
        pieces.append(
            f"--{boundary}\r\nContent-Type: application/http\r\n{named}\r\n"
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            "Content-Type: application/json; charset=UTF-8\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        )
        pieces += [body, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("latin-1"))
    return f"multipart/mixed; boundary={boundary}", b"".join(pieces)


def _answered(content_id: str) -> str:
    inner = content_id.strip("<>")
    return f"<response-{inner}>"
