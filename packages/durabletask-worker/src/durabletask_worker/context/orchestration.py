"""The context of an orchestration."""

from __future__ import annotations

from durabletask_worker.context.activity_calls import ActivityCalls
from durabletask_worker.context.children import Children
from durabletask_worker.context.entity_calls import EntityCalls
from durabletask_worker.context.waits import Waits
from durabletask_worker.execution.state import Continuation

__all__ = ["OrchestrationContext"]


class OrchestrationContext(ActivityCalls, Children, EntityCalls, Waits):
    """What an orchestrator knows, and the only way for it to do anything. Made by the worker."""

    def set_custom_status(self, custom_status: object) -> None:
        """Say where the orchestration is, for who reads its state. It becomes visible with the end of the turn.

        Args:
            custom_status: Any value that can be written as a payload; None to clear it.

        Raises:
            TypeError: The value cannot be written as a payload.
        """
        state = self._live()
        state.custom_status = state.converter.serialize(custom_status)

    def continue_as_new(
        self, new_input: object = None, *, save_events: bool = False, new_version: str | None = None
    ) -> None:
        """Begin anew under the same id, with another input and an empty history.

        It takes effect when the orchestrator returns or waits next; return at once. Activities and sub-orchestrations that are
        not done are left behind.

        Args:
            new_input: The input of the next generation.
            save_events: Whether external events that nobody took go on to the next generation.
            new_version: The version of the next generation; None for the same.

        Raises:
            TypeError: The input cannot be written as a payload.
        """
        state = self._live()
        state.continuation = Continuation(
            input=state.converter.serialize(new_input), save_events=save_events, version=new_version
        )
