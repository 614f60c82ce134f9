"""Owns how log lines look: JSON (or text on a terminal) on stderr, with the priority journald reads (sd-daemon(3)).

Both structlog's and the standard library's loggers end here. Keys that name secrets are masked, whoever logs them.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import orjson
import structlog

_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_SECRET_WORDS: Final = ("password", "secret", "token", "private_key", "authorization", "credential")
_HIDDEN: Final = "********"
_Event = MutableMapping[str, Any]


def configure_logging(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """Send everything to `stream` (stderr): `style` is `json`, `text` or `auto` (text on a terminal).

    Under journald (`JOURNAL_STREAM`) each line starts with `<N>`, its priority. Call again to change the level.
    """
    output = stream or sys.stderr
    is_text = style == "text" or (style == "auto" and output.isatty())
    renderer = structlog.dev.ConsoleRenderer() if is_text else _JsonLine(prefix="JOURNAL_STREAM" in os.environ)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask_secrets,
    ]
    if not is_text:
        shared.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quieten_libraries(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _quieten_libraries(level: str) -> None:
    """Libraries that tell every packet at `info` speak up from `warning` on, unless everything is wanted."""
    for name in ("asyncssh", "ncclient", "paramiko", "netmiko", "apscheduler", "uvicorn.access", "urllib3"):
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


class _JsonLine:
    """Renders one event as one line of JSON."""

    def __init__(self, *, prefix: bool) -> None:
        self._prefix = prefix

    def __call__(self, _logger: object, _method: str, event: _Event) -> str:
        """The line; what has no JSON form is written as its text."""
        line = orjson.dumps(dict(event), default=str, option=orjson.OPT_NON_STR_KEYS).decode(errors="replace")
        if not self._prefix:
            return line
        return f"<{_PRIORITIES.get(str(event.get('level')), 6)}>{line}"


def _mask_secrets(_logger: object, _method: str, event: _Event) -> _Event:
    for key, value in event.items():
        if value is not None and any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = _HIDDEN
    return event
