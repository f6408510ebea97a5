"""The connections of the bench's HTTP client: made where the server is, cut when it stops.

Imported with the first request, because httpx is not cheap.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
import httpx

__all__ = ["Connections"]


class Connections(httpcore.NetworkBackend):
    """Open each connection on a socket from `open_socket`, which may belong to another network."""

    def __init__(self, open_socket: Callable[[], socket.socket]) -> None:
        self._open_socket = open_socket
        self._streams: set[_Stream] = set()
        self._lock = threading.Lock()

    def client(self, url: str) -> httpx.Client:
        """An httpx client for one server on loopback: no proxy, no certificates, no reuse."""
        transport = httpx.HTTPTransport(verify=False, trust_env=False)
        # httpx has no option for httpcore's network_backend.
        transport._pool = httpcore.ConnectionPool(  # noqa: SLF001
            network_backend=self, max_connections=None, max_keepalive_connections=0
        )
        return httpx.Client(
            base_url=url,
            transport=transport,
            trust_env=False,
            timeout=None,
            headers={"Accept-Encoding": "identity"},
        )

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - whoever asks has a deadline of its own
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        opened = self._open_socket()
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.connect((host, port))
        except OSError as error:
            opened.close()
            raise httpcore.ConnectError(error) from error
        stream = _Stream(opened, self._forget)
        with self._lock:
            self._streams.add(stream)
        return stream

    def _forget(self, stream: _Stream) -> None:
        with self._lock:
            self._streams.discard(stream)

    def cut(self) -> None:
        """Let every request that still waits end now."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.cut()


class _Stream(httpcore.NetworkStream):
    def __init__(self, opened: socket.socket, closed: Callable[[_Stream], None]) -> None:
        self._socket = opened
        self._closed = closed

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        try:
            return self._socket.recv(max_bytes)
        except OSError as error:
            raise httpcore.ReadError(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        try:
            self._socket.sendall(buffer)
        except OSError as error:
            raise httpcore.WriteError(error) from error

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed(self)
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        return self._socket if info == "socket" else None
