"""Certificates: whom a client trusts, and how it proves who it is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import grpc

from durabletask_client.errors import InvalidRequestError

__all__ = ["Pem", "TlsOptions"]

Pem: TypeAlias = bytes | str | os.PathLike[str]
"""Certificates or a key in PEM form: the bytes themselves, or the path of a file that holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """TLS with certificates of your own. With a key and a chain the client proves to the server who it is (mutual TLS).

    Raises:
        InvalidRequestError: There is a key without a chain, or a chain without a key.
    """

    root_certificates: Pem | None = None
    """Those who may vouch for the server; None for those that gRPC comes with."""
    private_key: Pem | None = field(default=None, repr=False)
    """The client's key; None if the server asks for none."""
    certificate_chain: Pem | None = None
    """The client's certificate, and those between it and the one that the server trusts."""

    def __post_init__(self) -> None:
        for missing, given in (("certificate_chain", "private_key"), ("private_key", "certificate_chain")):
            if getattr(self, missing) is None and getattr(self, given) is not None:
                raise InvalidRequestError(f"{missing}: it is missing; {given} is of no use without it")

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files, and put it all in the terms of gRPC.

        Returns:
            Credentials for a channel.

        Raises:
            InvalidRequestError: A file cannot be read.
        """
        return grpc.ssl_channel_credentials(
            _content("root_certificates", self.root_certificates),
            _content("private_key", self.private_key),
            _content("certificate_chain", self.certificate_chain),
        )


def _content(argument: str, pem: Pem | None) -> bytes | None:
    if pem is None or isinstance(pem, bytes):
        return pem

    try:
        return Path(pem).read_bytes()
    except OSError as error:
        # What is in the argument may be a key that was taken for a path: it is not to be seen.
        raise InvalidRequestError(
            f"{argument}: there is no file to read ({error.strerror}); give its path, or its content as bytes"
        ) from None
