"""Where graded code runs: behind a wall, or on one's own machine as it is."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tasklab.keeper
from autograde.filters import steering_filter
from autograde.walls import SPACE, sandbox_program, wall
from autograde.watch import Usage, descendants, kill_all, measure, watch
from tasklab.launcher import Child, Launcher

if TYPE_CHECKING:
    import psutil

__all__ = ["Limits", "OwnMachine", "Sandbox"]

# Imported once behind the wall, before any learner's code, and shared by every server start:
# what each start would load anyway, some of it with the first request only, ...
_WARM = (
    "fastapi",
    "pydantic.v1",
    "uvicorn.main",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.auto",
    "anyio._backends._asyncio",
    "gunicorn.app.wsgiapp",
    "uvicorn_worker",
)
# ... and what it loads if the answer names it.
_WARM_IF_NAMED = {
    **dict.fromkeys(["httpx", "requests", "sqlite3", "concurrent.futures", "nest_asyncio"], ()),
    "pytest": ("_pytest.junitxml", "_pytest.unittest", "anyio.pytest_plugin", "pdb"),
    "fastapi.testclient": (),
    "celery": (
        "celery.bin.celery",
        "celery.apps.worker",
        "celery.concurrency.prefork",
        "celery.worker.consumer",
        "kombu.transport.redis",
    ),
    "redis": ("redis.asyncio",),
    "rq": ("rq.cli.cli",),
    "arq": ("arq.cli", "arq.worker"),
    "sqlalchemy": ("sqlalchemy.orm", "sqlalchemy.dialects.sqlite"),
}
_KEEPER_INSIDE = "/keeper.py"
_HOME_INSIDE = "/newsletter"
# How near to the limit of processes an answer is ended: the keeper is one of them.
_NEAR = 2
# As root, each sandbox gets a user of its own, so that the limit on processes counts its own.
_FIRST_USER = 200_000
_USERS = 50_000
_sandboxes = itertools.count()


@dataclass(frozen=True)
class Limits:
    """What one submission may use, all its processes together. Sizes in bytes, times in seconds."""

    memory: int = 512 * 1024**2
    processes: int = 256
    """Processes and threads."""
    processor_time: int = 60
    wall_time: int = 300
    file_size: int = 64 * 1024**2
    open_files: int = 1024
    """Of each process."""
    addresses: int = 4 * 1024**3
    """Of each process: what it asks for, used or not."""

    def for_each_process(self) -> dict[str, int]:
        """What the kernel is told, by the names of RLIMIT_*."""
        return {
            "NPROC": self.processes,
            "FSIZE": self.file_size,
            "AS": self.addresses,
            # A little more: whoever watches them all together can say what happened.
            "CPU": self.processor_time + 5,
            "NOFILE": self.open_files,
            "CORE": 0,
        }


class OwnMachine(Launcher):
    """Run the answer in a temporary folder of this machine, without a wall."""

    keeps_nothing = True

    def __init__(self, files: Mapping[str, str], *, warm: bool = True) -> None:
        text = "\n".join(files.values())
        named = [
            module
            for name, more in _WARM_IF_NAMED.items()
            if re.search(rf"\b{re.escape(name)}\b", text)
            for module in (name, *more)
        ]
        super().__init__(warm=(*_WARM, *named) if warm else ())
        self.files = dict(files)

    def start_folder(self) -> str:
        return str(self.control.request("stage", files=self.files))

    def read_answer(self, name: str) -> str:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]


class Confined(OwnMachine):
    """Run the answer as a user of its own, within limits.

    What it leaves running is killed, what it leaves where it may write is removed. Every socket
    comes from its side: one from outside, though it only listens, could be turned into a
    connection to the outside.
    """

    home = _HOME_INSIDE

    def __init__(
        self, files: Mapping[str, str], *, warm: bool = True, limits: Limits | None = None
    ) -> None:
        super().__init__(files, warm=warm)
        self.limits = limits or Limits()
        self._exceeded = ""
        self._closes_at = math.inf
        self._user = _FIRST_USER + (os.getpid() * 101 + next(_sandboxes)) % _USERS

    def start(self) -> Self:
        self._closes_at = time.monotonic() + self.limits.wall_time
        super().start()
        watch.add(self)
        return self

    def close(self) -> None:
        watch.remove(self)
        super().close()

    def look(self) -> None:
        """End the answer, again and again, once it has used more than it may."""
        keeper = self.control.process
        if keeper is None:
            return
        pids = self.answers_pids(keeper.pid)
        usage = measure(pids, self.limits.memory)
        if not self._exceeded:
            self._exceeded = self._judge(usage)
        if self._exceeded:
            kill_all(pids)

    def answers_pids(self, keeper: int) -> list[int]:
        """Every process below the keeper with that process id."""
        return descendants(keeper)

    def _judge(self, usage: Usage) -> str:
        if usage.memory > self.limits.memory:
            return f"the app used more than {self.limits.memory // 1024**2} MiB of memory"
        if usage.processor > self.limits.processor_time:
            return f"the app used more than {self.limits.processor_time} s of processor time"
        if usage.threads >= self.limits.processes - _NEAR:
            # The kernel would stop it there, too, but go on trying for it, on every processor.
            return f"the app started more than {self.limits.processes} processes and threads"
        if time.monotonic() > self._closes_at:
            return f"the checks of this app took more than {self.limits.wall_time} s"
        return ""

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
            "HOME": self.home,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            # Each arena reserves 64 MiB of addresses, and there is a limit on those.
            "MALLOC_ARENA_MAX": "2",
            # Nobody behind the wall has a certificate. httpx would read 140 of the world's
            # authorities for each client, which costs more than a server's start.
            "SSL_CERT_DIR": self.home,
        }

    def restrictions(self) -> dict[str, Any]:
        return {"limits": self.limits.for_each_process()}

    def listen(self) -> socket.socket:
        self.wait_ready()
        return self.control.listen()

    def open_socket(self) -> socket.socket:
        return self.control.open_socket()

    def excess(self, exit_code: int | None = None) -> str:
        if self._exceeded:
            return self._exceeded
        if exit_code == -signal.SIGXCPU:
            return f"the app used more than {self.limits.processor_time} s of processor time"
        if exit_code == -signal.SIGKILL:
            return "it was killed: it may have used too much memory or processor time"
        return ""


class Sandbox(Confined):
    """Run the answer behind bubblewrap: its own processes, files, user, IPC and network.

    Only pipes and sockets cross the wall, and every socket belongs to the network inside.
    """

    def __init__(
        self, files: Mapping[str, str], *, warm: bool = True, limits: Limits | None = None
    ) -> None:
        super().__init__(files, warm=warm, limits=limits)
        self._program = sandbox_program()
        self._outside: dict[int, int] = {}

    def answers_pids(self, keeper: int) -> list[int]:
        # Below bubblewrap, the first is the keeper itself.
        return super().answers_pids(keeper)[1:]

    def command(self, descriptor: int) -> list[str]:
        return [
            *wall(self._program),
            "--size", SPACE, "--perms", "0777", "--tmpfs", _HOME_INSIDE,
            "--ro-bind", str(tasklab.keeper.__file__), _KEEPER_INSIDE,
            "--remount-ro", "/",
            "--chdir", _HOME_INSIDE,
            "--", sys.executable, _KEEPER_INSIDE, *self.keeper_arguments(descriptor), "--guard",
            *(["--user", str(self._user)] if os.geteuid() == 0 else []),
            *(["--filter", steering_filter().hex()] if steering_filter() else []),
        ]  # fmt: skip

    def spawn(self, *arguments: Any, **options: Any) -> Child:
        child = super().spawn(*arguments, **options)
        # Its number out here can only be told while it lives.
        with contextlib.suppress(ProcessLookupError):
            self.outside_pid(child.keeper_pid)
        return child

    def outside_pid(self, pid: int) -> int:
        for process in self.processes() if pid not in self._outside else []:
            with contextlib.suppress(OSError, StopIteration):
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                line = next(row for row in status.splitlines() if row.startswith("NSpid:"))
                self._outside.setdefault(int(line.split()[-1]), process.pid)
        if pid not in self._outside:
            raise ProcessLookupError(f"process {pid} of the sandbox has ended")
        return self._outside[pid]

    def processes(self) -> list[psutil.Process]:
        # The first is the keeper: bubblewrap's only child, and process 1 inside.
        return super().processes()[1:]
