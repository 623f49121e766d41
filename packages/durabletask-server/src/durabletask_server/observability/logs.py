"""How the server logs: for people on a terminal, as JSON elsewhere. Payloads are never in it."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

_LINE = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S"
FORMATS = ("auto", "human", "json")


class JsonFormatter(logging.Formatter):
    """A line of JSON for each record: `time`, `level`, `logger`, `message`; `hub`, `instance`, `name` and `trace_id`, where they are known;
    `exception`, where there is one."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        fields: dict[str, object] = {
            "time": f"{self.formatTime(record, _TIME)}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "durable", {}),
        }

        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)

        return json.dumps(fields, ensure_ascii=False)


def log_to_stderr(level: str, format_: str, stream: TextIO = sys.stderr) -> None:
    """Have everything logged on standard error.

    Args:
        level: From which level on.
        format_: `human`, `json`, or `auto`: for people if they see it, else JSON.
        stream: Where.
    """
    handler = logging.StreamHandler(stream)

    if format_ == "json" or (format_ == "auto" and not stream.isatty()):
        handler.setFormatter(JsonFormatter())
    else:
        human = logging.Formatter(_LINE, _TIME)
        human.converter = time.gmtime
        handler.setFormatter(human)

    logging.basicConfig(level=level, handlers=[handler])

    # At debug they log each call, which is of use to their own developers.
    for library in ("aiosqlite", "grpc"):
        logging.getLogger(library).setLevel(logging.WARNING)
