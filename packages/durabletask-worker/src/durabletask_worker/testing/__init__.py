"""For tests of orchestrator code: an orchestration that is told turn by turn, with the test in the place of server and activities.

story = Story(order, input=7)
story.turn()                               # the code asks for its first activity
story.turn(task_completed(1, "paid"))
assert story.output() == "shipped"
"""

from durabletask_worker.testing.events import (
    child_completed,
    child_failed,
    entity_completed,
    entity_failed,
    event_raised,
    locks_granted,
    resumed,
    suspended,
    task_completed,
    task_failed,
    terminated,
    timer_fired,
)
from durabletask_worker.testing.story import Story

__all__ = [
    "Story",
    "child_completed",
    "child_failed",
    "entity_completed",
    "entity_failed",
    "event_raised",
    "locks_granted",
    "resumed",
    "suspended",
    "task_completed",
    "task_failed",
    "terminated",
    "timer_fired",
]
