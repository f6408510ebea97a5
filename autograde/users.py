"""Where no sandbox starts but everything is root's: the answer runs as another user.

So it is in a container that is there for one submission. Less is hidden than behind the wall:
the container's network and the names of its processes can be seen, and every file that anybody
may read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import psutil

import tasklab.keeper
from autograde.errors import BrokenEnvironment
from autograde.filters import steering_filter
from autograde.places import Confined
from autograde.watch import kill_all
from tasklab.gates import DeadlinePassed, wait_until

__all__ = ["AnotherUser", "close_to_others"]

_WITHIN = 30.0
# Of these, none that has a process: whatever the answer's user has is ended with it.
_USERS = range(300_000, 350_000)


def close_to_others(paths: Iterable[Path]) -> None:
    """Let nobody but root into these folders; raise BrokenEnvironment if somebody still may."""
    if os.geteuid() != 0:
        raise BrokenEnvironment(
            "No sandbox starts here, and without root no answer can run as another user."
        )
    for path in paths:
        with contextlib.suppress(OSError):
            path.chmod(stat.S_IRWXU)
        # What a mounted folder says of itself is not always true.
        tried = subprocess.run(
            [sys.executable, "-I", "-S", "-c", "import os, sys; os.listdir(sys.argv[1])", path],
            cwd="/", user=_USERS[0], group=_USERS[0], extra_groups=[],
            capture_output=True, text=True,
        )  # fmt: skip
        if "PermissionError" not in tried.stderr:
            raise BrokenEnvironment(
                f"The answer's user could look into {path}, so nothing is run: chmod 700 must "
                "work there, and other users must be able to start Python."
            )


class AnotherUser(Confined):
    """Run the answer as a user that is nobody else's, in a folder of its own."""

    def start(self) -> Self:
        self._user = next(user for user in _USERS if not _processes_of(user))
        self.home = tempfile.mkdtemp(prefix="newsletter-", dir="/tmp")
        os.chown(self.home, self._user, self._user)
        return super().start()

    def command(self, descriptor: int) -> list[str]:
        return [
            "/usr/bin/env", f"--chdir={self.home}",
            sys.executable, str(tasklab.keeper.__file__), *self.keeper_arguments(descriptor),
            "--guard", "--user", str(self._user),
            *(["--filter", steering_filter().hex()] if steering_filter() else []),
        ]  # fmt: skip

    def close(self) -> None:
        """End it all, also what was started after an answer had killed the keeper."""
        super().close()
        with contextlib.suppress(DeadlinePassed):
            wait_until(self._is_empty, within=_WITHIN)
        shutil.rmtree(self.home, ignore_errors=True)

    def _is_empty(self) -> bool:
        left = _processes_of(self._user)
        kill_all(left)
        return not left


def _processes_of(user: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == user and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found
