"""What engines that are not ours lack, scenario by scenario. A scenario that works although it stands here is a failed test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """A scenario that an engine cannot do."""

    reason: str
    """What it does instead."""
    shows: str
    """A pattern of how the scenario fails: of the error's type and message."""


_CHILDREN = "what is done to an orchestration is not done to its children"
_TAGS = "tags are not kept"
_START_AT = "the time of a start is not heeded; it starts at once"
_NO_VERSIONS = "versions are not kept"
_NO_SUCH_RPC = "the call is not there"
_NO_ENTITIES = "there are no entities"
_CRASHES = "there are no entities, and what an orchestration asks of one ends the engine's process"
# Whether the wait has noticed by then that nobody is there, is a matter of moments.
_GONE = "TimeoutError: WaitForInstanceCompletion|(TimeoutError|ServerUnavailableError): .*UNAVAILABLE"
_CODES = "a refusal has no status code of its own, so the error is `RequestFailedError` and no more specific one"

PEER: Mapping[str, Lack] = {
    "child_knows_its_parent": Lack(reason="a child is not told its parent", shows="AssertionError: assert None == "),
    "failure_of_a_child_with_its_causes": Lack(
        reason="of a child's failure only the message comes to the parent", shows="AssertionError: assert False is True"
    ),
    "terminate_with_children": Lack(reason=_CHILDREN, shows="TimeoutError: .*child"),
    "start_at_a_time": Lack(reason=_START_AT, shows="AssertionError: assert datetime"),
    "rewind": Lack(
        reason="the worker is asked to rewrite the history, which ours does not",
        shows="failed: FailureDetails.*is broken",
    ),
    "terminate_from_another_orchestration": Lack(
        reason="an orchestration that terminates another is not heard", shows="TimeoutError: WaitForInstanceCompletion"
    ),
    "tags": Lack(reason=_TAGS, shows="AssertionError: assert {} == "),
    "purge_with_children": Lack(reason=_CHILDREN, shows="AssertionError: assert 1 == 4"),
}
"""PyPI `durabletask`'s in-memory backend."""

GO: Mapping[str, Lack] = {
    "event_to_another_orchestration": Lack(
        reason="what arrives is the record of the sending, which is no event", shows="NonDeterminismError"
    ),
    "start_at_a_time": Lack(reason=_START_AT, shows="AssertionError: assert datetime"),
    "id_that_is_taken": Lack(reason=_CODES, shows="RequestFailedError: .*already exists .UNKNOWN"),
    "id_of_one_that_is_done": Lack(
        reason="the policy is an older one, in which statuses alone replace nothing",
        shows="RequestFailedError: .*already exists",
    ),
    "unknown_orchestration": Lack(
        reason="events to nobody are taken, and kept for an orchestration that gets the id", shows="DID NOT RAISE"
    ),
    "restart": Lack(reason=_NO_SUCH_RPC, shows="UnsupportedRequestError: RestartInstance"),
    "rewind": Lack(reason=_NO_SUCH_RPC, shows="UnsupportedRequestError: RewindInstance"),
    "tags": Lack(reason=_TAGS, shows="AssertionError: assert {} == "),
    "version": Lack(reason=_NO_VERSIONS, shows="AssertionError: assert None == "),
    "version_of_a_child": Lack(reason=_NO_VERSIONS, shows="AssertionError: assert None == "),
    "query": Lack(reason=_NO_SUCH_RPC, shows="RequestFailedError: QueryInstances failed: unimplemented"),
    "ids_of_what_is_done": Lack(reason=_NO_SUCH_RPC, shows="UnsupportedRequestError: ListInstanceIds"),
    "history": Lack(reason=_NO_SUCH_RPC, shows="UnsupportedRequestError: StreamInstanceHistory"),
    "purge_of_one_that_is_alive": Lack(reason=_CODES, shows="RequestFailedError: .*not yet completed .UNKNOWN"),
    "entity_is_called": Lack(reason=_CRASHES, shows=_GONE),
    "entity_fails_and_keeps_its_state": Lack(reason=_CRASHES, shows=_GONE),
    "entity_is_signalled": Lack(reason=_NO_ENTITIES, shows="UnsupportedRequestError: SignalEntity"),
    "entity_signals_another": Lack(reason=_NO_ENTITIES, shows="UnsupportedRequestError: SignalEntity"),
    "entity_is_signalled_at_a_time": Lack(reason=_NO_ENTITIES, shows="UnsupportedRequestError: SignalEntity"),
    "entities_are_locked": Lack(reason=_CRASHES, shows=_GONE),
    "entities_are_queried": Lack(reason=_NO_ENTITIES, shows="UnsupportedRequestError: SignalEntity"),
    "purge_by_query": Lack(reason=_NO_SUCH_RPC, shows="RequestFailedError: PurgeInstances failed: multi-instance"),
}
"""durabletask-go's SQLite backend."""

LACKS: Mapping[str, Mapping[str, Lack]] = {"ours": {}, "peer": PEER, "go": GO}
"""By the engine's name. Ours lacks nothing."""
