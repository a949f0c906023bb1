"""Whether the images of a class can be fetched, as Google does when the class is sent."""

from __future__ import annotations

from typing import Final

import requests

from walletsvc.emulators.google.errors import Json, invalid_resource

FIELDS: Final = ("programLogo", "wideProgramLogo", "heroImage")
_MAGIC: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_PATIENCE: Final = 5.0


def check_images(resource: Json, named: Json) -> None:
    """Fetch the images that a request names; raises ApiError invalidResource for a bad one."""
    for field in FIELDS:
        if named.get(field) and resource.get(field):
            url = resource[field].get("sourceUri", {}).get("uri", "")
            problem = _problem(url)
            if problem:
                raise invalid_resource(f"{field}: the image cannot be loaded: {problem}.")


def _problem(url: str) -> str | None:
    try:
        with requests.get(url, timeout=_PATIENCE, stream=True) as answer:
            if answer.status_code != 200:
                return f"status {answer.status_code}"
            start = next(answer.iter_content(16), b"")
    except requests.RequestException as error:
        return type(error).__name__
    return None if start.startswith(_MAGIC) else "neither PNG nor JPEG"
