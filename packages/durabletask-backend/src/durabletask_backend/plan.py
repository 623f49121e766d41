"""The rules of a commit, written once: from a batch and the rows it touches to outcomes and writes. Pure.

A backend reads what `rows_read` names, calls `plan`, and writes the resulting `WriteSet`: deletions first, then updates, then
insertions. Within each group order does not matter, but that of the turns.
"""

from __future__ import annotations

from durabletask_backend._planner import Planner
from durabletask_backend._reads import EntityHead, Head, RowsRead, Stored, rows_read
from durabletask_backend._writes import HistoryRow, InboxRow, WriteSet, entity_turn_applied, turn_applied
from durabletask_backend.mutations import Batch, Outcome

__all__ = [
    "EntityHead",
    "Head",
    "HistoryRow",
    "InboxRow",
    "RowsRead",
    "Stored",
    "WriteSet",
    "entity_turn_applied",
    "plan",
    "rows_read",
    "turn_applied",
]


def plan(batch: Batch, stored: Stored, next_sequence: int) -> tuple[list[Outcome], WriteSet]:
    """Decide a batch.

    Args:
        batch: The mutations, in order.
        stored: What there is of all that `rows_read` names.
        next_sequence: The first unused message sequence, 1 or more.

    Returns:
        One outcome a mutation, and what to write.
    """
    planner = Planner(batch, stored, next_sequence)
    outcomes = [planner.apply(mutation) for mutation in batch.mutations]

    return outcomes, planner.write_set()
