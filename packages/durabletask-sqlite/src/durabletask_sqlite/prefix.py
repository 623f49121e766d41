"""Texts that begin alike, as a range of an index."""

from __future__ import annotations

_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def behind(prefix: str) -> str | None:
    """The least text that sorts behind all that begin with a prefix; None where there is none."""
    kept = prefix.rstrip(chr(_LAST_CHARACTER))

    if not kept:
        return None

    code = ord(kept[-1]) + 1

    return kept[:-1] + chr(_SURROGATES.stop if code in _SURROGATES else code)
