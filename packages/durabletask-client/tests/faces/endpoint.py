"""A real gRPC endpoint that answers by a script."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

Answer: TypeAlias = "Message | Sequence[Message | grpc.StatusCode] | grpc.StatusCode"
"""A response, the chunks of a stream, or a refusal, which may also come at the end of the chunks."""


class Endpoint(grpc.GenericRpcHandler):
    """Answers each RPC with what was laid down for it, in order, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.received: list[tuple[str, bytes, dict[str, object]]] = []
        self.holding = threading.Event()
        self.streamed = 0
        self.address = ""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        rpc = handler_call_details.method.rpartition("/")[2]

        if rpc not in self.answers:
            return None

        def take(request: bytes, context: grpc.ServicerContext) -> Any:
            self.received.append((rpc, request, dict(context.invocation_metadata())))

            if not self.answers[rpc]:
                # Nothing is left: hold the call until its caller goes away.
                gone = threading.Event()
                context.add_callback(gone.set)
                self.holding.set()
                gone.wait()

                return context.abort(grpc.StatusCode.CANCELLED, "nobody is there")

            answer = self.answers[rpc].pop(0)

            if isinstance(answer, grpc.StatusCode):
                context.abort(answer, "as the script says")

            return answer

        def stream(request: bytes, context: grpc.ServicerContext) -> Any:
            for chunk in take(request, context):
                if isinstance(chunk, grpc.StatusCode):
                    context.abort(chunk, "as the script says")

                self.streamed += 1
                yield chunk.SerializeToString()

        if rpc == "StreamInstanceHistory":
            return grpc.unary_stream_rpc_method_handler(stream)

        return grpc.unary_unary_rpc_method_handler(lambda request, context: take(request, context).SerializeToString())

    def sent(self, rpc: str) -> list[bytes]:
        return [request for name, request, _ in self.received if name == rpc]
