"""Where one set of releases is observed: its interpreter, its servers, and what was seen once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from packaging.version import Version

from tasklab.launcher import Launcher, use_launcher
from tasklab.servers import gunicorn, uvicorn
from tests.claims.ledger import NotAsked

if TYPE_CHECKING:
    from tasklab.processes import ServerProcess
    from tests.claims.stacks import Stack

__all__ = ["Bench"]

Observed = TypeVar("Observed")

_APPS = Path(__file__).with_name("apps")
_PATIENCE = 60.0
_folder: ContextVar[Path] = ContextVar("folder")


class _Launcher(Launcher):
    """Start programs in the folder of the observation that starts them."""

    def start_folder(self) -> str:
        return str(_folder.get())


class Bench:
    """Servers of one stack. Each observation has a folder of its own, with the apps in it."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self.stack = stack
        self.python = stack.python()
        self._home = home
        warm = () if self.python else ("fastapi", "uvicorn.main", "uvicorn_worker")
        self._launcher = _Launcher(warm=warm)
        self._observations: dict[Callable[[Bench], Any], Future[Any]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        self._launcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._launcher.close()

    def once(self, observe: Callable[[Bench], Observed]) -> Observed:
        """Return what `observe` saw here; it looks once, however many ask."""
        with self._lock:
            future = self._observations.get(observe)
            mine = future is None
            if future is None:
                future = self._observations[observe] = Future()
        if mine:
            try:
                with self._folder_for(observe.__name__):
                    future.set_result(observe(self))
            except BaseException as error:  # noqa: BLE001 - told to all that ask
                future.set_exception(error)
        seen: Observed = future.result()
        return seen

    @contextmanager
    def _folder_for(self, name: str) -> Iterator[None]:
        folder = self._home / name
        shutil.copytree(_APPS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        token = _folder.set(folder)
        try:
            with use_launcher(self._launcher):
                yield
        finally:
            _folder.reset(token)

    # -- what an observation uses ---------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return _folder.get()

    def release(self, *names: str) -> None:
        """Let the tasks with these names come to their ends."""
        for name in names:
            (self.folder / f"release-{name}").touch()

    def uvicorn(
        self, target: str, *arguments: str, python: Path | None = None, **options: Any
    ) -> ServerProcess:
        options.setdefault("start_within", _PATIENCE)
        return uvicorn(target, arguments=arguments, python=python or self.python, **options)

    def gunicorn(
        self, target: str, *arguments: str, python: Path | None = None, **options: Any
    ) -> ServerProcess:
        """Serve with the worker class of uvicorn, unless the arguments name another."""
        options.setdefault("start_within", _PATIENCE)
        if "--worker-class" not in arguments:
            arguments = ("--worker-class", self.worker_class, *arguments)
        return gunicorn(target, arguments=arguments, python=python or self.python, **options)

    @property
    def worker_class(self) -> str:
        moved = self.stack.release_of("uvicorn") >= Version("0.30")
        return f"{'uvicorn_worker' if moved else 'uvicorn.workers'}.UvicornWorker"

    def needs(self, package: str, release: str) -> None:
        """Raise NotAsked where the stack's release of the package is older."""
        if self.stack.release_of(package) < Version(release):
            raise NotAsked

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run this stack's Python to its end, in this observation's folder."""
        return subprocess.run(
            [str(self.python or sys.executable), *arguments],
            cwd=self.folder,
            env={**self._launcher.environment(), **(env or {})},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
