"""All that is to be known to reach a task hub, as one value: from arguments, or from a connection string."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

from durabletask_client.channel import (
    CallMetadata,
    ChannelOptions,
    MetadataSource,
    Target,
    TokenSource,
    call_metadata,
    create_async_channel,
    create_channel,
    resolve,
)
from durabletask_client.errors import InvalidRequestError
from durabletask_client.tls import TlsOptions

__all__ = ["ConnectionSettings"]

_KEYS: Mapping[str, str] = {key.lower(): key for key in ("Endpoint", "TaskHub", "Token", "Authentication")}
"""What a connection string may say, by what is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """How a client or a worker reaches its task hub. Checked when it is made; nothing connects before the first call.

    Raises:
        InvalidRequestError: `host_address` names no host, what is said about TLS contradicts itself, a certificate cannot be
            read, or a token would travel in plain text.
    """

    host_address: str | None = None
    """Where the server is; see `durabletask_client.channel.create_channel`. None for `localhost:4001`."""
    taskhub: str | None = None
    """The task hub to work with; None for the server's default hub."""
    token: TokenSource | None = field(default=None, repr=False)
    """A bearer token, or a function that gives it anew for each call; None for none."""
    tls: TlsOptions | None = None
    """TLS with certificates of your own."""
    secure_channel: bool = False
    """Whether to use TLS; `https://`, `tls` and `credentials` imply it."""
    credentials: grpc.ChannelCredentials | None = None
    """TLS as gRPC itself describes it, in place of `tls`."""
    metadata: MetadataSource | None = field(default=None, repr=False)
    """What goes along with each call, or a function that gives it anew for each."""
    channel_options: ChannelOptions | None = None
    """How the connection behaves; None for the defaults."""
    allow_plaintext_token: bool = False
    """Whether a token may leave this machine without TLS, in a network that protects it in another way."""

    def __post_init__(self) -> None:
        if self.tls is not None and self.credentials is not None:
            raise InvalidRequestError("tls: credentials say the same in the terms of gRPC; drop one of them")

        address, credentials = self._target()
        self.call_metadata()

        if self.token is not None and credentials is None and not self.allow_plaintext_token and not _is_here(address):
            raise InvalidRequestError(
                f"token: it would travel to {address!r} in plain text; use TLS ('https://…', secure_channel or tls), or "
                "allow_plaintext_token=True where the network protects it"
            )

    @classmethod
    def parse(
        cls,
        connection_string: str,
        *,
        token: TokenSource | None = None,
        tls: TlsOptions | None = None,
        metadata: MetadataSource | None = None,
        channel_options: ChannelOptions | None = None,
    ) -> ConnectionSettings:
        """Read a connection string, as in `Endpoint=https://hub.example:4001;TaskHub=orders;Token=…`.

        Upper and lower case of keys do not matter. `Endpoint` has to be there; `Authentication` may be `None`, as other SDKs
        write where there is nothing to prove.

        Args:
            connection_string: The text.
            token: A bearer token, if the text has none.
            tls: Certificates, which no connection string holds.
            metadata: What goes along with each call.
            channel_options: How the connection behaves.

        Returns:
            The settings.

        Raises:
            InvalidRequestError: The text is no connection string, or any of the errors of the settings themselves.
        """
        parts = _parts(connection_string)
        authentication = parts.get("authentication", "None")

        if authentication.lower() != "none":
            raise InvalidRequestError(
                f"connection_string: Authentication={authentication} is not offered; leave it out, and give a Token=… here or "
                "a function as token= that gets one"
            )

        if "endpoint" not in parts:
            raise InvalidRequestError(
                "connection_string: it has no Endpoint; begin it as in 'Endpoint=https://hub.example:4001'"
            )

        if token is not None and "token" in parts:
            raise InvalidRequestError("token: the connection string has one already; drop one of them")

        return cls(
            host_address=parts["endpoint"],
            taskhub=parts.get("taskhub"),
            token=parts.get("token", token),
            tls=tls,
            metadata=metadata,
            channel_options=channel_options,
        )

    @classmethod
    def of(cls, connection: ConnectionSettings | None, **arguments: Any) -> ConnectionSettings:
        """Take settings that are ready, or make them of arguments.

        Args:
            connection: Settings; None to make them.
            arguments: The fields of those to make, each with its default where nothing was given.

        Returns:
            The settings.

        Raises:
            InvalidRequestError: Both were given, or any of the errors of the settings themselves.
        """
        if connection is None:
            return cls(**arguments)

        defaults = cls()
        given = [name for name, value in arguments.items() if value != getattr(defaults, name)]

        if given:
            raise InvalidRequestError(
                f"{given[0]}: connection says already how to connect; put it there, as with dataclasses.replace"
            )

        return connection

    def open_channel(self) -> grpc.Channel:
        """Make a channel. It connects with its first call.

        Returns:
            The channel; who asked for it closes it.
        """
        return create_channel(
            self.host_address,
            secure_channel=self.secure_channel,
            credentials=self._credentials(),
            options=self.channel_options,
        )

    def open_async_channel(self, *arguments: tuple[str, str | int]) -> grpc.aio.Channel:
        """Make an asyncio channel, for the event loop that runs now.

        Args:
            arguments: Further gRPC channel arguments; `extra` of the options wins over them.

        Returns:
            The channel; who asked for it closes it.
        """
        options = self.channel_options or ChannelOptions()

        return create_async_channel(
            self.host_address,
            secure_channel=self.secure_channel,
            credentials=self._credentials(),
            options=replace(options, extra=(*arguments, *options.extra)),
        )

    def call_metadata(self) -> CallMetadata:
        """Join all that goes along with each call.

        Returns:
            A function that gives the metadata for the next call.
        """
        return call_metadata(self.metadata, taskhub=self.taskhub, token=self.token)

    def _target(self) -> Target:
        return resolve(self.host_address, self.secure_channel, self._credentials())

    def _credentials(self) -> grpc.ChannelCredentials | None:
        return self.credentials if self.tls is None else self.tls.credentials()


def _parts(connection_string: str) -> dict[str, str]:
    """What a connection string says, by its keys in lower case. A value may be a secret: none is repeated in an error."""
    parts: dict[str, str] = {}

    for number, part in enumerate(connection_string.split(";"), start=1):
        if not part.strip():
            continue

        key, separator, value = (piece.strip() for piece in part.partition("="))

        if not separator or not value:
            raise InvalidRequestError(f"connection_string: part {number} does not have the form 'Key=value'")

        if key.lower() not in _KEYS:
            raise InvalidRequestError(
                f"connection_string: {key!r} is not known; the keys are {', '.join(_KEYS.values())}"
            )

        if key.lower() in parts:
            raise InvalidRequestError(f"connection_string: {_KEYS[key.lower()]} is there twice; drop one")

        parts[key.lower()] = value

    return parts


def _is_here(address: str) -> bool:
    """Whether what is sent to an address of gRPC's stays on this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True

    for scheme in ("dns:///", "dns:", "ipv4:", "ipv6:"):
        address = address.removeprefix(scheme)

    if "/" in address or "," in address:
        return False

    host = address[1:].partition("]")[0] if address.startswith("[") else address.partition(":")[0]

    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
