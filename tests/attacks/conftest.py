"""Things of a grading machine that an attack may aim at, made for the attacks alone."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tasklab.mailroom import Mailroom

SECRET = "the-secret-4711"
_KEEP = "import sys; print('ready', flush=True); sys.stdin.read()"


@dataclass
class Targets:
    """What lies outside the wall, within reach of whoever has the grader's rights."""

    folder: Path
    """Holds `secret.txt`, a hidden test, a gradebook or another's work: to files it is all one."""
    process: psutil.Process
    port: int
    udp_port: int
    abstract: str
    unix: Path
    shared_memory: int
    segment: Path
    mailroom: Mailroom
    heard: list[bytes]

    @property
    def secret(self) -> Path:
        return self.folder / "secret.txt"

    def fields(self) -> dict[str, object]:
        """What an attack may know: all of it."""
        return {
            "secret": str(self.secret),
            "folder": str(self.folder),
            "pid": self.process.pid,
            "port": self.port,
            "udp_port": self.udp_port,
            "abstract": self.abstract,
            "unix": str(self.unix),
            "shared_memory": self.shared_memory,
            "segment": str(self.segment),
            "mailroom": self.mailroom.url,
        }


def _answer(server: socket.socket, heard: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            if server.type == socket.SOCK_DGRAM:
                heard.append(server.recv(100))
                continue
            connection, _ = server.accept()
            with connection:
                connection.sendall(SECRET.encode())


@pytest.fixture
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    """Targets that may be spoilt."""
    with _targets(tmp_path_factory.mktemp("outside")) as made:
        yield made


@pytest.fixture(scope="session")
def shared_targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    """Targets that are only looked at."""
    with _targets(tmp_path_factory.mktemp("outside")) as made:
        yield made


@contextlib.contextmanager
def _targets(folder: Path) -> Iterator[Targets]:
    # The grader's own user could read it: so may an attack that runs with its rights.
    (folder / "secret.txt").write_text(SECRET)
    heard: list[bytes] = []
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(type=socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    abstract, named = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    name = f"vanishing-tasks-{folder.name}"
    abstract.bind(f"\0{name}")
    named.bind(str(folder / "socket"))
    segment = Path(f"/dev/shm/{name}")
    segment.write_text(SECRET)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    shared = libc.shmget(0, 4096, 0o1600)
    address = libc.shmat(shared, None, 0)
    ctypes.memmove(address, SECRET.encode(), len(SECRET))
    servers = (tcp, udp, abstract, named)
    for server in servers:
        if server is not udp:
            server.listen()
        threading.Thread(target=_answer, args=(server, heard), daemon=True).start()
    with (
        Mailroom() as mailroom,
        subprocess.Popen(
            [sys.executable, "-c", _KEEP, SECRET],
            env={"SECRET": SECRET}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as child,
    ):  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield Targets(
            folder, psutil.Process(child.pid), tcp.getsockname()[1], udp.getsockname()[1], name,
            folder / "socket", shared, segment, mailroom, heard,
        )  # fmt: skip
        child.kill()
    for server in servers:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
    segment.unlink(missing_ok=True)
    libc.shmdt(ctypes.c_void_p(address))
    libc.shmctl(shared, 0, None)  # IPC_RMID
