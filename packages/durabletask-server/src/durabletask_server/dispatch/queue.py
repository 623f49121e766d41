"""Ready work, fair between instances."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """First in, first out among the items of one group; the groups take turns.

    So an instance that schedules thousands of activities does not hold up one that schedules a single one.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, group: Hashable) -> bool:
        """Whether a group has items."""
        return group in self._groups

    def push(self, group: Hashable, item: Item, *, front: bool = False) -> None:
        """Add an item to its group, at the end or at the front."""
        items = self._groups.get(group)

        if items is None:
            items = self._groups[group] = deque()

            if front:
                self._groups.move_to_end(group, last=False)

        if front:
            items.appendleft(item)
        else:
            items.append(item)

        self._length += 1

    def pop(self) -> Item:
        """Take the next item of the group whose turn it is.

        Raises:
            IndexError: The queue is empty.
        """
        for group, items in self._groups.items():
            item = items.popleft()
            self._length -= 1

            if items:
                self._groups.move_to_end(group)
            else:
                del self._groups[group]

            return item

        raise IndexError("the queue is empty")

    def drop(self, group: Hashable, unwanted: Callable[[Item], bool]) -> None:
        """Remove the unwanted items of a group."""
        items = self._groups.get(group)

        if items is None:
            return

        kept = deque(item for item in items if not unwanted(item))
        self._length -= len(items) - len(kept)

        if kept:
            self._groups[group] = kept
        else:
            del self._groups[group]
