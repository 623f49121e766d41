"""Nondeterminism in orchestrator code: the rules, a linter that reads code, and a guard that watches it run."""
