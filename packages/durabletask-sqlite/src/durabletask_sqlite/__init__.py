"""The default, embedded backend of the Durable Task engine: one SQLite file, one owner."""

from durabletask_sqlite.backend import SqliteBackend, open_url

__all__ = ["SqliteBackend", "open_url"]
