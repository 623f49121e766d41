"""Connection strings, tokens, and certificates."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from durabletask_client import (
    AsyncTaskHubGrpcClient,
    ConnectionSettings,
    InvalidRequestError,
    ServerUnavailableError,
    TaskHubGrpcClient,
    TlsOptions,
)

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Endpoint=https://hub:4001", ConnectionSettings(host_address="https://hub:4001")),
        (
            "Endpoint=https://hub:4001;TaskHub=orders;Token=ab=;",
            ConnectionSettings(host_address="https://hub:4001", taskhub="orders", token="ab="),
        ),
        (
            " endpoint = http://localhost:8080 ; TASKHUB = default ; authentication = none",
            ConnectionSettings(host_address="http://localhost:8080", taskhub="default"),
        ),
    ],
)
def test_connection_strings(text: str, expected: ConnectionSettings) -> None:
    assert ConnectionSettings.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no Endpoint"),
        ("TaskHub=orders", "no Endpoint"),
        (
            "Endpoint=hub;TaksHub=orders",
            "'TaksHub' is not known; the keys are Endpoint, TaskHub, Token, Authentication",
        ),
        ("Endpoint=hub;endpoint=other", "Endpoint is there twice"),
        (f"Endpoint=hub;{SECRET}", "part 2"),
        ("Endpoint=hub;Token=", "part 2"),
        ("Endpoint=https://hub;Authentication=ManagedIdentity", "Authentication=ManagedIdentity is not offered"),
    ],
)
def test_what_is_no_connection_string_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^connection_string: .*{message}") as caught:
        ConnectionSettings.parse(text)

    assert SECRET not in str(caught.value)


def test_a_token_is_given_once() -> None:
    with pytest.raises(InvalidRequestError, match=r"^token: "):
        ConnectionSettings.parse("Endpoint=https://hub;Token=a", token="b")


@pytest.mark.parametrize("client", [TaskHubGrpcClient, AsyncTaskHubGrpcClient])
def test_clients_are_made_from_connection_strings(client: type[Any]) -> None:
    assert isinstance(client.from_connection_string("Endpoint=localhost:1;TaskHub=a", timeout=1), client)

    with pytest.raises(InvalidRequestError, match=r"^connection_string: "):
        client.from_connection_string("TaskHub=a")

    with pytest.raises(InvalidRequestError, match=r"^taskhub: "):
        client(connection=ConnectionSettings(), taskhub="a")


def test_a_token_goes_along_with_each_call() -> None:
    tokens = iter(["t1", "t2"])
    settings = ConnectionSettings(taskhub="h", token="t", metadata=[("a", "b")])

    assert settings.call_metadata()() == (("taskhub", "h"), ("authorization", "Bearer t"), ("a", "b"))

    anew = replace(settings, token=lambda: next(tokens)).call_metadata()
    assert [dict(anew())["authorization"] for _ in range(2)] == ["Bearer t1", "Bearer t2"]


@pytest.mark.parametrize("token", ["", "two words", "line\n", "é", 7])
def test_what_is_no_token_is_refused_without_being_shown(token: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"^token: ") as caught:
        ConnectionSettings(token=token)

    assert str(token) not in str(caught.value) or not token

    with pytest.raises(InvalidRequestError, match=r"^token: "):
        ConnectionSettings(token=lambda: token).call_metadata()()


def test_secrets_are_not_shown() -> None:
    settings = ConnectionSettings(token=SECRET, metadata=[("x", SECRET)])

    assert SECRET not in repr(settings)
    assert SECRET not in repr(TlsOptions(private_key=SECRET.encode(), certificate_chain=b"c"))


@pytest.mark.parametrize(
    "address",
    [
        None,
        "localhost:4001",
        "LOCALHOST",
        "127.0.0.1:4001",
        "http://127.1.2.3:1",
        "[::1]:4001",
        "ipv4:127.0.0.1:1",
        "ipv6:[::1]:1",
        "dns:///localhost:1",
        "dns:localhost:1",
        "unix:/run/hub.sock",
    ],
)
def test_a_token_may_stay_on_this_machine_in_plain_text(address: str | None) -> None:
    assert ConnectionSettings(host_address=address, token="t").token == "t"


@pytest.mark.parametrize(
    "address",
    [
        "hub:4001",
        "http://hub:4001",
        "10.0.0.1:1",
        "localhost.example:1",
        "dns:///hub:1",
        "dns://localhost/hub:1",
        "xds:///localhost",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "[::2]:1",
    ],
)
def test_a_token_does_not_leave_this_machine_in_plain_text(address: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^token: .*plain text.*allow_plaintext_token"):
        ConnectionSettings(host_address=address, token="t")

    for client in (TaskHubGrpcClient, AsyncTaskHubGrpcClient):
        with pytest.raises(InvalidRequestError, match=r"^token: "):
            client(host_address=address, token=lambda: "t")

    assert ConnectionSettings(host_address=address, token="t", allow_plaintext_token=True).token == "t"


@pytest.mark.parametrize(
    "settings",
    [{"host_address": "https://hub"}, {"host_address": "hub", "secure_channel": True}, {"tls": TlsOptions()}],
)
def test_a_token_may_go_anywhere_by_tls(settings: dict[str, Any]) -> None:
    assert ConnectionSettings(**({"host_address": "hub:1"} | settings), token="t").token == "t"


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: TlsOptions(private_key=b"k"), "certificate_chain"),
        (lambda: TlsOptions(certificate_chain=b"c"), "private_key"),
        (lambda: ConnectionSettings(tls=TlsOptions(root_certificates="/nonexistent.pem")), "root_certificates"),
        (lambda: ConnectionSettings(tls=TlsOptions(root_certificates=SECRET * 1000)), "root_certificates"),
        (lambda: ConnectionSettings(tls=TlsOptions(), credentials=grpc.ssl_channel_credentials()), "tls"),
        (lambda: ConnectionSettings(tls=TlsOptions(), host_address="http://hub"), "host_address"),
    ],
)
def test_tls_that_contradicts_itself_names_the_argument(make: Any, argument: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{argument}: ") as caught:
        make()

    assert SECRET not in str(caught.value)


class Greeter(grpc.GenericRpcHandler):
    """Answers `Hello`, and keeps who asked."""

    def __init__(self) -> None:
        self.callers: list[tuple[object, list[object]]] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata())
            names = [*context.auth_context().get("x509_common_name", [])]
            self.callers.append((metadata.get("authorization"), [*names]))

            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate that vouches for itself, of the server and of the client."""
    openssl = shutil.which("openssl")

    if openssl is None:
        pytest.skip("no openssl to make certificates with")

    folder = tmp_path_factory.mktemp("certificates")

    for name, subject in (("server", "localhost"), ("client", "ada")):
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        names = ["-subj", f"/CN={subject}", "-addext", "subjectAltName=DNS:localhost"]
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run([*command, *names, *files, "-days", "2"], check=True, capture_output=True)

    return folder


