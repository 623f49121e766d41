"""How values become payloads and payloads become values.

Payloads are opaque to the server; by convention of every SDK they hold JSON. What a payload holds is never marked with Python
types, so that other languages read it as well: the reader says which type it wants.
"""

from durabletask_client.serialization._converter import DataConverter, JsonDataConverter

__all__ = ["DataConverter", "JsonDataConverter"]
