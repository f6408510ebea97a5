"""The socket on which a server is to listen: bound before it starts, and watched."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable

__all__ = ["Listener"]


class Listener:
    """Own a listening socket that a server inherits: no port is free now and taken later."""

    def __init__(
        self, listening: socket.socket, open_socket: Callable[[], socket.socket] = socket.socket
    ) -> None:
        self._listening = listening
        self._open_socket = open_socket
        self._knock: socket.socket | None = None
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def fileno(self) -> int:
        return self._listening.fileno()

    def has_accepted(self) -> bool:
        """Whether somebody has taken a connection from its queue since the last time.

        It costs the app no request.
        """
        if self._knock is None:
            self._knock = self._open_socket()
            self._knock.connect(self._listening.getsockname())
        if sys.platform != "linux":
            return self._is_answered()
        # On a listening socket tcpi_unacked is the number of connections that wait to be
        # accepted (tcp_get_info in the Linux source), so an empty queue after a connection means
        # that somebody took it.
        information = self._listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        (waiting,) = struct.unpack_from("I", information, 24)
        if waiting:
            return False
        self._hang_up()
        return True

    def _is_answered(self) -> bool:
        assert self._knock is not None
        self._knock.settimeout(0.5)
        try:
            self._knock.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            answered = bool(self._knock.recv(1))
        except TimeoutError:
            answered = False
        self._hang_up()
        return answered

    def _hang_up(self) -> None:
        if self._knock is not None:
            self._knock.close()
            self._knock = None

    def close(self) -> None:
        self._hang_up()
        self._listening.close()
