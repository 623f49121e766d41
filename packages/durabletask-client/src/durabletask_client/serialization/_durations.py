"""ISO 8601 durations, which is how other languages write theirs, too."""

from __future__ import annotations

import re
from datetime import timedelta

_ISO = re.compile(
    r"(?P<sign>[+-])?P(?=[\dT])(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:[.,](?P<fraction>\d+))?S)?)?",
    re.ASCII,
)
_CLOCK = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d+))?",
    re.ASCII,
)
"""What .NET writes: `1.02:03:04.5000000`."""


def write_duration(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    hours, seconds = divmod(value.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""

    date = f"{value.days}D" if value.days else ""
    time = "".join(
        (
            f"{hours}H" if hours else "",
            f"{minutes}M" if minutes else "",
            f"{seconds}{fraction}S" if seconds or fraction else "",
        )
    )

    return f"{sign}P{date}T{time}" if time else f"{sign}P{date}" if date else "PT0S"


def read_duration(text: str) -> timedelta:
    found = _ISO.fullmatch(text) or _CLOCK.fullmatch(text)

    if found is None:
        raise ValueError(f"Invalid duration: {text!r}; it is written as in P1DT2H3M4.5S")

    parts = found.groupdict()
    value = timedelta(
        weeks=int(parts.get("weeks") or 0),
        days=int(parts["days"] or 0),
        hours=int(parts["hours"] or 0),
        minutes=int(parts["minutes"] or 0),
        seconds=int(parts["seconds"] or 0),
        # A timedelta ends at microseconds; others go further.
        microseconds=int((parts["fraction"] or "")[:6].ljust(6, "0")),
    )

    return -value if parts["sign"] == "-" else value
