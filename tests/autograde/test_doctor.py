from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from autograde import doctor
from autograde.doctor import Finding, examine
from autograde.errors import BrokenEnvironment

ROOT = Path(__file__).resolve().parents[2]


def find(what: str, root: Path) -> Finding:
    return next(finding for finding in examine(root) if finding.what == what)


def test_this_machine_is_in_order() -> None:
    findings = list(examine(ROOT))
    assert not [finding for finding in findings if finding.needed and not finding.good]
    assert re.match(r"Python 3\.1[123] in ", findings[0].saw)
    assert find("packages", ROOT).saw == "the versions of requirements.lock"
    assert all("\n" not in finding.saw + finding.advice for finding in findings)


def test_other_versions_are_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("click==0.1 \\\n    --hash=sha256:00\nnothing==1\n")
    finding = find("packages", tmp_path)
    assert not finding.good
    assert re.fullmatch(r"1 other than in requirements.lock: click [\d.]+", finding.saw)


def test_a_gradebook_that_another_has_open(tmp_path: Path) -> None:
    (tmp_path / "classroom").mkdir()
    path = tmp_path / "classroom" / "gradebook.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        finding = find("gradebook", tmp_path)
        assert (finding.good, finding.saw, finding.mark) == (False, "database is locked", "✘")
        other.execute("ROLLBACK")
    assert find("gradebook", tmp_path).good


def test_no_sandbox_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise BrokenEnvironment("There is no sandbox on this machine.")

    monkeypatch.setattr("autograde.walls.sandbox_program", refuse)
    finding = find("sandbox", tmp_path)
    assert not finding.good
    assert "install bubblewrap" in finding.advice


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("_DISK_NEEDED", 10**18, "disk"),
        ("_MEMORY_NEEDED", 10**18, "memory"),
        ("_PYTHONS", ((4, 0), (4, 1)), "Python"),
    ],
)
def test_too_little_is_told(
    name: str, value: object, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, name, value)
    finding = find(what, tmp_path)
    assert (finding.good, finding.needed) == (False, True)
    assert finding.advice


def test_what_few_need_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = find("browser", tmp_path)
    assert (finding.good, finding.needed, finding.mark) == (False, False, "–")
