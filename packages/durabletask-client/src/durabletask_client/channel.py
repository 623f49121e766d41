"""How clients and workers reach a server: its address, TLS, and what goes along with each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import grpc

from durabletask_client.errors import InvalidRequestError

__all__ = [
    "DEFAULT_HOST_ADDRESS",
    "CallMetadata",
    "ChannelOptions",
    "Metadata",
    "MetadataSource",
    "Target",
    "TokenSource",
    "call_metadata",
    "create_async_channel",
    "create_channel",
    "resolve",
]

DEFAULT_HOST_ADDRESS = "localhost:4001"
"""Where a server listens unless told otherwise."""

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
"""What goes along with a call: names in lower case, and their values."""

MetadataSource: TypeAlias = Metadata | Callable[[], Metadata]
"""Metadata that stays the same, or a function that gives it anew for each call, as tokens that expire need. The function must
not block, and may be called from several threads."""

TokenSource: TypeAlias = str | Callable[[], str]
"""A bearer token, or a function that gives the one for the next call. The function must not block, and may be called from several
threads."""

CallMetadata: TypeAlias = Callable[[], tuple[tuple[str, str | bytes], ...]]
"""Gives what goes along with the next call."""

_WINDOW = 4 << 20
"""Bytes that may be under way on a stream before they are read."""
_UNLIMITED = -1

_TLS_BY_SCHEME: Mapping[str, bool] = {"http": False, "grpc": False, "https": True, "grpcs": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOptions:
    """How a connection behaves."""

    keepalive_time: float = 30.0
    """Seconds without traffic after which an open call asks the server whether it is there."""
    keepalive_timeout: float = 10.0
    """Seconds that the server has to answer; then the connection counts as lost."""
    max_receive_message_bytes: int | None = None
    """The largest message to accept; None for any."""
    max_send_message_bytes: int | None = None
    """The largest message to send; None for any."""
    longest_reconnect_pause: float = 5.0
    """Seconds between two attempts to connect, at most."""
    extra: Sequence[tuple[str, str | int]] = ()
    """Further gRPC channel arguments; they win over those that follow from the fields above."""

    def arguments(self) -> list[tuple[str, str | int]]:
        """Put the options in the terms of gRPC.

        Returns:
            Channel arguments.
        """
        derived: dict[str, str | int] = {
            "grpc.keepalive_time_ms": round(self.keepalive_time * 1000),
            "grpc.keepalive_timeout_ms": round(self.keepalive_timeout * 1000),
            # The default is two pings: a long poll would be guarded for a minute only.
            "grpc.http2.max_pings_without_data": 0,
            # A window that is large from the start, in place of one that gRPC finds by a ping with each message: of calls as small as
            # these, the pings take a tenth of the CPU.
            "grpc.http2.bdp_probe": 0,
            "grpc.http2.lookahead_bytes": _WINDOW,
            "grpc.max_receive_message_length": _length(self.max_receive_message_bytes),
            "grpc.max_send_message_length": _length(self.max_send_message_bytes),
            "grpc.initial_reconnect_backoff_ms": 100,
            "grpc.max_reconnect_backoff_ms": round(self.longest_reconnect_pause * 1000),
        }

        return list((derived | dict(self.extra)).items())


def _length(limit: int | None) -> int:
    return _UNLIMITED if limit is None else limit


class Target(NamedTuple):
    """Where a channel goes, and how it is protected."""

    address: str
    """The target, as gRPC names it."""
    credentials: grpc.ChannelCredentials | None
    """What protects it; None for plain text."""


def resolve(host_address: str | None, secure_channel: bool, credentials: grpc.ChannelCredentials | None) -> Target:
    """Say where a channel goes, without making one.

    Arguments and errors are those of `create_channel`.

    Returns:
        The target.
    """
    address = DEFAULT_HOST_ADDRESS if host_address is None else host_address.strip()
    scheme, separator, rest = address.partition("://")
    tls = secure_channel or credentials is not None

    if separator and scheme.lower() in _TLS_BY_SCHEME:
        address = rest.rstrip("/")

        if tls and not _TLS_BY_SCHEME[scheme.lower()]:
            raise InvalidRequestError(
                f"host_address: {host_address!r} asks for plain text, but secure_channel or credentials for TLS; drop one of them"
            )

        tls = _TLS_BY_SCHEME[scheme.lower()]

    if not address:
        raise InvalidRequestError(
            f"host_address: {host_address!r} names no host; give one such as {DEFAULT_HOST_ADDRESS!r}"
        )

    return Target(address, (credentials or grpc.ssl_channel_credentials()) if tls else None)


def create_channel(
    host_address: str | None = None,
    *,
    secure_channel: bool = False,
    credentials: grpc.ChannelCredentials | None = None,
    options: ChannelOptions | None = None,
) -> grpc.Channel:
    """Make a channel to a server. It connects with its first call.

    Args:
        host_address: `host:port`, with `http://` or `https://` before it if you like, or any gRPC target such as
            `unix:/run/hub.sock`; None for `localhost:4001`.
        secure_channel: Whether to use TLS; `https://` and `credentials` imply it.
        credentials: Certificates and tokens for TLS; None for the system's root certificates.
        options: How the connection behaves; None for the defaults.

    Returns:
        The channel; who asked for it closes it.

    Raises:
        InvalidRequestError: `host_address` names no host, or contradicts the arguments for TLS.
    """
    address, effective = resolve(host_address, secure_channel, credentials)
    arguments = (options or ChannelOptions()).arguments()

    if effective is None:
        return grpc.insecure_channel(address, options=arguments)

    return grpc.secure_channel(address, effective, options=arguments)


def create_async_channel(
    host_address: str | None = None,
    *,
    secure_channel: bool = False,
    credentials: grpc.ChannelCredentials | None = None,
    options: ChannelOptions | None = None,
) -> grpc.aio.Channel:
    """Make an asyncio channel to a server, for the event loop that runs now.

    Arguments and errors are those of `create_channel`.

    Returns:
        The channel; who asked for it closes it.
    """
    address, effective = resolve(host_address, secure_channel, credentials)
    arguments = (options or ChannelOptions()).arguments()

    if effective is None:
        return grpc.aio.insecure_channel(address, options=arguments)

    return grpc.aio.secure_channel(address, effective, options=arguments)


def call_metadata(
    metadata: MetadataSource | None = None, *, taskhub: str | None = None, token: TokenSource | None = None
) -> CallMetadata:
    """Join what the user wants to go along with each call and what the protocol knows.

    Args:
        metadata: The user's metadata.
        taskhub: The task hub that the calls are for; None for the server's default hub.
        token: What the caller proves with who it is, sent as `authorization: Bearer …`; None for nothing.

    Returns:
        A function that gives the metadata for the next call. It raises `InvalidRequestError` if a function gave no token.

    Raises:
        InvalidRequestError: `token` is none.
    """
    hub: tuple[tuple[str, str | bytes], ...] = () if taskhub is None else (("taskhub", taskhub),)

    if token is not None and not callable(token):
        hub, token = (*hub, _authorization(token)), None

    if token is None and not callable(metadata):
        fixed = (*hub, *(metadata or ()))

        return lambda: fixed

    def anew() -> tuple[tuple[str, str | bytes], ...]:
        bearer = () if token is None else (_authorization(token()),)

        return (*hub, *bearer, *(metadata() if callable(metadata) else metadata or ()))

    return anew


def _authorization(token: object) -> tuple[str, str]:
    # gRPC's own complaint would show it.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token or not token:
        raise InvalidRequestError("token: it is no token; give one, without 'Bearer' before it and without any space")

    return "authorization", f"Bearer {token}"
