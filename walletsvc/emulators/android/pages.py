"""Pages as a thumb sees them: links by their words, and the form with its button."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_Attributes = list[tuple[str, str | None]]
_SPEAKS: Final = "alert"


@dataclass
class Page:
    """What matters of a page: links (words and address), the button of its form (name and value),
    the cards that it shows, and what it says loudly."""

    links: list[tuple[str, str]] = field(default_factory=list)
    button: tuple[str, str] | None = None
    objects: list[str] = field(default_factory=list)
    alert: str = ""


def read(html: str) -> Page:
    """The page in this HTML, however sloppy it is."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._href: str | None = None
        self._alerting = ""
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: _Attributes) -> None:
        given = dict(attrs)
        if object_id := given.get("data-object"):
            self.page.objects.append(object_id)
        if tag == "a":
            self._href, self._words = given.get("href"), []
        elif tag == "button" and given.get("name"):
            self.page.button = str(given["name"]), given.get("value") or ""
        elif given.get("role") == _SPEAKS:
            self._alerting, self._words = tag, []

    def handle_endtag(self, tag: str) -> None:
        words = " ".join(" ".join(self._words).split())
        if tag == "a" and self._href is not None:
            self.page.links.append((words, self._href))
            self._href = None
        elif self._alerting and tag == self._alerting:
            self.page.alert, self._alerting = words, ""

    def handle_data(self, data: str) -> None:
        self._words.append(data)
