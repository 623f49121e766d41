"""From the work item of an activity to its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from typing import Any, NamedTuple

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import TraceContext, names
from durabletask_protos.tracing.emission import Emitter, Ending, emitter
from durabletask_protos.tracing.spans import task_attributes

from durabletask_worker._failures import wire_failure
from durabletask_worker._threads import Threads, is_cancellation
from durabletask_worker.context import ActivityContext
from durabletask_worker.execution.host import Host
from durabletask_worker.middleware import Pipeline
from durabletask_worker.registry import Registration

__all__ = ["Activities"]


class _Result(NamedTuple):
    """What an activity returned, converted already."""

    payload: str | None


class Activities:
    """Runs activities: coroutines on the event loop, plain functions in threads.

    Args:
        host: The worker.
        pipeline: What stands around them.
        threads: Where plain functions run.
        logger: Where failures go.
    """

    def __init__(self, host: Host, pipeline: Pipeline, threads: Threads, logger: logging.Logger) -> None:
        self._host = host
        self._pipeline = pipeline
        self._threads = threads
        self._logger = logger

    async def run(self, request: pb.ActivityRequest, token: str) -> pb.ActivityResponse:
        """Run an activity.

        Args:
            request: The activity.
            token: What to answer under.

        Returns:
            The answer.
        """
        tracing = emitter()

        if tracing is None:
            return await self._run(request, token)

        with _span(tracing, request) as span:
            response = await self._run(request, token)

            if response.HasField("failureDetails"):
                span.failed(response.failureDetails)

        return response

    async def _run(self, request: pb.ActivityRequest, token: str) -> pb.ActivityResponse:
        instance_id = request.orchestrationInstance.instanceId
        response = pb.ActivityResponse(instanceId=instance_id, taskId=request.taskId, completionToken=token)
        found = self._host.registry.find_activity(request.name)

        if found is None:
            response.failureDetails.CopyFrom(self._host.registry.missing_activity(request.name).details.to_proto())

            return response

        context = ActivityContext(name=request.name, orchestration_id=instance_id, task_id=request.taskId)
        payload = request.input.value if request.HasField("input") else None

        try:
            if self._pipeline.has_activity:
                result = await self._pipeline.activity(found, context, payload, partial(self._call, found))
            else:
                result = await self._call(found, partial(_called, found, context, payload, self._host))

            result_payload = result.payload if isinstance(result, _Result) else self._host.converter.serialize(result)

            if result_payload is not None:
                response.result.value = result_payload
        except BaseException as error:
            if is_cancellation(error):
                raise

            self._logger.debug("task %d of %r failed", request.taskId, instance_id, exc_info=error)
            response.ClearField("result")
            response.failureDetails.CopyFrom(wire_failure(self._host, error))

        return response

    async def _call(self, found: Registration[Callable[..., Any]], call: Callable[[], object]) -> object:
        result = call() if found.signature.is_async else await self._threads.run(call)

        # A plain function may return what is to be awaited, too.
        return await result if isawaitable(result) else result


def _span(tracing: Emitter, request: pb.ActivityRequest) -> Ending:
    name, version = request.name, request.version.value if request.HasField("version") else ""
    instance_id = request.orchestrationInstance.instanceId
    attributes = task_attributes(names.ACTIVITY, name, instance_id, version=version, task_id=request.taskId)

    return tracing.server(names.activity(name, version), TraceContext.of(request.parentTraceContext), attributes)


def _called(
    found: Registration[Callable[..., Any]], context: ActivityContext, payload: str | None, host: Host
) -> object:
    """Call an activity, from payload to payload: conversions take time, too, and do so where the activity runs."""
    result = found.function(*found.signature.arguments(context, payload, host.converter))

    return result if isawaitable(result) else _Result(host.converter.serialize(result))
