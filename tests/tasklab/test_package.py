"""The names of the package, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tasklab


@pytest.mark.parametrize("name", tasklab.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(tasklab, name).__name__ == name
    assert name in dir(tasklab)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(tasklab, "nonsense")  # noqa: B009 - mypy would rightly object to the other form


@pytest.mark.parametrize(
    "module", ["tasklab", "autograde", "autograde.__main__", "autograde.check"]
)
def test_imports_stay_cheap(module: str) -> None:
    """What a learner waits for in every check must not load what only a lesson needs."""
    costly = "{'fastapi', 'httpx', 'matplotlib', 'nbformat', 'nbgrader', 'IPython', 'asyncio'}"
    code = f"import sys, {module}; print(sorted({costly} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out.stderr
