"""The files that describe the environment say the same thing."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RANGES = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
PYTHONS = ("3.11", "3.12", "3.13")


def locked(name: str) -> list[tuple[Requirement, str]]:
    """Return each entry of the lock with that name, and its text with the hashes."""
    entries = re.findall(r"(?m)^([\w.-]+==.*(?:\n +--hash=.*)*)", LOCK)
    found = [(Requirement(entry.split(" \\")[0]), entry) for entry in entries]
    return [(requirement, text) for requirement, text in found if requirement.name == name]


def test_environment_yml_has_the_projects_ranges() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *plain, last = conda["dependencies"]

    # repo2docker takes no range; without one release it builds on a Python of its own choice.
    assert plain == ["python=3.12", "pip"]
    assert Version("3.12") in SpecifierSet(PROJECT["requires-python"])
    assert last == {"pip": [*PROJECT["dependencies"], "--editable ."]}


@pytest.mark.parametrize("text", RANGES)
def test_the_lock_satisfies_each_range_on_each_python(text: str) -> None:
    wanted = Requirement(text)
    for python in PYTHONS:
        versions = [
            Version(str(entry.specifier).removeprefix("=="))
            for entry, _ in locked(wanted.name)
            if entry.marker is None
            or entry.marker.evaluate(
                {"python_version": python, "python_full_version": f"{python}.9"}
            )
        ]
        assert len(versions) == 1, (python, versions)
        assert versions[0] in wanted.specifier


def test_each_range_has_a_lower_and_an_upper_bound() -> None:
    for text in RANGES:
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators == {">=", "<"}, text


def test_the_lock_has_hashes_for_all_and_no_address() -> None:
    names = re.findall(r"(?m)^([\w.-]+)==", LOCK)

    assert len(names) > 100
    assert all("--hash=sha256:" in text for name in names for _, text in locked(name))
    assert not re.search(r"https?://|file:|(?m:^ *--(?!hash))", LOCK)
    assert "make lock" in LOCK.splitlines()[1]


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^\.PHONY: ([\w-]+)", makefile)) - {"environment"}
    # Within `make test`, make would also say which folder it enters.
    told = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert {line.split()[1] for line in told.stdout.splitlines()} == targets
    assert {"lab", "test", "exercises", "lock", "lint", "stress", "clean", "sterile"} <= targets
