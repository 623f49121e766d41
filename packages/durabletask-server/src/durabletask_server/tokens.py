"""Completion tokens: what a worker gives back to say which work item it has finished.

A token says by itself what it is for and is signed with the hub's secret, so that a restarted server still accepts the result of
an activity that is open, and nobody can make one up.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from durabletask_backend.values import TaskKey

_SEPARATOR = "\x1f"
_MAC_BYTES = 12


class Token(NamedTuple):
    """What a completion token says."""

    task: TaskKey
    """The task; a turn has the task id `TURN`."""
    attempt: str
    """Never the same for two hand-outs."""


TURN = -1
"""The task id of a token that is for a turn of an orchestration…"""
OPERATIONS = -2
"""…and of one that is for operations of an entity."""


class TokenSigner:
    """Makes and reads the tokens of one hub.

    Args:
        secret: The hub's secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, token: Token) -> str:
        """The text of a token."""
        task = token.task
        body = _SEPARATOR.join(
            (task.hub, task.instance_id, task.execution_id, str(task.task_id), token.attempt)
        ).encode()

        return urlsafe_b64encode(self._mac(body) + body).decode()

    def read(self, text: str) -> Token | None:
        """What a token says; None if it is not one of this hub's."""
        try:
            raw = urlsafe_b64decode(text.encode())
        except (Base64Error, ValueError):
            return None

        body = raw[_MAC_BYTES:]

        if not compare_digest(raw[:_MAC_BYTES], self._mac(body)):
            return None

        hub, instance_id, execution_id, task_id, attempt = body.decode().split(_SEPARATOR)

        return Token(TaskKey(hub, instance_id, execution_id, int(task_id)), attempt)

    def _mac(self, body: bytes) -> bytes:
        return blake2b(body, digest_size=_MAC_BYTES, key=self._secret).digest()
