"""Real servers as child processes, which listen for requests."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasklab.children import ChildProcess, ServerDidNotStart, watch_starts
from tasklab.client import Client
from tasklab.listeners import Listener

if TYPE_CHECKING:
    from tasklab.launcher import Launcher
    from tasklab.mailroom import Mailroom

__all__ = ["ServerDidNotStart", "ServerProcess", "watch_starts"]


class ServerProcess(ChildProcess, Client):
    """A server in a process of its own. Use it in a `with`, or call start() and stop()."""

    _until_ready = "accepted no connection"

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        mailroom: Mailroom | None = None,
        env: Mapping[str, str] | None = None,
        start_within: float | None = None,
    ) -> None:
        super().__init__(name, arguments, env=env, start_within=start_within)
        self.mailroom = mailroom
        self._listener: Listener | None = None

    def _prepare(self, launcher: Launcher) -> int | None:
        self._listener = Listener(launcher.listen(), launcher.open_socket)
        self.url = self._listener.url
        return self._listener.fileno()

    def _surroundings(self) -> dict[str, str]:
        url = {} if self.mailroom is None else {"MAILROOM_URL": self.mailroom.url}
        return {**url, **super()._surroundings()}

    def _is_ready(self) -> bool:
        assert self._listener is not None
        return self._listener.has_accepted()

    def _release(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._close_http()

    def _open_socket(self) -> socket.socket:
        return self._launcher.open_socket() if self._launcher else socket.socket()

    def __repr__(self) -> str:
        if self._child is not None and self.exit_code is None:
            return f"<{self.name} at {self.url}>"
        return super().__repr__()
