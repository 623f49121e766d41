"""All themes in one class."""

from __future__ import annotations

from durabletask_backend.conformance.batches import BatchConformance
from durabletask_backend.conformance.creation import CreationConformance
from durabletask_backend.conformance.delayed import DelayedConformance
from durabletask_backend.conformance.durability import DurabilityConformance
from durabletask_backend.conformance.entities import EntityConformance
from durabletask_backend.conformance.entity_lists import EntityListConformance
from durabletask_backend.conformance.generations import GenerationConformance
from durabletask_backend.conformance.hints import HintConformance
from durabletask_backend.conformance.hubs import HubConformance
from durabletask_backend.conformance.loading import LoadingConformance
from durabletask_backend.conformance.messages import MessageConformance
from durabletask_backend.conformance.owners import OwnerConformance
from durabletask_backend.conformance.purging import PurgingConformance
from durabletask_backend.conformance.queries import QueryConformance
from durabletask_backend.conformance.rewinding import RewindingConformance
from durabletask_backend.conformance.tasks import TaskConformance
from durabletask_backend.conformance.turns import TurnConformance


# pytest collects the last base first.
class BackendConformance(
    HintConformance,
    OwnerConformance,
    DurabilityConformance,
    BatchConformance,
    QueryConformance,
    LoadingConformance,
    DelayedConformance,
    PurgingConformance,
    EntityListConformance,
    EntityConformance,
    RewindingConformance,
    GenerationConformance,
    TaskConformance,
    TurnConformance,
    MessageConformance,
    CreationConformance,
    HubConformance,
):
    """Every promise of the contract. Subclass it, override the fixture `backend_factory`, declare what the backend can."""
