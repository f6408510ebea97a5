"""The servers by name: uvicorn and gunicorn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasklab.processes import ServerProcess

if TYPE_CHECKING:
    from tasklab.mailroom import Mailroom

__all__ = ["gunicorn", "uvicorn"]


def uvicorn(
    target: str,
    *,
    mailroom: Mailroom | None = None,
    workers: int | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float | None = None,
    python: Path | None = None,
) -> ServerProcess:
    """Serve `target` ("newsletter:app", a module in the current folder) with uvicorn.

    `python` is the interpreter of another environment, as of `environment_with`.
    """
    several = ["--workers", str(workers)] if workers else []
    return ServerProcess(
        "uvicorn",
        [*_run_by(python), "uvicorn", target, "--fd", "3", *several, *arguments],
        mailroom=mailroom,
        env=env,
        start_within=start_within,
    )


def gunicorn(
    target: str,
    *,
    mailroom: Mailroom | None = None,
    config: str | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float | None = None,
    python: Path | None = None,
) -> ServerProcess:
    """Serve `target` with gunicorn and, if given, the settings file `config`.

    `python` is the interpreter of another environment, as of `environment_with`.
    """
    settings = ["--config", config] if config else []
    if python is None or _has_control_socket(python):
        # It would be a file in the user's home, one for all that run.
        settings.append("--no-control-socket")
    settings += ["--bind", "fd://3"]
    return ServerProcess(
        "gunicorn",
        [*_run_by(python), "gunicorn", target, *settings, *arguments],
        mailroom=mailroom,
        env=env,
        start_within=start_within,
    )


def _run_by(python: Path | None) -> list[str]:
    return [] if python is None else [str(python), "-m"]


def _has_control_socket(python: Path) -> bool:
    """Whether that environment's gunicorn knows the option; an older one would refuse it."""
    return any(python.parents[1].glob("lib/python*/site-packages/gunicorn/ctl"))
