"""Which work a worker wants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.dispatch.stream import Kind


class WorkFilters:
    """What a worker wants of each kind of work. Names and versions are compared without regard to case.

    Filters that want the same are equal.

    Args:
        wanted: For each kind the names, each with its versions, none for any; None instead of the names for all. A kind that is not
            there is not wanted. None: everything is.
    """

    def __init__(self, wanted: Mapping[Kind, Mapping[str, Collection[str]] | None] | None = None) -> None:
        if wanted is None:
            wanted = dict.fromkeys(Kind)

        self._wanted: dict[Kind, dict[str, frozenset[str]] | None] = {}

        for kind in Kind:
            names = wanted.get(kind, {})
            self._wanted[kind] = None if names is None else _by_name(names.items())

        self._hash = hash(tuple(None if names is None else frozenset(names.items()) for names in self._wanted.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkFilters) and self._wanted == other._wanted

    def __hash__(self) -> int:
        return self._hash

    def admits(self, kind: Kind, name: str, version: str | None = None, caller_version: str | None = None) -> bool:
        """Whether it wants a piece of work.

        Args:
            kind: Which sort it is.
            name: Of the orchestrator, activity or entity.
            version: Of the orchestrator or activity; None is the same as empty.
            caller_version: Of the orchestration that scheduled an activity. It counts for an activity without a version of its own:
                SDKs ask for activities of their workers' version, and schedule them without.
        """
        names = self._wanted[kind]

        if names is None:
            return True

        versions = names.get(name.lower())

        if not versions:
            return versions is not None

        own = (version or "").lower()

        return own in versions or (not own and caller_version is not None and caller_version.lower() in versions)

    def names(self, kind: Kind) -> frozenset[str] | None:
        """The names it wants of a kind, in lower case; None: all."""
        names = self._wanted[kind]

        return None if names is None else frozenset(names)


def _by_name(named: Iterable[tuple[str, Iterable[str]]]) -> dict[str, frozenset[str]]:
    """By name in lower case, the versions that are wanted; empty for any. A name given twice is wanted in the versions of both."""
    found: dict[str, frozenset[str]] = {}

    for name, versions in named:
        key = name.lower()
        given = frozenset(version.lower() for version in versions)
        before = found.get(key, given)
        found[key] = before | given if before and given else frozenset()

    return found


def filters_of(request: pb.GetWorkItemsRequest) -> WorkFilters:
    """What a `GetWorkItemsRequest` asks for. Without `workItemFilters` that is everything, with them only what they name."""
    if not request.HasField("workItemFilters"):
        return WorkFilters()

    asked = request.workItemFilters

    return WorkFilters(
        {
            Kind.ORCHESTRATION: _by_name((each.name, each.versions) for each in asked.orchestrations),
            Kind.ACTIVITY: _by_name((each.name, each.versions) for each in asked.activities),
            Kind.ENTITY: {each.name: () for each in asked.entities},
        }
    )
