"""Grade on a Dask cluster: on every worker the same environment, or it takes no work."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from autograde.errors import BrokenEnvironment

__all__ = ["connect", "describe_environment"]

_CONNECT_WITHIN = 15.0
# What decides a grade; the rest of the lock is for people and for tests.
_DECIDING = (
    "anyio", "arq", "celery", "fastapi", "gunicorn", "h11", "httpx", "psutil", "pydantic", "redis",
    "requests", "rq", "starlette", "uvicorn", "uvicorn-worker",
)  # fmt: skip


@functools.cache
def describe_environment() -> dict[str, str]:
    """Return what must be the same wherever submissions are graded, by name."""
    found = {"Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in _DECIDING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    home = Path(__file__).resolve().parents[1]
    for package in ("autograde", "tasklab"):
        digest = hashlib.sha256()
        for path in sorted((home / package).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
        found[package] = digest.hexdigest()[:12]
    return found


def _difference(wanted: dict[str, str], sandbox: bool) -> str:
    """Say in what this process differs from `wanted`; empty if in nothing."""
    here = describe_environment()
    different = [
        f"{name} is {here.get(name, 'missing')} and not {value}"
        for name, value in wanted.items()
        if here.get(name) != value
    ]
    if sandbox and not different:
        from autograde.walls import sandbox_program

        try:
            sandbox_program()
        except BrokenEnvironment as error:
            different.append(str(error))
    return "; ".join(different[:3])


@contextmanager
def connect(address: str, *, sandbox: bool = True) -> Iterator[Executor]:
    """Return an executor on the cluster whose scheduler is at `address`.

    Raise BrokenEnvironment if there is none, if it has no worker, or if one of them is not like
    this process. A worker that joins later is looked at in the same way before it takes work.
    """
    try:
        from distributed import Client, WorkerPlugin
    except ImportError:
        raise BrokenEnvironment(
            "Grading on a cluster needs Dask: pip install 'vanishing-tasks[cluster]'."
        ) from None

    class SameEnvironment(WorkerPlugin):
        """Send a worker away that would grade differently."""

        name = "same-environment"

        def __init__(self, wanted: dict[str, str]) -> None:
            self.wanted = wanted

        def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask's signature
            if why := _difference(self.wanted, sandbox):
                raise RuntimeError(why)

    wanted = describe_environment()
    try:
        client = Client(  # type: ignore[no-untyped-call]
            address, timeout=_CONNECT_WITHIN, set_as_default=False
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise BrokenEnvironment(
            f"No Dask scheduler answers at {address} ({type(error).__name__}): start one with "
            "`dask scheduler`, and workers with `dask worker`."
        ) from None
    with client:
        differences = client.run(_difference, wanted, sandbox)
        if not differences:
            raise BrokenEnvironment(
                f"The cluster at {address} has no workers: start some with `dask worker {address}`."
            )
        wrong = [f"{worker}: {why}" for worker, why in differences.items() if why]
        if wrong:
            raise BrokenEnvironment(
                f"{len(wrong)} of {len(differences)} workers would not grade as this machine does "
                f"({wrong[0]}): install the course from its lock on each."
            )
        client.register_plugin(SameEnvironment(wanted))
        # Each grading is one of its own, though its arguments may be those of another.
        with client.get_executor(pure=False) as executor:  # type: ignore[no-untyped-call]
            yield executor
