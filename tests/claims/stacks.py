"""Sets of releases that people run, each with exact pins, and the environments that hold them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

from tasklab.releases import NotInstalled, environment_with

__all__ = ["PACKAGES", "Stack", "newest", "stacks", "today"]

PACKAGES = ("fastapi", "starlette", "uvicorn", "gunicorn")
_FOLDER = Path(__file__).with_name("pins")
_ASKED_FOR = (*PACKAGES, "uvicorn-worker", "httpx", "anyio")


@dataclass(frozen=True)
class Stack:
    """Releases that belong together; without pins they are those that run this."""

    name: str
    releases: Mapping[str, str] = field(hash=False)
    pins: tuple[str, ...] = ()

    def release_of(self, package: str) -> Version:
        return Version(self.releases[package])

    def python(self) -> Path | None:
        """The interpreter of its environment, made if it is not there; None is this one."""
        return environment_with(*self.pins) if self.pins else None


def today() -> Stack:
    return Stack("today", {package: version(package) for package in PACKAGES})


def stacks() -> list[Stack]:
    """The pinned ones from the oldest to the newest, and today's."""
    return [*(_read(path) for path in sorted(_FOLDER.glob("*.txt"))), today()]


def newest() -> Stack:
    """Ask the package index what it has; raise NotInstalled where that fails."""
    command = [sys.executable, "-I", "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--quiet", "--report", "-", *_ASKED_FOR]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode:
        raise NotInstalled(f"pip names no newest releases: {asked.stderr.strip()[-300:]}")
    found = [item["metadata"] for item in json.loads(asked.stdout)["install"]]
    return _stack("newest", [f"{item['name']}=={item['version']}" for item in found])


def _read(path: Path) -> Stack:
    lines = path.read_text(encoding="utf-8").splitlines()
    pins = [line.partition("#")[0].strip() for line in lines]
    return _stack(path.stem, [pin for pin in pins if pin])


def _stack(name: str, pins: list[str]) -> Stack:
    releases = dict(re.split("==", pin, maxsplit=1) for pin in pins)
    return Stack(name, {package: releases[package] for package in PACKAGES}, tuple(pins))
