"""Connected workers, by the work they want. Those that want the same form a crew, and any of them will do."""

from __future__ import annotations

from collections.abc import Iterator

from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, WorkerStream


class Crew:
    """The streams of workers that want the same work.

    Args:
        hub: Whose work it is.
        filters: Which of it they want.
    """

    def __init__(self, hub: str, filters: WorkFilters) -> None:
        self.hub = hub
        self.filters = filters
        self.streams: list[WorkerStream] = []


class Crews:
    """All that are connected. A worker that wants what others want is found as cheaply as those alone."""

    def __init__(self) -> None:
        self._crews: dict[tuple[str, WorkFilters], Crew] = {}
        self.changes = 0
        """Grows when a crew comes or goes, so that others know that what they remember is old."""

    def __iter__(self) -> Iterator[Crew]:
        return iter(self._crews.values())

    def join(self, stream: WorkerStream) -> None:
        """A worker has connected."""
        options = stream.options
        crew = self._crews.get((options.hub, options.filters))

        if crew is None:
            crew = self._crews[options.hub, options.filters] = Crew(options.hub, options.filters)
            self.changes += 1

        crew.streams.append(stream)

    def leave(self, stream: WorkerStream) -> None:
        """A stream takes no more work. It may have left before."""
        options = stream.options
        crew = self._crews.get((options.hub, options.filters))

        if crew is None or stream not in crew.streams:
            return

        crew.streams.remove(stream)

        if not crew.streams:
            del self._crews[options.hub, options.filters]
            self.changes += 1

    def names(self, kind: Kind, hub: str | None = None) -> frozenset[str] | None:
        """The names of the work of a kind that some worker wants, in lower case; None: of all."""
        wanted: frozenset[str] = frozenset()

        for crew in self:
            if hub not in (None, crew.hub):
                continue

            names = crew.filters.names(kind)

            if names is None:
                return None

            wanted |= names

        return wanted
