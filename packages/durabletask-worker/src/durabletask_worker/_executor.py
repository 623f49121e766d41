"""From a work item to its answer: runs turns and activities, and turns whatever they raise into failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from typing import Any

from durabletask_client.models import FailureDetails
from durabletask_client.serialization import DataConverter
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.context import ActivityContext
from durabletask_worker.errors import ActivityNotRegisteredError
from durabletask_worker.execution.replay import replay
from durabletask_worker.registry import Registration, Registry


class Executor:
    """Runs user code.

    Args:
        registry: Where the code is.
        converter: Turns values into payloads and back.
        threads: How many activities run at a time that are plain functions.
        logger: Where oddities go.
    """

    def __init__(self, registry: Registry, converter: DataConverter, threads: int, logger: logging.Logger) -> None:
        self._registry = registry
        self._converter = converter
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="durabletask-activity")
        self._logger = logger

    def close(self) -> None:
        """Start no further threads, and do not wait for those that run."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def turn(
        self, request: pb.OrchestratorRequest, past_events: Iterable[pb.HistoryEvent], token: str
    ) -> pb.OrchestratorResponse:
        """Run a turn of an orchestration, here and now: it is short, and waits for nothing.

        Args:
            request: The turn.
            past_events: Its history.
            token: What to answer under.

        Returns:
            The answer.
        """
        try:
            response = replay(
                instance_id=request.instanceId,
                execution_id=request.executionId.value if request.HasField("executionId") else None,
                registry=self._registry,
                converter=self._converter,
                logger=self._logger,
                past_events=past_events,
                new_events=request.newEvents,
            )
        except Exception as error:
            # What the code made cannot be put on the wire, a text with half a surrogate pair say. It would be no better the
            # next time, so it must not be left to be handed out again and again.
            self._logger.exception("the turn of orchestration %r cannot be answered", request.instanceId)
            response = pb.OrchestratorResponse(instanceId=request.instanceId)
            action = response.actions.add(id=-1)
            action.completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_FAILED
            action.completeOrchestration.failureDetails.CopyFrom(_failure(error))

        response.completionToken = token

        if request.HasField("orchestrationTraceContext"):
            response.orchestrationTraceContext.CopyFrom(request.orchestrationTraceContext)

        return response

    async def activity(self, request: pb.ActivityRequest, token: str) -> pb.ActivityResponse:
        """Run an activity.

        Args:
            request: The activity.
            token: What to answer under.

        Returns:
            The answer.
        """
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId, taskId=request.taskId, completionToken=token
        )
        found = self._registry.find_activity(request.name)

        if found is None:
            response.failureDetails.CopyFrom(ActivityNotRegisteredError(request.name).details.to_proto())
        elif found.signature.is_async:
            await self._finish(self._start(found, request), response)
        else:
            loop = asyncio.get_running_loop()
            awaitable = await loop.run_in_executor(self._pool, self._run, found, request, response)

            if awaitable is not None:
                await self._finish(lambda: awaitable, response)

        return response

    def _start(self, found: Registration[Callable[..., Any]], request: pb.ActivityRequest) -> Callable[[], object]:
        context = ActivityContext(orchestration_id=request.orchestrationInstance.instanceId, task_id=request.taskId)
        payload = request.input.value if request.HasField("input") else None

        return lambda: found.function(*found.signature.arguments(context, payload, self._converter))

    def _run(
        self, found: Registration[Callable[..., Any]], request: pb.ActivityRequest, response: pb.ActivityResponse
    ) -> Awaitable[object] | None:
        """In a thread: call a plain function and note its result. If it returns what is to be awaited, hand that back."""
        try:
            result = self._start(found, request)()

            if isawaitable(result):
                return result

            self._note(result, response)
        except BaseException as error:  # noqa: BLE001 - whatever it raises is its failure, and must not end the thread
            self._note_failure(error, response)

        return None

    async def _finish(self, start: Callable[[], object], response: pb.ActivityResponse) -> None:
        """On the event loop: await an activity and note its result."""
        try:
            result = start()
            self._note(await result if isawaitable(result) else result, response)
        except BaseException as error:
            task = asyncio.current_task()

            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise

            self._note_failure(error, response)

    def _note(self, result: object, response: pb.ActivityResponse) -> None:
        payload = self._converter.serialize(result)

        if payload is not None:
            response.result.value = payload

    def _note_failure(self, error: BaseException, response: pb.ActivityResponse) -> None:
        self._logger.debug("task %d of %r failed", response.taskId, response.instanceId, exc_info=error)
        response.ClearField("result")
        response.failureDetails.CopyFrom(_failure(error))


def _failure(error: BaseException) -> pb.TaskFailureDetails:
    try:
        return FailureDetails.from_exception(error).to_proto()
    except Exception:  # noqa: BLE001 - a __str__ that raises, or a text that no wire takes
        return pb.TaskFailureDetails(errorType=ascii(type(error).__qualname__), errorMessage=ascii(error.args))
