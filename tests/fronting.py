"""What gets to the framework past what stands in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from walletsvc.web.front import FAILED, Front


def front_of(app: Flask) -> Front:
    """What stands in front of the application."""
    found: Any = app.wsgi_app
    assert isinstance(found, Front)
    return found


@contextmanager
def watched(front: Front) -> Iterator[list[str]]:
    """The paths that got to the framework, and after each the error that came along."""
    behind, seen = front._application, []

    def application(environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        if FAILED in environ:
            seen.append(type(environ[FAILED]).__name__)
        return behind(environ, start_response)

    front._application = application
    yield seen
    front._application = behind
