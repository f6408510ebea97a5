"""Build the virtual environment that every `make` target runs in.

The system's Python runs this file before any package exists, so it uses the standard library
alone, and Python 3.6 must be able to read it, or an old Python could not say what is wrong.
"""

import sys


def explain_python(version: "tuple[int, int]") -> str:
    """Say why this Python cannot run the course; empty when it can."""
    if (3, 11) <= version <= (3, 13):
        return ""
    return (
        "The course needs Python 3.11, 3.12 or 3.13, and this is {}.{}: install one of them "
        "and name it, as in `make lab PYTHON=python3.13`.\n".format(*version)
    )


if __name__ == "__main__" and explain_python(sys.version_info[:2]):
    sys.stderr.write(explain_python(sys.version_info[:2]))
    sys.exit(3)

import argparse
import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["EnvironmentProblem", "build", "explain_failure", "explain_python", "is_fresh", "main"]

ROOT = Path(__file__).resolve().parent.parent
NEEDED_BYTES = 1_500_000_000
LOOK_SECONDS = 0.2
QUIET_SECONDS = 10.0
STAMP = "vanishing-tasks.stamp"
SETTINGS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_USER": "0",  # a user's own `user = true` would make pip refuse to install here
    "PYTHONUNBUFFERED": "1",
}
NO_NETWORK = re.compile(
    "NewConnectionError|NameResolutionError|ProxyError|ConnectTimeout|ReadTimeout"
    "|Max retries exceeded|Connection (refused|reset|aborted)|Network is unreachable"
    r"|\(from versions: none\)"
)


class EnvironmentProblem(Exception):
    """The environment cannot be built here; the message is one sentence for a person."""


def check_machine(root: Path, free_bytes: int | None = None, system: str = os.name) -> None:
    """Refuse, before anything is written, a machine on which the build cannot succeed."""
    if system == "nt":
        raise EnvironmentProblem(
            "Native Windows is not supported, because gunicorn does not exist there: "
            "install WSL2 and run the same command inside it."
        )
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        python = "python{}.{}".format(*sys.version_info)
        raise EnvironmentProblem(
            f"This {python} has no venv module: on Debian or Ubuntu, run "
            f"`sudo apt install {python}-venv`, then run the same command again."
        )
    free = shutil.disk_usage(root).free if free_bytes is None else free_bytes
    if free < NEEDED_BYTES:
        raise EnvironmentProblem(
            f"The disk is too full: {free / 1e9:.1f} GB are free in {root}, and the packages need "
            f"{NEEDED_BYTES / 1e9:.1f} GB; free some space and run the same command again."
        )


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def describe_packages(root: Path, venv: Path) -> str:
    """Name all that the packages depend on; a moved or copied folder counts as another one."""
    lock = (root / "requirements.lock").read_bytes()
    python = "\n".join((sys.version, sys.base_prefix, str(venv)))
    return digest(re.sub(rb"(?m)^\s*#.*\n", b"", lock), python.encode())


def describe_project(root: Path) -> str:
    """Name all that installing the project itself copies into the environment."""
    files = [root / "pyproject.toml", *sorted((root / "autograde" / "etc").glob("*.*"))]
    return digest(*(path.read_bytes() for path in files))


def read_stamp(venv: Path) -> list[str]:
    try:
        return (venv / STAMP).read_text(encoding="utf-8").split()
    except OSError:
        return []


def write_stamp(venv: Path, *lines: str) -> None:
    """Replace the stamp in one step: an interrupted write leaves the old one or none."""
    new = venv / f"{STAMP}.new"
    new.write_text("\n".join(lines) + "\n", encoding="utf-8")
    new.replace(venv / STAMP)


def has_packages(root: Path, venv: Path) -> bool:
    stamped = read_stamp(venv)[:1] == [describe_packages(root, venv)]
    return stamped and (venv / "bin" / "python").exists()


def is_fresh(root: Path, venv: Path) -> bool:
    """Tell whether the environment is complete and agrees with the lock and the project."""
    return has_packages(root, venv) and read_stamp(venv)[1:] == [describe_project(root)]


