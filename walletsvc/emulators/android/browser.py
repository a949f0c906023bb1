"""The phone's browser: no script, no cookies, and redirects that somebody can look at."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests

from walletsvc.emulators.phone.errors import Unreachable

AGENT: Final = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Mobile Safari/537.36"
)
_PATIENCE: Final = 20.0


class Browser:
    """One session; threads must not share it."""

    def __init__(self, language: str) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"User-Agent": AGENT, "Accept-Language": language})
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get(self, url: str, *, follow: bool = True) -> requests.Response:
        """The page at an address; raises Unreachable."""
        return self._ask("GET", url, allow_redirects=follow)

    def post(self, url: str, form: dict[str, str]) -> requests.Response:
        """Press a form's button; raises Unreachable."""
        return self._ask("POST", url, data=form)

    def data(self, url: str, *, wait: float = 0.0, **query: object) -> Any:
        """JSON from the emulator's control interface, which may keep us waiting so long."""
        given = {key: str(value) for key, value in query.items()}
        if wait:
            given["wait"] = f"{wait:.3f}"
        answer = self._ask("GET", url, params=given, timeout=wait + _PATIENCE)
        if answer.status_code != 200:
            raise Unreachable(f"GET {url} answered {answer.status_code}")
        return answer.json()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _ask(self, method: str, url: str, **more: Any) -> requests.Response:
        try:
            return self._session.request(method, url, **{"timeout": _PATIENCE, **more})
        except requests.RequestException as error:
            raise Unreachable(f"{method} {url} failed: {type(error).__name__}") from error
