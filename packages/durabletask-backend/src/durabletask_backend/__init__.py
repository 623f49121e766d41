"""The storage contract of the Durable Task engine.

`contract.Backend` is what a backend implements, in terms of `values` and `mutations`; `plan` holds the rules of a commit, for
every backend to share; `memory` is the reference; `conformance` is the suite that every backend passes; `location` finds the
backend for a `--db` location.
"""
