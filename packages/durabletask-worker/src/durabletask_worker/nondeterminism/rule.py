"""One thing that orchestrator code must not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["Rule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that orchestrator code must not do."""

    code: str
    """What findings and suppressions call it, as in `DT101`."""
    name: str
    """What it is called in listings, as in `wall-clock`."""
    problem: str
    """What is wrong with it: the end of a sentence that begins with the code it is about."""
    replacement: str
    """What to do instead, as an imperative."""
    why: str
    """Why no replay can repeat it, in a sentence or two."""
    calls: tuple[str, ...] = ()
    """The full names of the functions and classes that break it by a call; `module.*` is all that a module has."""
    reads: tuple[str, ...] = ()
    """The full names of the values that break it by being read."""
    harmless_with: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Of the calls, those that are harmless with so many arguments or more, as a generator is that is given its seed."""
    replacements: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Of the calls, those that have a replacement of their own."""
    is_guarded: bool = False
    """Whether the guard refuses these calls while the code runs."""
    is_mild: bool = False
    """Whether it makes a mess, but no wrong result."""

    def instead_of(self, qualified_name: str | None) -> str:
        """What to do instead of one of the calls, as an imperative.

        Args:
            qualified_name: Its full name; None where none is called.

        Returns:
            Its own replacement, or else the rule's.
        """
        return self.replacements.get(qualified_name or "", self.replacement)
