"""The client for asyncio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import grpc

from durabletask_client._async.entities import AsyncEntityMethods
from durabletask_client._async.hubs import AsyncHubMethods
from durabletask_client._async.orchestrations import AsyncOrchestrationMethods
from durabletask_client._async.queries import AsyncQueryMethods
from durabletask_client._async.transport import AsyncTransport
from durabletask_client.channel import ChannelOptions, MetadataSource, TokenSource
from durabletask_client.connection import ConnectionSettings
from durabletask_client.options import CallOptions
from durabletask_client.requests import Requests
from durabletask_client.requests.factory import random_id
from durabletask_client.serialization import DataConverter, JsonDataConverter
from durabletask_client.tls import TlsOptions

__all__ = ["AsyncTaskHubGrpcClient"]


class AsyncTaskHubGrpcClient(AsyncOrchestrationMethods, AsyncQueryMethods, AsyncEntityMethods, AsyncHubMethods):
    """Starts, watches and steers orchestrations, and asks entities. Safe to share between the tasks of one event loop,
    which is the one that runs at the first call; a loop in another thread needs a client of its own.

    Besides the errors that a method names, all of them raise `InvalidRequestError` for an argument that is not acceptable,
    `ServerUnavailableError` when the server cannot be reached, `TimeoutError` when a call takes longer than the client's
    `timeout`, `ClientClosedError` after `close`, and `RequestFailedError` for any other refusal.

    Args:
        host_address: Where the server is; see `durabletask_client.channel.create_channel`. None for `localhost:4001`.
        taskhub: The task hub to work with; None for the server's default hub.
        metadata: What goes along with each call, or a function that gives it anew for each.
        secure_channel: Whether to use TLS.
        credentials: Certificates and tokens for TLS; None for the system's root certificates.
        tls: TLS with certificates of your own, in place of `credentials`.
        token: A bearer token, or a function that gives the one for each call.
        allow_plaintext_token: Whether a token may leave this machine without TLS.
        channel_options: How the connection behaves.
        connection: All of the above as one value, in place of them.
        channel: A channel to use instead of one made from the arguments above; it is not closed with the client.
        data_converter: What writes and reads payloads; None for JSON.
        default_version: The version of orchestrations that are started without one.
        new_id: Makes the ids of what is started without one, and those that tell repetitions: 32 hexadecimal digits each. None for
            random ones.
        patience: Seconds for which a start or a read is tried again while the server is unavailable. Other calls are tried
            once, because a first try may have had its effect; waits go on until their own timeout.
        timeout: Seconds that a call may take with all its tries, other than a wait; None for as long as it takes.
            `with_options` gives some calls another one.

    Raises:
        InvalidRequestError: An argument is not acceptable; see `ConnectionSettings`.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        taskhub: str | None = None,
        metadata: MetadataSource | None = None,
        secure_channel: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        tls: TlsOptions | None = None,
        token: TokenSource | None = None,
        allow_plaintext_token: bool = False,
        channel_options: ChannelOptions | None = None,
        connection: ConnectionSettings | None = None,
        channel: grpc.aio.Channel | None = None,
        data_converter: DataConverter | None = None,
        default_version: str | None = None,
        new_id: Callable[[], str] | None = None,
        patience: float = 5.0,
        timeout: float | None = None,
    ) -> None:
        settings = ConnectionSettings.of(
            connection,
            host_address=host_address,
            taskhub=taskhub,
            metadata=metadata,
            secure_channel=secure_channel,
            credentials=credentials,
            tls=tls,
            token=token,
            allow_plaintext_token=allow_plaintext_token,
            channel_options=channel_options,
        )
        super().__init__(
            Requests(
                data_converter=data_converter or JsonDataConverter(),
                default_version=default_version,
                new_id=new_id or random_id,
            ),
            CallOptions(metadata=settings.call_metadata(), patience=patience, timeout=timeout),
            AsyncTransport(settings, channel),
        )

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        token: TokenSource | None = None,
        tls: TlsOptions | None = None,
        metadata: MetadataSource | None = None,
        channel_options: ChannelOptions | None = None,
        data_converter: DataConverter | None = None,
        default_version: str | None = None,
        patience: float = 5.0,
        timeout: float | None = None,
    ) -> Self:
        """Make a client from a connection string, as in `Endpoint=https://hub.example:4001;TaskHub=orders;Token=…`.

        Arguments and errors are those of `TaskHubGrpcClient.from_connection_string`.
        """
        return cls(
            connection=ConnectionSettings.parse(
                connection_string, token=token, tls=tls, metadata=metadata, channel_options=channel_options
            ),
            data_converter=data_converter,
            default_version=default_version,
            patience=patience,
            timeout=timeout,
        )
