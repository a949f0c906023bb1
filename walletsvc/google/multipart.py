"""Batches as Google reads them: multipart/mixed with one HTTP request per part, and the answers.

Google's own client sends batches to the real host whatever address it is given, so they are
written here. Parts are matched by Content-ID: an answer may leave some out, or come in any order.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_CONTENT_ID: Final = re.compile(rb"(?im)^content-id:\s*<?response-part-(\d+)>?\s*$")
_BLANK: Final = re.compile(rb"\r?\n\r?\n")


class Part(NamedTuple):
    """A request of a batch; `target` is an absolute path, `body` JSON or empty."""

    method: str
    target: str
    body: bytes


class PartAnswer(NamedTuple):
    """The answer to one part."""

    status: int
    body: bytes


def write(parts: Sequence[Part]) -> tuple[str, bytes]:
    """Content type and body of a batch."""
    boundary = f"batch_{secrets.token_hex(16)}"
    pieces = []
    for number, (method, target, body) in enumerate(parts):
        inner = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = (
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <part-{number}>\r\n"
            f"\r\n{method} {target} HTTP/1.1\r\n{inner}\r\n"
        )
        pieces += [head.encode("ascii"), body, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return f"multipart/mixed; boundary={boundary}", b"".join(pieces)


def read(content_type: str, body: bytes) -> dict[int, PartAnswer]:
    """The answers by number of their part; parts that cannot be read are left out.

    An answer that breaks off has lost its last part for certain, since a part is complete only
    with the boundary behind it.
    """
    match = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or match is None:
        return {}
    chunks = (b"\n" + body).split(b"\n--" + match[1].encode("latin-1"))
    found = {}
    for chunk in chunks[1:-1]:
        outer, _, inner = _split(chunk)
        number = _CONTENT_ID.search(outer)
        head, blank, content = _split(inner.lstrip(b"\r\n"))
        words = head.split(b"\n", 1)[0].split()
        if number is None or not blank or len(words) < 2 or not words[1].isdigit():
            continue
        found[int(number[1])] = PartAnswer(int(words[1]), content.strip(b"\r\n"))
    return found


def _split(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Headers, the blank line and what follows it."""
    match = _BLANK.search(text)
    if match is None:
        return text, b"", b""
    return text[: match.start()], match[0], text[match.end() :]
