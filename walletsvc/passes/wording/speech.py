"""Findings and entries as sentences in one language and one time zone."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from walletsvc.core.money import decimal_text
from walletsvc.passes.differences import BARCODE, LOOK
from walletsvc.passes.timeline.entries import Entry, EntryKind
from walletsvc.passes.timeline.findings import Finding
from walletsvc.passes.timeline.subject import Subject
from walletsvc.passes.timeline.waiting import Waiting

LANGUAGES: Final = ("en", "ru")
_UNITS: Final = (("d", 86400.0, 172800.0), ("h", 3600.0, 7200.0), ("min", 60.0, 120.0))


class Words(NamedTuple):
    """All texts of a language by name; of a finding what it is and what to do about it."""

    findings: Mapping[str, Mapping[str, str]]
    entries: Mapping[str, str]
    waiting: Mapping[str, str]
    kinds: Mapping[str, str]
    lags: Mapping[str, str]
    causes: Mapping[str, str]
    types: Mapping[str, str]
    buzzes: Mapping[str, str]
    actions: Mapping[str, str]
    words: Mapping[str, str]


@cache
def words(language: str) -> Words:
    """The texts of one of the `LANGUAGES`."""
    with (Path(__file__).parent / f"{language}.toml").open("rb") as file:
        return Words(**tomllib.load(file))


class Speech:
    """Says what a timeline holds; moments are told in the programme's zone."""

    def __init__(self, language: str, subject: Subject) -> None:
        self._words = words(language)
        self._zone = ZoneInfo(subject.time_zone)
        self._subject = subject

    def word(self, name: str, **values: Any) -> str:
        """A short text of this language, with values of any kind in it."""
        return self._words.words[name].format(
            **{key: self.plain(value) for key, value in values.items()}
        )

    def finding(self, finding: Finding) -> tuple[str, str]:
        """What was found, and what to do about it."""
        values = {key: self.plain(value) for key, value in finding.values.items()}
        said = self._words.findings[finding.code.value]
        return said["text"].format(**values), said["advice"].format(**values)

    def waiting(self, waiting: Waiting) -> str:
        """What waits."""
        values = {"since": waiting.since, "due": waiting.due, "device": waiting.device}
        said = {key: self.plain(value) for key, value in {**values, **waiting.values}.items()}
        return self._words.waiting[waiting.kind.value].format(**said)

    def kind(self, kind: EntryKind) -> str:
        """The link of the chain in one word."""
        return self._words.kinds[kind.value]

    def entry(self, entry: Entry) -> str:
        """What happened, without its time and phone."""
        name, values = self._entry(entry)
        said = self._words.entries[name].format(
            **{key: self.plain(value) for key, value in values.items()}
        )
        if entry.seconds is None or entry.follows is None:
            return said
        lag = self._words.lags[entry.follows.value]
        return f"{said}; {lag.format(time=self.duration(entry.seconds))}"

    def plain(self, value: Any) -> str:
        """A value as it stands in a sentence."""
        if value is None:
            return "–"
        if isinstance(value, bool):
            return self.word("true" if value else "false")
        if isinstance(value, datetime):
            return f"{value.astimezone(self._zone):%Y-%m-%d %H:%M:%S}"
        if isinstance(value, timedelta):
            return self.duration(value.total_seconds())
        if isinstance(value, float):
            return str(value).replace(".", self.word("decimal"))
        return str(value)

    def duration(self, seconds: float) -> str:
        """A length of time as people say it."""
        for unit, length, least in _UNITS:
            if seconds >= least:
                return f"{round(seconds / length)} {self.word(unit)}"
        text = f"{seconds:.0f}" if seconds >= 10 else f"{max(seconds, 0):.2f}"
        return f"{text.replace('.', self.word('decimal'))} {self.word('s')}"

    def amount(self, minor: int | None, *, signed: bool = False) -> str:
        """Minor units of the programme's unit."""
        if minor is None:
            return "–"
        text = decimal_text(minor, self._subject.scale).replace(".", self.word("decimal"))
        sign = "+" if signed and minor > 0 else ""
        return f"{sign}{text} {self._subject.currency or ''}".strip()

    def differs(self, differs: Mapping[str, list[Any]]) -> str:
        """What a publication changed, such as `points 120 → 170`."""
        parts = [self._difference(key, *pair) for key, pair in differs.items()]
        return ", ".join(parts) or self.word("nothing")

    def _difference(self, key: str, before: Any, now: Any) -> str:
        if key == BARCODE:
            return self.word("barcode")
        if key == LOOK:
            if before == now:
                return self.word("look")
            return self.word("look-version", before=before, now=now)
        return f"{key.removeprefix('@')} {self._value(before)} → {self._value(now)}"

    def _value(self, value: Any) -> str:
        if isinstance(value, dict):  # money
            text = decimal_text(value.get("amount", 0), value.get("scale", 2))
            return f"{text.replace('.', self.word('decimal'))} {value.get('currency', '')}"
        return self.plain(value)

    def _entry(self, entry: Entry) -> tuple[str, dict[str, Any]]:
        detail = dict(entry.detail)
        match entry.kind:
            case EntryKind.CHANGED:
                return "changed", self._changed(detail)
            case EntryKind.PUBLISHED:
                causes = [self._words.causes.get(name, name) for name in detail.get("causes", ())]
                detail |= {"causes": ", ".join(causes), "differs": self.differs(detail["differs"])}
                first = detail.get("revision") == 1
                return ("published-first" if first else "published"), detail
            case EntryKind.PUSHED:
                return _pushed(detail), {"reason": None, "apns_id": None, "attempts": 1} | detail
            case EntryKind.SENT:
                return _sent(detail), self._sent(detail)
            case EntryKind.SAVED | EntryKind.REMOVED if detail.get("found"):
                return f"{entry.kind.value}-found", detail
            case EntryKind.SAVED:
                return ("saved-again" if (detail.get("count") or 1) > 1 else "saved"), detail
            case EntryKind.ASKED:
                since = detail.get("since") or self.word("start")
                name = "asked" if detail.get("answered") else "asked-nothing"
                return name, detail | {"since": since}
            case EntryKind.FETCHED:
                return ("fetched-page" if detail.get("page") else "fetched"), detail
            case EntryKind.REGISTERED:
                return _registered(detail), detail
            case _:
                return entry.kind.value, {"reason": None} | detail

    def _sent(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        differs = detail.get("differs")
        action = str(detail.get("action"))
        return {
            "revision": detail.get("revision"),
            "differs": f": {self.differs(differs)}" if differs else "",
            "buzz": self._words.buzzes[str(detail.get("buzz") or "none")],
            "answer": " ".join(str(detail[key]) for key in ("status", "reason") if detail.get(key)),
            "action": self._words.actions.get(action, action),
            "attempts": detail.get("attempts", 1),
            "applied": bool(detail.get("applied")),
        }

    def _changed(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        kind = str(detail["type"])
        reason, branch = detail.get("reason"), detail.get("branch")
        return {
            "type": self._words.types.get(kind, kind),
            "amount": self.amount(detail["amount"], signed=True),
            "balance": self.amount(detail.get("balance_after")),
            "reason": f" («{reason}»)" if reason else "",
            "actor": detail.get("actor"),
            "branch": f", {branch}" if branch else "",
        }


def _pushed(detail: Mapping[str, Any]) -> str:
    if detail.get("status") == 200:
        return "pushed-accepted"
    return "pushed-refused" if detail.get("status") else "pushed-failed"


def _sent(detail: Mapping[str, Any]) -> str:
    if detail.get("action") != "done":
        return "sent-failed"
    what = str(detail["what"])
    if what == "look" and "message" in detail:
        return "sent-look-message"
    return f"sent-{what}"


def _registered(detail: Mapping[str, Any]) -> str:
    if not detail.get("fresh"):
        return "registered-again"
    return "registered-stale" if detail.get("stale") else "registered"
