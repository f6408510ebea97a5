"""The servers by name: uvicorn and gunicorn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
) -> ServerProcess:
    """Serve `target` ("newsletter:app", a module in the current folder) with uvicorn."""
    several = ["--workers", str(workers)] if workers else []
    return ServerProcess(
        "uvicorn",
        ["uvicorn", target, "--fd", "3", *several, *arguments],
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
) -> ServerProcess:
    """Serve `target` with gunicorn and, if given, the settings file `config`."""
    settings = ["--config", config] if config else []
    # The control socket would be a file in the user's home, one for all that run.
    settings += ["--no-control-socket", "--bind", "fd://3"]
    return ServerProcess(
        "gunicorn",
        ["gunicorn", target, *settings, *arguments],
        mailroom=mailroom,
        env=env,
        start_within=start_within,
    )
