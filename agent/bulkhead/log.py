"""What the programs say about themselves: structlog, one JSON object a line on stderr, plain text on a terminal.

Events are in the past tense with keys from one list. Violations are data and never go through here
(`bulkhead.report`). Call `configure` once, first thing in a command.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol, cast

import structlog


class Log(Protocol):
    """The part of a structlog logger that this project uses."""

    def debug(self, event: str, **keys: object) -> None: ...
    def info(self, event: str, **keys: object) -> None: ...
    def warning(self, event: str, **keys: object) -> None: ...
    def error(self, event: str, **keys: object) -> None: ...


LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str = "info", as_json: bool | None = None) -> None:
    """Sends logs to stderr. `as_json` None decides by whether stderr is a terminal."""
    if as_json is None:
        as_json = not sys.stderr.isatty()
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: structlog.typing.Processor
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=colours)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def get_log() -> Log:
    """A logger; made at the top of a module, before or after `configure`."""
    return cast(Log, structlog.get_logger())