class Progress:
    """One line that says how far pip is: rewritten on a terminal, else a line in ten."""

    def __init__(self, venv: Path, log: Path, lock: str) -> None:
        self.venv = venv
        self.log = log
        self.names = re.findall(r"(?m)^([\w.-]+)==", lock)
        self.on_terminal = sys.stdout.isatty()
        self.shown = ""
        self.shown_at = -QUIET_SECONDS
        self.tens = ""

    def read(self) -> tuple[int, int, str]:
        """Read off pip's log, then off the folder it fills, how many packages it has got."""
        said = self.log.read_text(encoding="utf-8", errors="replace")
        total = len(self.names) - len(re.findall(r"(?m)^Ignoring ", said))
        if "Obtaining file:" in said:
            return total, total, "installing the course itself"
        if "\nInstalling collected packages" in said:
            infos = self.venv.glob("lib/python*/site-packages/*.dist-info")
            arrived = sorted(infos, key=lambda path: path.stat().st_mtime)
            name = arrived[-1].name.split("-")[0]
            return min(len(arrived), total), total, f"installing {name}"
        found = re.findall(r"(?m)^(?:Collecting|Processing) (?:\S*/)?([\w.-]+?)(?:==|-\d)", said)
        return len(found), total, f"fetching {found[-1]}" if found else "starting"

    def show(self) -> None:
        with contextlib.suppress(OSError):  # pip renames folders while they are counted
            done, total, text = self.read()
            line = f"[{done:3d}/{total}] {text}"
            tens = f"{text.split()[0]} {done // 10}"
            now = time.monotonic()
            if self.on_terminal and line != self.shown:
                width = shutil.get_terminal_size().columns - 1
                print(f"\r\x1b[K{line[:width]}", end="", flush=True)
            elif not self.on_terminal and (
                tens != self.tens or now - self.shown_at > QUIET_SECONDS
            ):
                print(line, flush=True)
                self.tens, self.shown_at = tens, now
            self.shown = line

    def close(self) -> None:
        if self.on_terminal:
            print("\r\x1b[K", end="", flush=True)


def run(command: list[str], progress: Progress) -> None:
    """Run one command of the build; raise EnvironmentProblem with a sentence when it fails."""
    with progress.log.open("ab") as file:
        child = subprocess.Popen(
            command,
            env={**os.environ, **SETTINGS},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while child.poll() is None:
                progress.show()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(LOOK_SECONDS)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)  # nothing half-built is kept
                child.wait()
    if child.returncode != 0:
        raise EnvironmentProblem(explain_failure(progress.log))


def explain_failure(log: Path) -> str:
    """Turn pip's last words into one sentence with a cause and a next step."""
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    free = min(shutil.disk_usage(place).free for place in (log.parent, tempfile.gettempdir()))
    if "No space left on device" in said or free < 10_000_000:
        return (
            "The disk filled up while the packages were being installed: free some space, "
            f"also in {tempfile.gettempdir()}, and run the same command again."
        )
    if "DO NOT MATCH THE HASHES" in said:
        found = re.search(r"(?m)^\s+([\w.-]+)\S* from \S+.*:\n\s+Expected sha256", said)
        return (
            f"The download of {found.group(1) if found else 'a package'} is not the one that "
            "requirements.lock names, so it was not installed: run the same command again, and "
            f"if that ends here too, show {log} to whoever runs your package index."
        )
    if NO_NETWORK.search(said):
        return (
            "The packages cannot be downloaded: pip reaches no package index that has them; check "
            "the network and pip's own settings, and run the same command again (pip's log: "
            f"{log})."
        )
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "nothing")
    return f"The packages could not be installed; pip's last words are `{last}` (its log: {log})."


def build(root: Path, venv: Path) -> None:
    """Make the environment fresh; the stamp is written last, and only the stamp counts."""
    started = time.monotonic()
    lock = root / "requirements.lock"
    log = Path(f"{venv}.log")
    log.write_bytes(b"")
    progress = Progress(venv, log, lock.read_text(encoding="utf-8"))
    pip = [str(venv / "bin" / "python"), "-I", "-m", "pip", "install", "--no-deps"]
    packages = describe_packages(root, venv)
    if not has_packages(root, venv):
        check_machine(root)
        why = "is out of date or incomplete: building it anew" if venv.exists() else "is not there"
        print(f"{venv.name} {why}; this takes a few minutes.", flush=True)
        (venv / STAMP).unlink(missing_ok=True)
        run([sys.executable, "-I", "-m", "venv", "--clear", str(venv)], progress)
        run([*pip, "--require-hashes", "--requirement", str(lock)], progress)
        write_stamp(venv, packages)
    run([*pip, "--no-build-isolation", "--no-index", "--editable", str(root)], progress)
    write_stamp(venv, packages, describe_project(root))
    progress.close()
    print(f"{venv.name} is ready, after {time.monotonic() - started:.0f} s.", flush=True)


@contextlib.contextmanager
def alone(venv: Path) -> Iterator[None]:
    """Let one command at a time build an environment; the others wait, and find it fresh."""
    import fcntl

    with Path(f"{venv}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another command is building {venv.name}: waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Build the environment, if it is not fresh; return the exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("venv", nargs="?", default=".venv", help="a folder beside the Makefile")
    venv = ROOT / parser.parse_args(arguments).venv
    if is_fresh(ROOT, venv):
        return 0
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with alone(venv):
            if not is_fresh(ROOT, venv):
                build(ROOT, venv)
    except EnvironmentProblem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 3
    except OSError as problem:
        print(f"\n{venv.name} could not be built: {problem}.", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print(f"\nStopped: the next `make` builds {venv.name} anew.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
