"""What a backend raises."""

from __future__ import annotations


class BackendError(Exception):
    """The root of every error a backend raises by itself."""


class LocationError(BackendError):
    """A `--db` location names no backend that is installed, or is not understood by the one it names."""


class NotADatabaseError(BackendError):
    """What is at the location is not a database of this project. Nothing was written to it."""


class SchemaTooNewError(BackendError):
    """The database was written by a newer version. Nothing was written to it.

    Args:
        location: What was opened.
        found: The schema version it has.
        known: The newest schema version this package knows.
    """

    def __init__(self, location: str, found: int, known: int) -> None:
        super().__init__(
            f"{location} has schema version {found}, newer than {known}, the newest this version knows; "
            "upgrade the backend package, or open another database"
        )
        self.location = location
        self.found = found
        self.known = known


class AlreadyOwnedError(BackendError):
    """Another live process owns a backend that can have only one owner.

    Args:
        location: What was opened.
        holder: Who holds it, in words: process id, host and since when, as far as known.
    """

    def __init__(self, location: str, holder: str) -> None:
        super().__init__(f"{location} is in use by {holder}; stop that server first, or choose another database")
        self.location = location
        self.holder = holder


class HubMissingError(BackendError):
    """A hub of that name does not exist."""

    def __init__(self, hub: str) -> None:
        super().__init__(f"task hub {hub!r} does not exist; create it with CreateTaskHub")
        self.hub = hub


class LeaseLostError(BackendError):
    """The batch's lease is no longer the current one of its owner: another process has taken over. Nothing was applied."""


class StorageFailedError(BackendError):
    """The store could not do what was asked (disk full, connection lost…). For a commit: ask `Backend.outcomes` what became of it."""


__all__ = [
    "AlreadyOwnedError",
    "BackendError",
    "HubMissingError",
    "LeaseLostError",
    "LocationError",
    "NotADatabaseError",
    "SchemaTooNewError",
    "StorageFailedError",
]
