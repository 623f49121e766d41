"""How arguments become a channel, and what goes along with each call."""

from __future__ import annotations

import grpc
import pytest
from durabletask_client import ChannelOptions, InvalidRequestError
from durabletask_client.channel import call_metadata, create_async_channel, create_channel


def made(monkeypatch: pytest.MonkeyPatch, *arguments: object, **keywords: object) -> tuple[str, bool]:
    """The address, and whether with TLS."""
    seen: list[tuple[str, bool]] = []
    monkeypatch.setattr(grpc, "insecure_channel", lambda address, options: seen.append((address, False)))
    monkeypatch.setattr(grpc, "secure_channel", lambda address, credentials, options: seen.append((address, True)))
    create_channel(*arguments, **keywords)  # type: ignore[arg-type]

    return seen[0]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, ("localhost:4001", False)),
        ("hub:1", ("hub:1", False)),
        ("http://hub:1", ("hub:1", False)),
        ("http://hub:1/", ("hub:1", False)),
        ("HTTPS://hub:1", ("hub:1", True)),
        ("grpc://hub:1", ("hub:1", False)),
        ("grpcs://hub:1", ("hub:1", True)),
        ("dns:///hub:1", ("dns:///hub:1", False)),
        ("unix:/run/hub.sock", ("unix:/run/hub.sock", False)),
    ],
)
def test_addresses(monkeypatch: pytest.MonkeyPatch, address: str | None, expected: tuple[str, bool]) -> None:
    assert made(monkeypatch, address) == expected


@pytest.mark.parametrize("keywords", [{"secure_channel": True}, {"credentials": grpc.ssl_channel_credentials()}])
def test_tls_when_asked_for(monkeypatch: pytest.MonkeyPatch, keywords: dict[str, object]) -> None:
    assert made(monkeypatch, "hub:1", **keywords) == ("hub:1", True)


@pytest.mark.parametrize("address", ["", " ", "http://"])
def test_an_address_names_a_host(address: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^host_address: "):
        create_channel(address)


async def test_plain_text_and_tls_exclude_each_other() -> None:
    with pytest.raises(InvalidRequestError, match=r"^host_address: .*TLS"):
        create_channel("http://hub:1", secure_channel=True)

    with pytest.raises(InvalidRequestError, match=r"^host_address: .*TLS"):
        create_async_channel("http://hub:1", secure_channel=True)


def test_messages_of_any_size_and_a_living_connection_are_the_default() -> None:
    arguments = dict(ChannelOptions().arguments())

    assert arguments["grpc.max_receive_message_length"] == -1
    assert arguments["grpc.keepalive_time_ms"] == 30_000


def test_options_and_further_arguments() -> None:
    options = ChannelOptions(
        keepalive_time=1.5,
        max_receive_message_bytes=10,
        extra=[("grpc.max_receive_message_length", 20), ("grpc.primary_user_agent", "me")],
    )
    arguments = dict(options.arguments())

    assert arguments["grpc.keepalive_time_ms"] == 1500
    assert arguments["grpc.max_receive_message_length"] == 20
    assert arguments["grpc.primary_user_agent"] == "me"


def test_metadata_is_joined_with_the_hub() -> None:
    assert call_metadata()() == ()
    assert call_metadata([("a", "b")], taskhub="h")() == (("taskhub", "h"), ("a", "b"))


def test_metadata_of_a_function_is_made_for_each_call() -> None:
    tokens = iter(["t1", "t2"])
    metadata = call_metadata(lambda: [("authorization", next(tokens))], taskhub="h")

    assert [metadata()[1][1], metadata()[1][1]] == ["t1", "t2"]
