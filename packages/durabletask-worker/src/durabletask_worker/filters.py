"""Which work a worker asks for, by name."""

from __future__ import annotations

from dataclasses import dataclass

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.registry import Registry
from durabletask_worker.versioning import VersioningOptions, VersionMatchStrategy

__all__ = ["ActivityWorkItemFilter", "EntityWorkItemFilter", "OrchestrationWorkItemFilter", "WorkItemFilters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationWorkItemFilter:
    """Asks for orchestrations of a name. Upper and lower case do not matter."""

    name: str
    """The name."""
    versions: tuple[str, ...] = ()
    """The versions, an empty one for those without; none for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityWorkItemFilter:
    """Asks for activities of a name. Upper and lower case do not matter."""

    name: str
    """The name."""
    versions: tuple[str, ...] = ()
    """The versions; none for all. An activity without one goes by that of the orchestration that called it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityWorkItemFilter:
    """Asks for entities of a name. Upper and lower case do not matter."""

    name: str
    """The name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItemFilters:
    """All the work that a worker asks for, `GetWorkItemsRequest.workItemFilters`. What no worker asks for waits for one that does.

    A kind that is left empty is work of that kind that the worker does not want.
    """

    orchestrations: tuple[OrchestrationWorkItemFilter, ...] = ()
    """Turns of these."""
    activities: tuple[ActivityWorkItemFilter, ...] = ()
    """These."""
    entities: tuple[EntityWorkItemFilter, ...] = ()
    """Operations of these."""

    @classmethod
    def of(cls, registry: Registry, versioning: VersioningOptions) -> WorkItemFilters:
        """Ask for what a worker has the code of.

        Activities are asked for without versions, as hardly any have one.

        Args:
            registry: The code.
            versioning: Which versions the worker takes. A strict worker asks for its own alone.

        Returns:
            The filters.
        """
        strict = versioning.match_strategy is VersionMatchStrategy.STRICT

        return cls(
            orchestrations=tuple(
                OrchestrationWorkItemFilter(
                    name=name, versions=(versioning.version or "",) if strict else _versions(registry, name)
                )
                for name in sorted({registration.name for registration in registry.orchestrators})
            ),
            activities=tuple(
                ActivityWorkItemFilter(name=name)
                for name in sorted(registration.name for registration in registry.activities)
            ),
            entities=tuple(
                EntityWorkItemFilter(name=name)
                for name in sorted(registration.name for registration in registry.entities)
            ),
        )

    def to_proto(self) -> pb.WorkItemFilters:
        """Write the protocol's message.

        Returns:
            The message.
        """
        return pb.WorkItemFilters(
            orchestrations=[
                pb.OrchestrationFilter(name=wanted.name, versions=wanted.versions) for wanted in self.orchestrations
            ],
            activities=[pb.ActivityFilter(name=wanted.name, versions=wanted.versions) for wanted in self.activities],
            entities=[pb.EntityFilter(name=wanted.name) for wanted in self.entities],
        )


def _versions(registry: Registry, name: str) -> tuple[str, ...]:
    """The versions to ask for. Code that is registered without one runs all."""
    return () if registry.find_orchestrator(name) is not None else registry.versions_of(name)
