"""What payloads go through on their way to the server and back: compression and encryption."""

from __future__ import annotations

import base64
import binascii
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from durabletask_client.errors import DurableTaskClientError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from durabletask_client.serialization import DataConverter

__all__ = ["AesGcmCodec", "CodecDataConverter", "PayloadCodec", "PayloadCodecError", "ZlibCodec"]

_PREFIX = "codecs:"
"""No JSON begins like this, so payloads that went through codecs can be told from those that did not."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_PLAIN, _DEFLATED = b"\x00", b"\x01"
_VERSION = 1
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_SIZES = (16, 24, 32)


class PayloadCodecError(DurableTaskClientError, ValueError):
    """A payload cannot be decoded: it was changed on its way, its key is unknown, or it did not go through the codecs it should."""


class PayloadCodec(Protocol):
    """Turns bytes into other bytes and back."""

    @property
    def name(self) -> str:
        """What payloads call it: small letters, digits, `.`, `_` and `-`. Never change it: stored payloads hold it."""

    def encode(self, data: bytes) -> bytes:
        """Encode.

        Args:
            data: Any bytes.

        Returns:
            What `decode` makes the same bytes of.
        """

    def decode(self, data: bytes) -> bytes:
        """Decode.

        Args:
            data: What `encode` returned, perhaps in another process.

        Returns:
            What was encoded.

        Raises:
            PayloadCodecError: It was not, or not with this configuration.
        """


class CodecDataConverter:
    """Sends what another converter writes through codecs. The payload names them: `codecs:zlib,aes-gcm:<base64>`.

    Payloads written before codecs came in are read as well, and those that went through some of the codecs only.

    Args:
        inner: Writes and reads the text.
        codecs: What the text goes through, first to last; compress before you encrypt.
        former: Codecs that nothing is written with any more, and that stored payloads still name.
        strict: Whether to refuse payloads that have not been through all of `codecs`. With encryption this keeps those who can
            write to the task hub, but have no key, from slipping in payloads of their own.

    Raises:
        ValueError: There are no codecs, or the names of the codecs are malformed or not distinct.
    """

    def __init__(
        self,
        inner: DataConverter,
        codecs: Sequence[PayloadCodec],
        *,
        former: Sequence[PayloadCodec] = (),
        strict: bool = False,
    ) -> None:
        self._inner = inner
        self._codecs = tuple(codecs)
        self._known = {codec.name: codec for codec in (*codecs, *former)}
        self._is_strict = strict
        self._prefix = f"{_PREFIX}{','.join(codec.name for codec in self._codecs)}:"

        if not self._codecs:
            raise ValueError("codecs is empty; pass at least one, or use the inner converter alone")

        if len(self._known) < len(self._codecs) + len(former):
            raise ValueError("codecs: two of them have the same name; each needs its own, former ones as well")

        for name in self._known:
            if not _NAME.fullmatch(name):
                raise ValueError(f"codecs: {name!r} is no name of a codec; use small letters, digits, '.', '_' and '-'")

    def serialize(self, value: object) -> str | None:
        """See `DataConverter.serialize`."""
        text = self._inner.serialize(value)

        if text is None:
            return None

        data = text.encode("utf-8", "surrogatepass")

        for codec in self._codecs:
            data = codec.encode(data)

        return self._prefix + base64.b64encode(data).decode("ascii")

    def deserialize(self, data: str | None, type_hint: object = None) -> Any:
        """See `DataConverter.deserialize`.

        Raises:
            PayloadCodecError: The payload cannot be decoded, or is refused.
            TypeError: See `DataConverter.deserialize`.
            ValueError: See `DataConverter.deserialize`.
        """
        return self._inner.deserialize(self._decoded(data) if data else data, type_hint)

    def _decoded(self, text: str) -> str:
        chain: Sequence[PayloadCodec] = ()
        data = b""

        if text.startswith(_PREFIX):
            names, _, body = text.removeprefix(_PREFIX).partition(":")
            chain = [self._codec(name) for name in names.split(",")]
            data = _from_base64(body)

        if self._is_strict and (missed := [codec.name for codec in self._codecs if codec not in chain]):
            raise PayloadCodecError(
                f"the payload has not been through {', '.join(missed)}, which strict=True asks for; "
                "pass strict=False for as long as older payloads are about"
            )

        if not chain:
            return text

        for codec in reversed(chain):
            data = codec.decode(data)

        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise PayloadCodecError("the payload is damaged: what was decoded is no text") from error

    def _codec(self, name: str) -> PayloadCodec:
        try:
            return self._known[name]
        except KeyError:
            raise PayloadCodecError(
                f"the payload has been through the codec {name!r:.50}, which is not known here; "
                "pass it to CodecDataConverter as one of codecs or former"
            ) from None


def _from_base64(body: str) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PayloadCodecError(f"the payload is damaged: it is no base64 ({error})") from error


class ZlibCodec:
    """Compresses.

    Args:
        level: From 1, fast, to 9, small; 0 does not compress, -1 is zlib's default.
        minimum_bytes: Smaller payloads stay as they are.
        maximum_bytes: What a payload may grow to when it is read, so that a small one cannot fill the memory.

    Raises:
        ValueError: A number is out of range.
    """

    name = "zlib"

    def __init__(self, level: int = 6, minimum_bytes: int = 512, maximum_bytes: int = 256 * 1024 * 1024) -> None:
        if not -1 <= level <= 9:
            raise ValueError(f"level is {level}; it must be from -1 to 9")

        if minimum_bytes < 0:
            raise ValueError(f"minimum_bytes is {minimum_bytes}; it must not be negative")

        if maximum_bytes < 1:
            raise ValueError(f"maximum_bytes is {maximum_bytes}; it must be 1 or more")

        self._level = level
        self._minimum = minimum_bytes
        self._maximum = maximum_bytes

    def encode(self, data: bytes) -> bytes:
        """See `PayloadCodec.encode`. What compression would only make larger stays as it is."""
        small = zlib.compress(data, self._level) if len(data) >= self._minimum else data

        return _DEFLATED + small if len(small) < len(data) else _PLAIN + data

    def decode(self, data: bytes) -> bytes:
        """See `PayloadCodec.decode`."""
        mark, body = data[:1], data[1:]

        if mark == _PLAIN:
            return body

        if mark != _DEFLATED:
            raise PayloadCodecError("the payload is damaged: it does not begin as ZlibCodec writes it")

        stream = zlib.decompressobj()

        try:
            whole = stream.decompress(body, self._maximum)
        except zlib.error as error:
            raise PayloadCodecError(f"the payload is damaged: {error}") from error

        if stream.unconsumed_tail:
            raise PayloadCodecError(f"the payload grows beyond {self._maximum} bytes; raise maximum_bytes to read it")

        if not stream.eof or stream.unused_data:
            raise PayloadCodecError("the payload is damaged: it ends too early or too late")

        return whole


class AesGcmCodec:
    """Encrypts, so that neither the server nor its database can read or change payloads. Needs the extra `encryption`.

    Each payload names its key. To rotate: give the new key to every client and worker, then make it `current` everywhere, and
    take the old one away when no stored payload needs it any more. One key is good for about four thousand million payloads.

    Args:
        keys: 16, 24 or 32 random bytes by the key's id. Ids are written in clear.
        current: The id of the key to encrypt with.

    Raises:
        ImportError: The extra is not installed.
        ValueError: A key or an id has a wrong length, or `current` is none of the ids.
    """

    name = "aes-gcm"

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        if current not in keys:
            raise ValueError(f"current is {current!r}; it must be one of the ids in keys")

        for key_id, key in keys.items():
            if len(key) not in _KEY_SIZES:
                raise ValueError(f"keys: {key_id!r} has {len(key)} bytes; a key has 16, 24 or 32")

            if not 0 < len(key_id.encode()) <= 255:
                raise ValueError(f"keys: {key_id!r:.50} is no id of a key; it must have 1 to 255 bytes")

        cipher = _aes_gcm()
        self._ciphers = {key_id: cipher(key) for key_id, key in keys.items()}
        self._current = current

    def encode(self, data: bytes) -> bytes:
        """See `PayloadCodec.encode`."""
        key_id = self._current.encode()
        header = bytes((_VERSION, len(key_id))) + key_id
        nonce = os.urandom(_NONCE_BYTES)

        return header + nonce + self._ciphers[self._current].encrypt(nonce, data, header)

    def decode(self, data: bytes) -> bytes:
        """See `PayloadCodec.decode`."""
        length = 2 + data[1] if len(data) > 1 else 0
        header, nonce, sealed = data[:length], data[length : length + _NONCE_BYTES], data[length + _NONCE_BYTES :]

        if not header or header[0] != _VERSION or len(sealed) < _TAG_BYTES:
            raise PayloadCodecError("the payload is damaged: it is not laid out as AesGcmCodec writes it")

        key_id = header[2:].decode("utf-8", "replace")
        cipher = self._ciphers.get(key_id)

        if cipher is None:
            raise PayloadCodecError(f"the payload was encrypted with the key {key_id!r}, which is not among keys")

        # Imported by now: without it there would be no cipher.
        from cryptography.exceptions import InvalidTag

        try:
            return cipher.decrypt(nonce, sealed, header)
        except InvalidTag as error:
            raise PayloadCodecError(
                f"the payload was changed, or encrypted with another key that is called {key_id!r}, too"
            ) from error


def _aes_gcm() -> type[AESGCM]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ImportError("AesGcmCodec needs an extra: install durabletask-client[encryption]") from error

    return AESGCM
