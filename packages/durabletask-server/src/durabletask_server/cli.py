"""`durabletask-server`: the command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version

from durabletask_server.commands import COMMANDS
from durabletask_server.observability.logs import FORMATS, log_to_stderr

DEFAULT_PORT = 4001
DEFAULT_DB = "./durabletask.sqlite3"
_ENGINE_SPANS = ("auto", "on", "off")
_LEVELS = ("debug", "info", "warning", "error")

_EPILOG = """\
Every option can be given as an environment variable, too; the command line wins.
The server stops on SIGINT or SIGTERM: it hands out no more work, gives work in flight --grace seconds, and exits with 0.
A second signal ends the wait. Nothing is lost either way, nor by a kill.
Spans and metrics are exported as OpenTelemetry's OTEL_* variables say, with pip install "durabletask-server[telemetry]".

`durabletask-server health` tells whether a server is ready, by its exit code.
`durabletask-server history INSTANCE` writes an orchestration's history as JSON; `durabletask-server history --help` tells more.
"""


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line's parser.

    Args:
        environment: Where defaults may come from.
    """
    made = argparse.ArgumentParser(
        prog="durabletask-server",
        description="Runs a Durable Task hub: durable orchestrations behind the gRPC service TaskHubSidecarService.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def option(flag: str, variable: str, default: str, text: str, **more: object) -> None:
        made.add_argument(
            flag,
            default=environment.get(variable, default),
            help=f"{text} [${variable}; default: {default or 'in memory'}]",
            **more,  # type: ignore[arg-type]
        )

    option("--host", "DURABLETASK_HOST", "localhost", "the name or address to listen on", metavar="HOST")
    option("--port", "DURABLETASK_PORT", str(DEFAULT_PORT), "the port; 0 for any free one", metavar="PORT", type=_port)
    option(
        "--db",
        "DURABLETASK_DB",
        DEFAULT_DB,
        "where to keep everything: a path or sqlite:///PATH for SQLite, empty for SQLite in memory, memory: for plain "
        "memory, or the URL of another installed backend",
        metavar="LOCATION",
    )
    option(
        "--grace",
        "DURABLETASK_GRACE",
        "5",
        "seconds that work in flight has to be finished when the server is told to stop",
        metavar="SECONDS",
        type=_seconds,
    )
    option(
        "--commit-batch-limit",
        "DURABLETASK_COMMIT_BATCH_LIMIT",
        "500",
        "changes committed together at the most; 1 is a commit per change, for benchmarks",
        metavar="N",
        type=_positive,
    )
    option(
        "--message-limit",
        "DURABLETASK_MESSAGE_LIMIT",
        str(4 << 20),
        "bytes of a work item at the most, which is what most workers receive; what needs more fails, alone, unless its worker streams "
        "histories",
        metavar="BYTES",
        type=_positive,
    )
    option(
        "--http-port",
        "DURABLETASK_HTTP_PORT",
        "",
        "the port of /livez, /readyz and, with the extra telemetry, /metrics for Prometheus; 0 for any free one; empty for none",
        metavar="PORT",
        type=_optional_port,
    )
    option(
        "--engine-spans",
        "DURABLETASK_ENGINE_SPANS",
        "auto",
        "which OpenTelemetry spans of orchestrations the server makes itself: auto for those that no worker makes, on for all, off for none",
        metavar="auto|on|off",
        type=_one_of("choice", _ENGINE_SPANS),
    )
    option(
        "--log-level",
        "DURABLETASK_LOG_LEVEL",
        "info",
        f"how much to log on standard error: {', '.join(_LEVELS)}",
        metavar="LEVEL",
        type=_one_of("level", _LEVELS),
    )
    option(
        "--log-format",
        "DURABLETASK_LOG_FORMAT",
        "auto",
        f"how: {', '.join(FORMATS)}; auto is human on a terminal, and JSON elsewhere",
        metavar="FORMAT",
        type=_one_of("format", FORMATS),
    )
    made.add_argument("--version", action="version", version=f"%(prog)s {version('durabletask-server')}")

    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server, or a sub-command.

    Returns:
        0 after a drain; 1 when it cannot start or go on, with one line on standard error that says why. Or what the sub-command gives.
    """
    given = sys.argv[1:] if arguments is None else arguments

    if given and given[0] in COMMANDS:
        code: int = import_module(COMMANDS[given[0]]).main(given[1:])

        return code

    options = parser(os.environ).parse_args(given)
    log_to_stderr(options.log_level.upper(), options.log_format)

    # Imported late, so that --help and a wrong option answer at once.
    from durabletask_backend.errors import BackendError
    from durabletask_backend.location import backend_at

    from durabletask_server.journal import JournalSettings
    from durabletask_server.observability.http import PortInUseError
    from durabletask_server.observability.telemetry import ExportError, set_up
    from durabletask_server.server import AddressInUseError, HttpOptions, serve
    from durabletask_server.settings import EngineSpans, Settings

    settings = Settings(
        journal=JournalSettings(batch_limit=options.commit_batch_limit),
        message_limit=options.message_limit,
        engine_spans=EngineSpans(options.engine_spans),
    )

    try:
        exposition = set_up(os.environ, prometheus=options.http_port is not None)
        http = None if options.http_port is None else HttpOptions(port=options.http_port, exposition=exposition)
        backend = backend_at(options.db)
        asyncio.run(
            serve(backend, host=options.host, port=options.port, grace=options.grace, settings=settings, http=http)
        )
    except (BackendError, AddressInUseError, PortInUseError, ExportError) as error:
        sys.stderr.write(f"durabletask-server: {error}\n")
        return 1

    return 0


def _one_of(what: str, choices: Sequence[str]) -> Callable[[str], str]:
    def choose(text: str) -> str:
        if text.lower() in choices:
            return text.lower()

        raise argparse.ArgumentTypeError(f"{text!r} is not a {what}; give one of {', '.join(choices)}")

    return choose


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)

    raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 0 to 65535")


def _optional_port(text: str) -> int | None:
    return _port(text) if text else None


def _positive(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)

    raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0

    if seconds >= 0:
        return seconds

    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
