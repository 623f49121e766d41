"""`durabletask-server history`: an orchestration's history as JSON, from a server or from its database."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
from durabletask_backend.errors import BackendError
from durabletask_backend.location import backend_at
from durabletask_backend.values import InstanceKey
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.history_json import dump
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from durabletask_server.engine.framing import split
from durabletask_server.engine.ids import random_id
from durabletask_server.taskhub import DEFAULT_HUB


class _NotFoundError(Exception):
    """There is no such orchestration."""


def main(arguments: Sequence[str]) -> int:
    """Export a history.

    Args:
        arguments: Those after `history`.

    Returns:
        0; or 1 when it cannot be had, with one line on standard error that says why.
    """
    options = parser().parse_args(arguments)

    try:
        if options.db is None:
            events = _from_server(options.server, options.taskhub, options.instance)
        else:
            events = asyncio.run(_from_store(options.db, options.taskhub, options.instance))
    except grpc.RpcError as error:
        return _refused(f"{error.details()} ({error.code().name})")
    except (BackendError, _NotFoundError) as error:
        return _refused(str(error))

    text = dump(options.instance, events)

    if options.output is None:
        sys.stdout.write(text)

        return 0

    try:
        options.output.write_text(text, "utf-8")
    except OSError as error:
        return _refused(f"{options.output}: {error.strerror}")

    return 0


def parser() -> argparse.ArgumentParser:
    """The sub-command's parser."""
    made = argparse.ArgumentParser(
        prog="durabletask-server history",
        description="Writes the history of an orchestration's current generation as JSON, for durabletask_embedded.replay.",
    )
    made.add_argument("instance", metavar="INSTANCE", help="the orchestration's id")
    where = made.add_mutually_exclusive_group()
    where.add_argument(
        "--server", metavar="HOST:PORT", default="localhost:4001", help="a server that runs [default: %(default)s]"
    )
    where.add_argument("--db", metavar="LOCATION", help="the database instead, while no server has it")
    made.add_argument("--taskhub", metavar="NAME", default=DEFAULT_HUB, help="the task hub [default: %(default)s]")
    made.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write it [default: standard output]")

    return made


def _from_server(address: str, hub: str, instance_id: str) -> list[pb.HistoryEvent]:
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        stub = TaskHubSidecarServiceStub(channel)
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)

        return [
            event
            for chunk in stub.StreamInstanceHistory(request, metadata=(("taskhub", hub),))
            for event in chunk.events
        ]


async def _from_store(location: str, hub: str, instance_id: str) -> list[pb.HistoryEvent]:
    backend = backend_at(location)
    # As an owner that does nothing: no engine runs, so that timers do not fire meanwhile.
    await backend.open(f"history-{random_id()}")

    try:
        key = InstanceKey(hub, instance_id)

        if await backend.get(key, payloads=False) is None:
            raise _NotFoundError(f"no orchestration instance has the id {instance_id!r} in task hub {hub!r}")

        return [
            pb.HistoryEvent.FromString(event) async for part in backend.history(key) for event in split(part.events)
        ]
    finally:
        await backend.close()


def _refused(why: str) -> int:
    sys.stderr.write(f"durabletask-server history: {why}\n")

    return 1
