"""The command `durabletask-worker`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from durabletask_client.connection import ConnectionSettings
from durabletask_client.errors import InvalidRequestError
from durabletask_protos.tracing.export import ExportError, export_spans

from durabletask_worker import _reload
from durabletask_worker._loading import TargetError, load
from durabletask_worker._signals import stopped_by_signals
from durabletask_worker._threads import THREAD_NAME
from durabletask_worker.concurrency import ConcurrencyOptions
from durabletask_worker.nondeterminism import command as lint
from durabletask_worker.registry import Registry
from durabletask_worker.worker import TaskHubGrpcWorker

__all__ = ["entry", "main"]

CONNECTION_STRING = "DURABLETASK_CONNECTION_STRING"
"""The environment variable that says where the task hub is, if no option does."""

_GRACE = 5.0
_LEVELS = ("debug", "info", "warning", "error")
_LIMITS: Mapping[str, str] = {
    "max_orchestrations": "maximum_concurrent_orchestration_work_items",
    "max_activities": "maximum_concurrent_activity_work_items",
    "max_entities": "maximum_concurrent_entity_work_items",
    "max_threads": "maximum_thread_pool_workers",
    "max_live": "maximum_live_executions",
}
_LAST_THREADS = 0.1
"""Seconds that threads get which are about to end."""

log = logging.getLogger("durabletask_worker.cli")


class _UsageError(Exception):
    """The command line contradicts itself."""


def entry() -> None:
    """Run the command of `sys.argv`, and leave the process, also where an activity in a thread does not end."""
    code = main()
    deadline = time.monotonic() + _LAST_THREADS

    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_NAME):
            thread.join(max(0.0, deadline - time.monotonic()))

            if thread.is_alive():
                log.warning("an activity still runs in a thread; it is cut off")
                logging.shutdown()
                os._exit(code)

    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program; None for `sys.argv`.

    Returns:
        The exit code: 0 once all is done, 1 if user code cannot be imported, 2 if the command line is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="durabletask-worker", description="Host Durable Task workers, and check them."
    )
    subparsers = parser.add_subparsers(required=True, dest="command")
    _add_run(subparsers)
    lint.add_parser(subparsers)
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    code: int = options.run(options)

    return code


def _add_run(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        help="host what a module registers",
        description=(
            "Host what a module registers, until SIGTERM or SIGINT; then drain. A second signal does not wait for what runs. "
            "The current directory is where modules are looked for first. Spans are exported as OpenTelemetry's OTEL_* variables say, "
            "unless the module has set a tracer provider."
        ),
    )
    parser.add_argument(
        "target",
        help="module:name of a Registry or a TaskHubGrpcWorker; the name may be left out where there is one only",
    )
    where = parser.add_argument_group("where the task hub is")
    where.add_argument("--address", metavar="HOST:PORT", help="the server (default: localhost:4001)")
    where.add_argument("--taskhub", metavar="NAME", help="the task hub (default: the server's default)")
    where.add_argument(
        "--connection-string",
        metavar="TEXT",
        help=f"both, and a token: 'Endpoint=https://hub.example:4001;TaskHub=orders;Token=…' (default: ${CONNECTION_STRING})",
    )
    how = parser.add_argument_group("how much at a time")

    for option, what in (
        ("orchestrations", "turns of orchestrations"),
        ("activities", "activities"),
        ("entities", "batches of operations of entities"),
        ("threads", "threads for plain functions"),
        ("live", "orchestrations kept in memory between their turns"),
    ):
        how.add_argument(f"--max-{option}", type=int, metavar="N", help=f"{what}, at most")

    parser.add_argument(
        "--filters",
        action="store_true",
        help="ask only for work that the code is here for, and leave the rest to others",
    )
    parser.add_argument(
        "--grace-period",
        type=float,
        metavar="SECONDS",
        help=f"how long to wait for what runs when told to stop (default: {_GRACE:g})",
    )
    parser.add_argument("--reload", action="store_true", help="start anew when a Python file changes; for development")
    parser.add_argument("--log-level", choices=_LEVELS, default="info", help="what to log (default: %(default)s)")
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )

    if options.reload:
        return _reload.Supervisor(
            [sys.executable, "-m", "durabletask_worker", *_again(options)],
            roots=_reload.roots_of(options.target),
            grace=_GRACE if options.grace_period is None else options.grace_period,
            logger=log,
        ).run()

    try:
        worker = _worker(options)
        export_spans(os.environ, "durabletask-worker", 'run pip install "durabletask-worker[telemetry]"')
    except (ExportError, TargetError, _UsageError, InvalidRequestError, ValueError) as error:
        print(f"durabletask-worker: {error}", file=sys.stderr)  # noqa: T201 - a message for the one at the terminal

        return 2
    except Exception:
        log.exception("%s cannot be imported", options.target.partition(":")[0])

        return 1

    return asyncio.run(_serve(worker, is_supervised=options.supervised))


async def _serve(worker: TaskHubGrpcWorker, *, is_supervised: bool) -> int:
    if is_supervised:
        loop = asyncio.get_running_loop()
        threading.Thread(target=_stop_at_end_of_input, args=(worker, loop), daemon=True).start()

    with stopped_by_signals(worker.stop, log) as signals:
        log.info("working; Ctrl-C stops")
        await worker.run()

    log.info("stopped")

    return 0 if len(signals) < 2 else 128 + signals[-1]


def _stop_at_end_of_input(worker: TaskHubGrpcWorker, loop: asyncio.AbstractEventLoop) -> None:
    with suppress(OSError, ValueError):
        while os.read(0, 1024):
            pass

    # On the loop, which comes to it once the worker runs: one that does not run yet is not stopped. The loop is closed if it has ended.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(worker.stop)


def _worker(options: argparse.Namespace) -> TaskHubGrpcWorker:
    found = load(options.target)

    if isinstance(found, TaskHubGrpcWorker):
        _refuse_settings(options)

        return found

    worker = TaskHubGrpcWorker(
        registry=found,
        connection=_connection(options),
        concurrency_options=ConcurrencyOptions(
            **{field: getattr(options, name) for name, field in _LIMITS.items() if getattr(options, name) is not None}
        ),
        grace_period=_GRACE if options.grace_period is None else options.grace_period,
    )

    if options.filters:
        worker.use_work_item_filters()

    log.info("hosting %s", _described(found))

    return worker


def _connection(options: argparse.Namespace) -> ConnectionSettings:
    if options.connection_string is not None and (options.address is not None or options.taskhub is not None):
        raise _UsageError("--connection-string says where the task hub is; drop --address and --taskhub, or it")

    if options.connection_string is not None:
        return ConnectionSettings.parse(options.connection_string)

    if options.address is None and options.taskhub is None and os.environ.get(CONNECTION_STRING):
        return ConnectionSettings.parse(os.environ[CONNECTION_STRING])

    return ConnectionSettings(host_address=options.address, taskhub=options.taskhub)


def _refuse_settings(options: argparse.Namespace) -> None:
    """A worker that the module has made has settings of its own."""
    names = ("address", "taskhub", "connection_string", "filters", "grace_period", *_LIMITS)
    given = [_option(name) for name in names if _is_given(getattr(options, name))]

    if given:
        raise _UsageError(
            f"{options.target} is a worker with settings of its own; drop {', '.join(given)}, or name a Registry"
        )


def _again(options: argparse.Namespace) -> list[str]:
    """The command line of the process that does the work."""
    values = ("address", "taskhub", "connection_string", "grace_period", "log_level", *_LIMITS)

    return [
        *("run", options.target, "--supervised"),
        *(f"{_option(name)}={getattr(options, name)}" for name in values if _is_given(getattr(options, name))),
        *(["--filters"] if options.filters else []),
    ]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _is_given(value: object) -> bool:
    return value is not None and value is not False


def _described(registry: Registry) -> str:
    counts = (
        (len(registry.orchestrators), "orchestrator", "orchestrators"),
        (len(registry.activities), "activity", "activities"),
        (len(registry.entities), "entity", "entities"),
    )

    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts)
