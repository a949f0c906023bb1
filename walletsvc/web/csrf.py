"""Forms that only our own pages may send: a token in the form, matched with the session's cookie.

Programs have no session and are not concerned: what is protected says so, blueprint by blueprint
(`protect`) or form by form (`fresh`). Works without JavaScript.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import Blueprint, Flask, current_app, request
from flask_wtf.csrf import CSRFError, CSRFProtect

from walletsvc.core.errors import Forbidden

_EXTENSION: Final = "walletsvc.csrf"
# How long a page may stay open before its form is refused (and comes back as it was filled in).
LIFETIME: Final = timedelta(hours=6)
_SAFE: Final = ("GET", "HEAD", "OPTIONS")


def install(app: Flask, *, https: bool = False) -> None:
    """Let the app's pages hold forms; templates get `csrf_token()`. Once is enough.

    `https`: the public address is https, so that the cookie may insist on it.
    """
    if _EXTENSION in app.extensions:
        return
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=int(LIFETIME.total_seconds()),
        # The token is proof enough; many browsers and proxies take the referrer away.
        WTF_CSRF_SSL_STRICT=False,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",  # people come to forms by links in messages
        SESSION_COOKIE_SECURE=https,
    )
    app.extensions[_EXTENSION] = CSRFProtect(app)


def fresh() -> bool:
    """Whether the present form comes from a page of ours that this browser was given lately."""
    try:
        current_app.extensions[_EXTENSION].protect()
    except CSRFError:
        return False
    return True


def protect(blueprint: Blueprint) -> None:
    """Refuse every form of this blueprint that is not fresh, with Forbidden."""

    @blueprint.before_request
    def _check() -> None:
        if request.method not in _SAFE and not fresh():
            raise Forbidden("The form did not come from a page of ours that is still valid.")