@pytest.fixture
def greeter(certificates: Path) -> Iterator[tuple[Greeter, str]]:
    """A server that asks its clients who they are."""
    handler = Greeter()
    key, chain, trusted = ((certificates / name).read_bytes() for name in ("server.key", "server.pem", "client.pem"))

    with ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([handler])
        credentials = grpc.ssl_server_credentials([(key, chain)], trusted, require_client_auth=True)
        port = server.add_secure_port("localhost:0", credentials)
        server.start()
        yield handler, f"https://localhost:{port}"
        server.stop(None).wait()


@pytest.mark.parametrize("as_bytes", [True, False])
async def test_mutual_tls_with_a_token(greeter: tuple[Greeter, str], certificates: Path, as_bytes: bool) -> None:
    handler, address = greeter
    root, key, chain = (certificates / name for name in ("server.pem", "client.key", "client.pem"))
    tls = TlsOptions(
        root_certificates=root.read_bytes() if as_bytes else str(root),
        private_key=key.read_bytes() if as_bytes else key,
        certificate_chain=chain.read_bytes() if as_bytes else chain,
    )

    with TaskHubGrpcClient(host_address=address, tls=tls, token=SECRET) as client:
        client.ping()

    async with AsyncTaskHubGrpcClient.from_connection_string(f"Endpoint={address};Token={SECRET}", tls=tls) as other:
        await other.ping()

    assert handler.callers == [(f"Bearer {SECRET}", [b"ada"])] * 2


def test_who_has_no_certificate_is_not_let_in(greeter: tuple[Greeter, str], certificates: Path) -> None:
    handler, address = greeter
    tls = TlsOptions(root_certificates=certificates / "server.pem")

    with (
        TaskHubGrpcClient(host_address=address, tls=tls, patience=0) as client,
        pytest.raises(ServerUnavailableError),
    ):
        client.ping()

    assert handler.callers == []
