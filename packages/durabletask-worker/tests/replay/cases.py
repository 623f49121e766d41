"""The table."""

from __future__ import annotations

from . import cancelling, entities, given_up, others, scopes, sections, waiting, whole, work

MODULES = (work, others, waiting, scopes, cancelling, given_up, entities, sections, whole)
CASES = [case for module in MODULES for case in module.CASES]
