"""What turns values into payloads and back: the contract, and the one that writes JSON."""

from __future__ import annotations

import json
from typing import Any, Protocol

from durabletask_client.serialization._forms import MisfitError
from durabletask_client.serialization._rebuilding import form_of
from durabletask_client.serialization._writing import write

_decoder = json.JSONDecoder()


class DataConverter(Protocol):
    """Turns values into payloads and back. Whoever writes a payload and whoever reads it need converters that agree."""

    def serialize(self, value: object) -> str | None:
        """Turn a value into a payload. Every converter writes None, truth values, whole numbers and text.

        Args:
            value: The value; None stands for "no payload".

        Returns:
            The payload, or None, which travels as an absent one.

        Raises:
            TypeError: A part of the value cannot be written.
            ValueError: The value contains itself, or what the format has no word for.
        """

    def deserialize(self, data: str | None, type_hint: object = None) -> Any:
        """Turn a payload into a value.

        Args:
            data: The payload; None for an absent one.
            type_hint: The type to rebuild, or a form of one such as `list[Order]` or `Order | None`. None: whatever the
                payload holds, in plain Python.

        Returns:
            The value; None for an absent payload, whatever the hint says.

        Raises:
            TypeError: The payload holds something else than the hint asks for.
            ValueError: The payload is malformed, or is no value of the type that the hint asks for.
        """


class JsonDataConverter:
    """Writes plain JSON, and rebuilds Python types from it when told which.

    Beyond what JSON knows, it writes

    - dataclasses, attrs classes, pydantic models and `SimpleNamespace` as objects,
    - tuples (named ones too), sets and other sequences as arrays; sets in an order that is always the same,
    - enums as their value,
    - dates, times, UUIDs, paths and `Decimal` as text; a `timedelta` as an ISO 8601 duration; bytes as base64.

    With a hint it rebuilds all of these, wherever they are nested in each other, and in unions, `Literal`, `TypedDict`, generic
    dataclasses, type aliases and the like. What fits several alternatives of a union becomes the one that fits best: a number
    stays the number that it is, an object becomes the class with just these fields, and text the first alternative that takes it.

    Three rules are worth knowing. A datetime without a time zone is taken as UTC, and comes back with it. Keys that a class does
    not know are ignored, so that it may lose a field while older payloads are about. NaN and infinity are not written, for
    other languages cannot read them.

    Errors say where in the payload something is wrong, as in `payload.items[3].price`.
    """

    def serialize(self, value: object) -> str | None:
        """See `DataConverter.serialize`."""
        return None if value is None else write(value)

    def deserialize(self, data: str | None, type_hint: object = None) -> Any:
        """See `DataConverter.deserialize`."""
        # Some SDKs send an empty payload where they mean none.
        if not data:
            return None

        try:
            value = _decode(data)

            # At the top null is what others write for an absent payload.
            if type_hint is None or value is None:
                return value

            form = form_of(type_hint)

            return value if type(value) is form.plain else form.rebuild(value)
        except MisfitError as misfit:
            raise misfit.error() from misfit.__cause__
        except RecursionError:
            raise ValueError("the payload is nested too deeply to be read") from None


def _decode(data: str) -> Any:
    try:
        value, end = _decoder.raw_decode(data)
    except json.JSONDecodeError:
        end = -1

    # White space around the value, or no JSON: slower, and rare.
    return value if end == len(data) else _decoder.decode(data)
