"""The deep part of the server: what a turn means. Pure: no I/O, no clock, no randomness.

`state` is what the engine knows of an instance, folded from its history; `turn` takes an inbox and says what a worker is
asked; `orchestration` takes the worker's answer and decides what is committed; `lifecycle` turns the requests of clients into
mutations.
"""
