"""Log lines: structured, with the request id, and without anybody's secrets.

Nothing here should ever meet a phone, a token, a code or a key. Redaction is the net below:
it knows the names such values go by, the forms they have, and where databases quote them.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from walletsvc.core.codes import ALPHABET

HIDDEN: Final = "[redacted]"
_SECRET_NAMES: Final = re.compile(
    r"(?i)(.*_)?(authorization|phone|e164|token|code|secret|password|passphrase|api_key|cookie)s?"
)

# Where an address carries a token: card pages, passes, links, and Apple's device identifiers,
# which are all that its list call rests on.
_PATHS: Final = (
    (re.compile(r"(?i)(/+(?:c|g)/+)[^/\s\"'?#]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(/+p/+)[^/\s\"'?#]+?(\.pkpass(?:es)?)?(?=[/\s\"'?#]|$)"), rf"\1{HIDDEN}\2"),
    (re.compile(r"(?i)(/+hooks/+messages/+[^/\s]+/+)[^/\s\"'?#]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(/+v1/+devices/+)[^/\s\"'?#]+"), rf"\1{HIDDEN}"),
)
_GROUP: Final = f"[{ALPHABET}]{{4}}"
_FORMS: Final = (
    (re.compile(r"wsk_[A-Za-z0-9_-]{4,}"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic|applepass|androidpass)\s+[^\s\"',]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"\+\d{7,15}(?!\d)"), HIDDEN),
    (re.compile(r"(?<![\w.-])[78]\d{10}(?![\w-])"), HIDDEN),
    # Gift certificates' codes: with hyphens in any case, otherwise as they are printed.
    (re.compile(rf"(?i)(?<![\w-]){_GROUP}(?:-{_GROUP}){{3}}(?![\w-])"), HIDDEN),
    (re.compile(rf"(?<![\w-]){_GROUP}(?: ?{_GROUP}){{3}}(?![\w-])"), HIDDEN),
    # How SQLAlchemy and PostgreSQL quote the values of a failed statement.
    (re.compile(r"\[parameters: .*"), f"[parameters: {HIDDEN}]"),
    (re.compile(r"DETAIL: .*"), f"DETAIL: {HIDDEN}"),
)


def redact_path(path: str) -> str:
    """The path of an address with everything secret in it taken out."""
    for pattern, replacement in _PATHS:
        path = pattern.sub(replacement, path)
    return path


def redact(text: str) -> str:
    """Free text with everything that looks like a secret taken out."""
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    return redact_path(text)


def _clean(value: object) -> object:
    match value:
        case str():
            return redact(value)
        case dict():
            return {name: _hide(str(name), item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return redact(str(value))


def _hide(name: str, value: object) -> object:
    return HIDDEN if _SECRET_NAMES.fullmatch(name) else _clean(value)


def _redactor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # structlog's own entries (names with an underscore) are objects it still needs.
    return {
        name: value if name.startswith("_") else _hide(name, value) for name, value in event.items()
    }


def _before_rendering() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
    ]


def configure(
    format: Literal["json", "console"] = "json",  # noqa: A002 - named as the setting is
    level: str = "info",
    *,
    stream: TextIO | None = None,
) -> None:
    """Set the process's logging up: ours and every library's go the same way, to stderr.

    Call it once, when a process starts.
    """
    target = stream or sys.stderr
    renderer: Callable[..., Any]
    if format == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_before_rendering(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_before_rendering(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redactor,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These tell every statement and every poll at info; what matters they say as warnings.
    for chatty in ("sqlalchemy", "alembic", "procrastinate", "asyncio", "PIL"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
