"""What all pages share: the frame `base.html`, the style sheet, and how static files are cached."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from flask import Blueprint, Flask, Response, request, url_for

STATIC: Final = Path(__file__).parent / "static"
_FOREVER: Final = "public, max-age=31536000, immutable"


def install(app: Flask) -> None:
    """Give the app the shared templates, and static files under `/assets/`; once is enough."""
    if "pages" in app.blueprints:
        return
    blueprint = Blueprint(
        "pages",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/assets",
    )
    blueprint.after_request(_cache)
    app.register_blueprint(blueprint)
    app.jinja_env.globals["asset"] = asset


def asset(name: str) -> str:
    """The address of a static file. It changes with the file, so browsers may keep it for ever."""
    return url_for("pages.static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def _cache(response: Response) -> Response:
    if response.status_code == 200 and "v" in request.args:
        response.headers["Cache-Control"] = _FOREVER
    return response
