"""The command line: exit codes, JSON, and an error in one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from autograde.__main__ import main
from autograde.exercises import build
from tasklab.gates import wait_until
from tests.autograde.courses import NAME, Course, exercise

COMMANDS = {
    "check", "collect", "doctor", "exercises", "export", "grade", "gradescope", "handout",
    "progress", "reset", "workflow",
}  # fmt: skip


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    made = Course(tmp_path)
    source = exercise()
    source["metadata"]["exercise"] = {"minutes": [10, 20], "symptom": None}
    made.source(source)
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autograde", *arguments], capture_output=True, text=True, timeout=100
    )


def test_help_names_every_command() -> None:
    told = CliRunner().invoke(main, ["-h"])
    assert told.exit_code == 0
    assert set(main.commands) == COMMANDS
    assert all(f"\n  {name} " in told.output for name in COMMANDS)


def test_json_is_all_that_goes_to_stdout(course: Course) -> None:
    done = run("check", NAME, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["points"] == 2
    assert (course.root / ".progress.jsonl").is_file()


def test_stale_exercises_are_exit_code_one(course: Course) -> None:
    (course.root / "README.md").write_text("<!-- exercises -->\n<!-- /exercises -->\n")
    path = course.root / "exercises" / NAME / f"{NAME}.ipynb"
    path.write_text(path.read_text().replace("202", "203"))
    done = run("exercises", "--check")
    assert done.returncode == 1
    assert f"{NAME}.ipynb is stale" in done.stderr


def test_misuse_is_exit_code_two() -> None:
    assert run("check").returncode == 2
    assert run("grade", "--jobs", "many").returncode == 2
    done = run("reset", "99")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_what_was_not_foreseen_is_one_sentence(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("autograde.progress.read_parts", stumble)
    told = CliRunner().invoke(main, ["progress"])
    assert told.exit_code == 3
    assert "autograde itself stumbled (ZeroDivisionError: oh)" in told.output
    assert "Traceback" not in told.output
    monkeypatch.setenv("AUTOGRADE_TRACEBACK", "1")
    assert isinstance(CliRunner().invoke(main, ["progress"]).exception, ZeroDivisionError)


def test_ctrl_c_ends_a_check_without_a_traceback(course: Course) -> None:
    content = course.starter()
    for cell in content["cells"]:
        if "%%writefile" in "".join(cell["source"]):
            cell["source"] = "%%writefile newsletter.py\nimport time\ntime.sleep(3600)\n"
    course._write(course.root / "exercises" / NAME / f"{NAME}.ipynb", content)
    with subprocess.Popen(
        [sys.executable, "-m", "autograde", "check", NAME],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert "please wait" in running.stdout.readline()
        wait_until(lambda: _children(running.pid), within=30, what="a sandbox")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Stopped; nothing is lost." in err
    assert "Traceback" not in out + err


def _children(pid: int) -> bool:
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text())
