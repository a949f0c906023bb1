"""The language of a page: `?lang=`, then the cookie it left, then the browser, then the setting.

Texts in code and templates are English msgids. After changing one, update the catalogues in
`translations/` and compile them with `pybabel compile -d walletsvc/web/translations`; a test
names whatever is missing or stale.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, current_app, g, request
from flask_babel import Babel, gettext

from walletsvc.settings import Settings

LANGUAGES: Final = {"ru": "Русский", "en": "English"}  # each as its speakers call it
COOKIE: Final = "lang"
_DEFAULT: Final = "walletsvc-default-language"
TRANSLATIONS: Final = Path(__file__).parent / "translations"


def install(app: Flask, settings: Settings) -> None:
    """Let the app speak its languages; templates get `language` and `languages`."""
    app.extensions[_DEFAULT] = settings.default_language
    Babel(
        app,
        default_locale=settings.default_language,
        default_translation_directories=str(TRANSLATIONS),
        locale_selector=language,
    )
    app.context_processor(lambda: {"language": language(), "languages": LANGUAGES})
    app.after_request(_remember)


def language() -> str:
    """The language of the present request: `ru` or `en`."""
    if "language" not in g:
        g.language = _choose()
    return str(g.language)


def translated(message: str, **values: Any) -> str:
    """A text of the code in the language of the present request; imported as `_`, so that the
    catalogues' tools find it."""
    return str(gettext(message, **values))


def _choose() -> str:
    for wanted in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if wanted in LANGUAGES:
            return wanted
    default = str(current_app.extensions[_DEFAULT])
    return request.accept_languages.best_match(list(LANGUAGES), default) or default


def _remember(response: Response) -> Response:
    """A language chosen by hand stays chosen."""
    wanted = request.args.get("lang")
    if wanted in LANGUAGES and request.cookies.get(COOKIE) != wanted:
        response.set_cookie(
            COOKIE,
            wanted,
            max_age=timedelta(days=365),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
    return response
