"""`durabletask-server health`: whether a server is ready, for containers."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2

_CHECK = "/grpc.health.v1.Health/Check"


def main(arguments: Sequence[str]) -> int:
    """Ask.

    Args:
        arguments: Those after `health`.

    Returns:
        0: it is ready; 1: it is not, or does not answer, with one line on standard error that says so.
    """
    options = parser().parse_args(arguments)

    try:
        with grpc.insecure_channel(options.server) as channel:
            check = channel.unary_unary(
                _CHECK,
                health_pb2.HealthCheckRequest.SerializeToString,
                health_pb2.HealthCheckResponse.FromString,
            )
            answer = check(health_pb2.HealthCheckRequest(), timeout=options.timeout)
    except grpc.RpcError as error:
        return _unhealthy(f"{options.server}: {error.details()} ({error.code().name})")

    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        return _unhealthy(f"{options.server}: {status}")

    sys.stdout.write(f"{status}\n")

    return 0


def parser() -> argparse.ArgumentParser:
    """The sub-command's parser."""
    made = argparse.ArgumentParser(
        prog="durabletask-server health",
        description="Asks a server by the standard gRPC health service whether it is ready; the exit code says so.",
    )
    port = os.environ.get("DURABLETASK_PORT", "4001")
    made.add_argument(
        "--server", metavar="HOST:PORT", default=f"localhost:{port}", help="the server [default: %(default)s]"
    )
    made.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=2.0, help="how long it may take [default: %(default)s]"
    )

    return made


def _unhealthy(why: str) -> int:
    sys.stderr.write(f"durabletask-server health: {why}\n")

    return 1
