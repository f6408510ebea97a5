"""A container as Gradescope starts it: all is root's, and no namespace can be made in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from autograde.walls import sandbox_program

__all__ = ["ROOT", "Container"]

ROOT = Path(__file__).resolve().parents[2]
# What Docker leaves to root, as far as this is about files and users.
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
_STAMP = """
import sys
from pathlib import Path
from autograde import environment
root, venv = environment.ROOT, environment.ROOT / ".venv"
packages = environment.describe_packages(root, venv)
environment.write_stamp(venv, packages, environment.describe_project(root))
"""


class Container:
    """A folder that is /autograder inside, and nothing else that can be written but /tmp."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("source", "submission", "results"):
            (folder / name).mkdir(parents=True)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._wall(), *command], capture_output=True, text=True, timeout=300, cwd="/"
        )

    def make_environment(self) -> None:
        """Make what `make environment` would, out of the environment that is here already."""
        venv = self.folder / "source" / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        (packages,) = (Path(sys.prefix) / "lib").glob("python*/site-packages")
        (own,) = (venv / "lib").glob("python*/site-packages")
        (own / "packages.pth").write_text(f"{packages}\n")
        made = self.run("/autograder/source/.venv/bin/python", "-c", _STAMP)
        assert made.returncode == 0, made.stderr

    def _wall(self) -> list[str]:
        arguments = [sandbox_program(), "--die-with-parent", "--unshare-pid", "--unshare-net"]
        arguments += ["--cap-drop", "ALL"]
        for name in _CAPABILITIES:
            arguments += ["--cap-add", f"CAP_{name}"]
        for folder in ("/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"):
            if Path(folder).is_symlink():
                arguments += ["--symlink", str(Path(folder).readlink()), folder]
            elif Path(folder).is_dir():
                arguments += ["--ro-bind", folder, folder]
        arguments += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
        for folder in {os.path.realpath(sys.base_prefix), sys.base_prefix, sys.prefix}:
            for parent in reversed(Path(folder).parents[:-1]):
                arguments += ["--perms", "0755", "--dir", str(parent)]
            arguments += ["--ro-bind", folder, folder]
        arguments += ["--bind", str(self.folder), "/autograder", "--chdir", "/autograder/source"]
        path = f"{sys.base_prefix}/bin:/usr/bin:/bin"
        return [
            *arguments,
            "--clearenv",
            "--setenv",
            "PATH",
            path,
            "--setenv",
            "HOME",
            "/tmp",
            "--",
        ]
