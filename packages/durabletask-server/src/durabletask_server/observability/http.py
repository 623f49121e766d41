"""`/livez`, `/readyz` and `/metrics` over HTTP, for what knows no gRPC. On a thread of its own: it answers also while the engine is busy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

log = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"


class PortInUseError(Exception):
    """The HTTP port cannot be listened on."""


@contextmanager
def http_endpoints(
    host: str, port: int, problem: Callable[[], str | None], exposition: Callable[[], tuple[str, bytes]] | None
) -> Iterator[int]:
    """Serve them for as long as the context lasts.

    Args:
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
        problem: Why the engine is not ready; None: it is.
        exposition: Gives the content type and the text of the metrics; None: there are none.

    Yields:
        The port.

    Raises:
        PortInUseError: It cannot be listened on.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/livez":
                    self._answer(200, _TEXT, b"ok\n")
                case "/readyz":
                    why = problem()
                    self._answer(200 if why is None else 503, _TEXT, f"{why or 'ok'}\n".encode())
                case "/metrics" if exposition is not None:
                    self._answer(200, *exposition())
                case _:
                    self._answer(404, _TEXT, b"there are /livez, /readyz and /metrics\n")

        def _answer(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise PortInUseError(f"cannot listen on {host}:{port} for HTTP: {error.strerror}") from error

    server.daemon_threads = True
    Thread(target=server.serve_forever, name="http", daemon=True).start()

    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
