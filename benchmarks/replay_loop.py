"""What the replay programs have in common, in either environment: a line names a history, and the answer is how its replay went."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Request = TypeVar("Request")
Actions = list[list[Any]]
"""What a replay came to, as plain values: each action's number, kind and text."""


def serve(
    parse: Callable[[bytes], Request], replay: Callable[[Request], Any], describe: Callable[[Any], Actions]
) -> None:
    """Replay the file that each line of standard input names.

    Timed, as CPU of this process, is `replay` alone. Each time the message is parsed anew, as a worker has it: what the access to
    its fields costs the first time is part of a replay.
    """
    for line in sys.stdin:
        request = parse(Path(line.rstrip("\n")).read_bytes())
        gc.collect()
        began = time.process_time()
        result = replay(request)
        took = time.process_time() - began
        print(json.dumps({"seconds": took, "actions": describe(result)}), flush=True)


def described(actions: Any) -> Actions:
    """The actions of either package's messages."""
    return [[action.id, action.WhichOneof("orchestratorActionType"), _text(action)] for action in actions]


def _text(action: Any) -> Any:
    if action.HasField("completeOrchestration"):
        complete = action.completeOrchestration
        return [complete.orchestrationStatus, complete.result.value, complete.failureDetails.errorMessage]

    if action.HasField("scheduleTask"):
        return [action.scheduleTask.name, action.scheduleTask.input.value]

    return action.createTimer.fireAt.ToJsonString()
