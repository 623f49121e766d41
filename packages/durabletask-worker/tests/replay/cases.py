"""The table."""

from __future__ import annotations

from . import entities, scopes, waiting, whole, work

CASES = [*work.CASES, *waiting.CASES, *scopes.CASES, *entities.CASES, *whole.CASES]
MODULES = (work, waiting, scopes, entities, whole)
